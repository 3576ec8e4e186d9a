//! Untrusted texts, shortened and cleaned.
//!
//! Node headers, user agents and media types come from untrusted clients and registries. The constructors here read at
//! most the bytes that they keep, so that a header of 10 MB costs no more than one of 300 bytes. They replace every
//! character that could move a cursor, end a line or reverse the order of a terminal's text. HTML is not changed; the
//! page escapes it.

use std::fmt;

/// The longest node name kept, in bytes. Node names are DNS names, which have at most this length (RFC 1035).
pub const NODE_NAME_MAX: usize = 253;
/// The longest user agent kept, in bytes.
pub const USER_AGENT_MAX: usize = 256;
/// The longest media type kept, in bytes: type, slash and subtype of 127 characters each (RFC 6838).
pub const MEDIA_TYPE_MAX: usize = 255;
/// The longest target name of a probe kept, in bytes.
pub const TARGET_NAME_MAX: usize = 512;

/// The node name in a request header: a hint, never an identity.
pub type NodeName = Text<NODE_NAME_MAX>;
/// The user agent of a client.
pub type UserAgent = Text<USER_AGENT_MAX>;
/// The media type of an object.
pub type MediaType = Text<MEDIA_TYPE_MAX>;
/// The image that a probe pulls, as written in the configuration or the cluster.
pub type TargetName = Text<TARGET_NAME_MAX>;

/// A text from outside, of at most `MAX` bytes and without control characters.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Text<const MAX: usize>(Box<str>);

impl<const MAX: usize> Text<MAX> {
    /// The cleaned beginning of `raw`. Bytes that are not UTF-8, control characters, and characters that change the
    /// direction of text or have no width become U+FFFD. `None` if only white space is left.
    pub fn clean(raw: &[u8]) -> Option<Self> {
        let read = String::from_utf8_lossy(&raw[..raw.len().min(MAX)]);
        let mut text = String::with_capacity(read.len());
        for character in read.trim().chars() {
            let clean = if is_unsafe(character) { char::REPLACEMENT_CHARACTER } else { character };
            if text.len() + clean.len_utf8() > MAX {
                break;
            }
            text.push(clean);
        }
        (!text.is_empty()).then(|| Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> fmt::Display for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<const MAX: usize> fmt::Debug for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// True if the character could change how a terminal or a log shows the text around it.
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(character, '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_stays() {
        assert_eq!(NodeName::clean(b" worker-3 ").unwrap().as_str(), "worker-3");
        assert_eq!(NodeName::clean("knoten-\u{fc}".as_bytes()).unwrap().as_str(), "knoten-\u{fc}");
        assert_eq!(NodeName::clean(b"<b>x</b>").unwrap().as_str(), "<b>x</b>");
    }

    #[test]
    fn nothing_is_no_text() {
        assert_eq!(NodeName::clean(b""), None);
        assert_eq!(NodeName::clean(b" \t "), None);
    }

    #[test]
    fn ten_megabytes_of_anything_stay_within_the_bound() {
        for filler in [&b"a"[..], b"\x00", b"\xff", "\u{202e}".as_bytes(), "\u{1f980}".as_bytes()] {
            let header = filler.repeat(10_000_000 / filler.len());
            let text = UserAgent::clean(&header).unwrap();
            assert!(text.as_str().len() <= USER_AGENT_MAX);
            assert!(!text.as_str().chars().any(is_unsafe));
        }
    }

    #[test]
    fn control_characters_are_replaced() {
        let text = NodeName::clean(b"a\x1b[31mred\r\nb\0").unwrap();
        assert_eq!(text.as_str(), "a\u{fffd}[31mred\u{fffd}\u{fffd}b\u{fffd}");
    }

    #[test]
    fn random_bytes_never_break_the_bound() {
        for length in 0..600 {
            let bytes: Vec<u8> = (0..length).map(|_| fastrand::u8(..)).collect();
            if let Some(text) = Text::<64>::clean(&bytes) {
                assert!(text.as_str().len() <= 64);
            }
        }
    }
}
