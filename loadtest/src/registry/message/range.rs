//! One range of a body (RFC 9110 section 14). A request for several ranges is answered with the whole body.

use std::ops::Range;

use http::{Method, StatusCode, header};

use super::{answer::Answer, request::Request};

/// Cuts the answer to the requested range. The result is 206, 416, or the unchanged answer.
pub(crate) fn cut(request: &Request, answer: Answer) -> Answer {
    if request.method != Method::GET || !is_current(request, &answer) {
        return answer;
    }
    let length = answer.body.len();
    let Some((first, last)) = request.header(header::RANGE).and_then(spec) else { return answer };
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

/// False if `If-Range` has another entity tag: the request is then for the whole body.
fn is_current(request: &Request, answer: &Answer) -> bool {
    request.headers.get(header::IF_RANGE).is_none_or(|tag| answer.headers.get(header::ETAG) == Some(tag))
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
    fn ranges_resolve_as_in_the_rfc() {
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
