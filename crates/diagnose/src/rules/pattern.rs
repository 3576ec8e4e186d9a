//! The notation of the rules' patterns: regular expressions over the masked text, with a few short forms.
//!
//! - A space matches any white space, so that line breaks and tables change nothing.
//! - `<url>`, `<tag-url>`, `<digest-url>`, `<blob-url>`, `<token-url>`, `<ping-url>`, `<hub-url>`, `<other-url>`,
//!   `<ref>`, `<digest-ref>`, `<digest>`, `<path>`, `<socket>` and `<detail>` match what the mask replaced.
//! - A group `( )` holds the words that decide, where the pattern also needs words before them.
//! - `{404}`, `{5xx}`, `{401|403}` match a status code where a status code stands, never a bare number.

use crate::kind::Kind;

/// The regular expression for `pattern`.
pub(crate) fn expand(pattern: &str) -> String {
    let mut expanded = String::from("(?-u)");
    let mut rest = pattern;
    while let Some(at) = rest.find([' ', '<', '{']) {
        expanded += &rest[..at];
        let (text, length) = short_form(&rest[at..]);
        expanded += &text;
        rest = &rest[at + length..];
    }
    expanded + rest
}

/// The expansion of the short form at the beginning of `text`, and its length.
fn short_form(text: &str) -> (String, usize) {
    if text.starts_with(' ') {
        return (r"\s+".to_owned(), 1);
    }
    if let Some(end) = text.find('>').filter(|_| text.starts_with('<'))
        && let Some(class) = kinds(&text[1..end])
    {
        return (class, end + 1);
    }
    if let Some(end) = text.find('}').filter(|_| text.starts_with('{')) {
        let codes = &text[1..end];
        if codes.len() >= 3 && codes.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'x' | b'|')) {
            return (status(codes), end + 1);
        }
    }
    (text[..1].to_owned(), 1)
}

/// The masked bytes that a name in angle brackets matches.
fn kinds(name: &str) -> Option<String> {
    let members: String = Kind::ALL
        .iter()
        .filter(|kind| kind.is_named(name))
        .map(|kind| format!(r"\x{:02x}", kind.filler()))
        .collect();
    (!members.is_empty()).then(|| format!("[{members}]+"))
}

/// A status code after words that announce one, or before its reason phrase.
pub(crate) fn status(codes: &str) -> String {
    let codes = codes.replace("xx", "[0-9][0-9]");
    let url = kinds("url").unwrap_or_default();
    format!(
        r#"(?:(?:{ANNOUNCED}|{url}["']?|(?:manifests|blobs)\s[^\s]*\])["']?[:=]?\s*["'(]?(?:{codes})\b|(?:^|[\s"'(=\[>])(?:{codes})[ ]?[-:(]?[ ]?(?:{PHRASES}))"#
    )
}

/// Words before a status code.
const ANNOUNCED: &str = r"\bstatus(?:[ _-]?code)?|\bhttp(?:/[0-9.]+)?(?:\s+(?:status(?:\s+code)?|response(?:\s+code)?|error|code))?|\bresponse(?:\s+code)?|\b(?:server|request)\s+returned|\bserver\s+error|\bfrom\s+registry|\bregistry\s+(?:returned|responded(?:\s+with)?)|\breturned(?:\s+error)?|\b(?:received|got|unexpected)\s+(?:http\s+)?(?:status|response)(?:\s+code)?|\berror\s+code|\brequested\s+url\s+returned\s+error";
/// The reason phrases of the status codes that registries and their front ends send.
const PHRASES: &str = r"bad\s+request|unauthorized|authorization\s+required|forbidden|not\s+found|page\s+not\s+found|method\s+not\s+allowed|not\s+acceptable|proxy\s+authentication|request\s+time-?out|gone\b|unavailable\s+for\s+legal|too\s+many\s+requests|internal\s+(?:server\s+)?error|not\s+implemented|bad\s+gateway|service\s+(?:temporarily\s+)?unavailable|gateway\s+time-?out|server\s+error|origin|web\s+server|temporary\s+redirect|found\b|moved";

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use regex::bytes::Regex;

    use super::*;

    #[test]
    fn a_status_code_matches_only_where_one_stands() {
        let status = Regex::new(&expand("{429}")).unwrap();
        for text in [
            "429 too many requests",
            "status code 429",
            "unexpected status: 429",
            "status=429",
            "http/1.1 429",
            "statuscode: 429,",
            "\x07\x07: 429",
            "[manifests 1]: 429",
            "from registry 429 (too",
        ] {
            assert!(status.is_match(text.as_bytes()), "{text}");
        }
        for text in ["429", "size 429", "429 bytes", "a 429 b", "validation: 429 != 503", "exit code: 429"] {
            assert!(!status.is_match(text.as_bytes()), "{text}");
        }
    }
}
