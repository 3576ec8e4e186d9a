//! One range of a body (RFC 9110 section 14). Several ranges in one request are answered as none.

use std::ops::Range;

use http::{Method, StatusCode, header};

use super::{answer::Answer, ask::Ask};

/// Cuts the answer to the range asked for: 206, 416, or unchanged.
pub(crate) fn cut(ask: &Ask, answer: Answer) -> Answer {
    if ask.method != Method::GET || !is_current(ask, &answer) {
        return answer;
    }
    let length = answer.body.len();
    let Some((first, last)) = ask.header(header::RANGE).and_then(spec) else { return answer };
    match resolve(first, last, length) {
        Some(range) => {
            let told = format!("bytes {}-{}/{length}", range.start, range.end - 1);
            let body = answer.body.slice(range);
            Answer { status: StatusCode::PARTIAL_CONTENT, body, ..answer }
                .header(header::CONTENT_RANGE, &told)
        }
        None => Answer::status(416).header(header::CONTENT_RANGE, &format!("bytes */{length}")),
    }
}

/// `If-Range` with another tag asks for the whole.
fn is_current(ask: &Ask, answer: &Answer) -> bool {
    ask.headers.get(header::IF_RANGE).is_none_or(|tag| answer.headers.get(header::ETAG) == Some(tag))
}

fn spec(value: &str) -> Option<(Option<usize>, Option<usize>)> {
    let (first, last) = value.strip_prefix("bytes=")?.split_once('-')?;
    let number = |text: &str| if text.is_empty() { Some(None) } else { text.parse().ok().map(Some) };
    let pair = (number(first)?, number(last)?);
    (pair != (None, None)).then_some(pair)
}

fn resolve(first: Option<usize>, last: Option<usize>, length: usize) -> Option<Range<usize>> {
    let range = match (first, last) {
        (Some(first), Some(last)) => first..last.saturating_add(1).min(length),
        (Some(first), None) => first..length,
        (None, suffix) => length.saturating_sub(suffix.unwrap_or(0))..length,
    };
    (range.start < range.end).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_resolve_as_the_rfc_says() {
        let of_ten = |value| spec(value).map(|(first, last)| resolve(first, last, 10));
        assert_eq!(of_ten("bytes=0-"), Some(Some(0..10)));
        assert_eq!(of_ten("bytes=2-4"), Some(Some(2..5)));
        assert_eq!(of_ten("bytes=2-99"), Some(Some(2..10)));
        assert_eq!(of_ten("bytes=-3"), Some(Some(7..10)));
        assert_eq!(of_ten("bytes=10-"), Some(None), "not satisfiable");
        assert_eq!(of_ten("bytes=4-2"), Some(None));
        assert_eq!(of_ten("bytes=-"), None, "not a range");
        assert_eq!(of_ten("bytes=0-1,4-5"), None, "several ranges");
    }
}
