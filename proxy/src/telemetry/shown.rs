//! The form of client texts, image names and times in log lines.

use std::fmt;
use std::time::Duration;

use oci::Reference;

use crate::http::route::Request;

/// A text that a client sent, with everything but visible ASCII escaped, cut to [`SHOWN_MAX`] characters.
pub(crate) fn shown(text: &str) -> String {
    let (mut shown, mut fits) = (String::new(), 0);
    for next in text.chars() {
        if next.is_ascii_graphic() && next != '\\' {
            shown.push(next);
        } else {
            shown.extend(next.escape_unicode());
        }
        if shown.len() > SHOWN_MAX {
            shown.truncate(fits);
            return shown + CUT;
        }
        if shown.len() + CUT.len() <= SHOWN_MAX {
            fits = shown.len();
        }
    }
    shown
}

/// The image of a request as it was asked for: `registry/repository`, with `:tag` or `@digest` for a manifest.
pub(crate) struct Image<'a>(pub(crate) &'a Request);

impl fmt::Display for Image<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(place) = self.0.place() else { return Ok(()) };
        write!(f, "{}/{}", place.registry, place.repository)?;
        match self.0 {
            Request::Manifest { reference: Reference::Tag(tag), .. } => write!(f, ":{tag}"),
            Request::Manifest { reference: Reference::Digest(digest), .. } => write!(f, "@{digest}"),
            _ => Ok(()),
        }
    }
}

/// Milliseconds, rounded to a tenth. Smaller differences come from the scheduler.
pub(crate) fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e4).round() / 10.0
}

/// The largest number of characters of a client's text in a line.
const SHOWN_MAX: usize = 256;
/// Replaces the part of a text that does not fit.
const CUT: &str = "...";

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_or_a_parser_would_obey_is_escaped() {
        let hostile = "/v2/\u{1b}[31m\r\nINFO x\u{9b}2J\u{202e}\\";
        assert_eq!(shown(hostile), r"/v2/\u{1b}[31m\u{d}\u{a}INFO\u{20}x\u{9b}2J\u{202e}\u{5c}");
    }

    #[test]
    fn what_is_long_is_cut() {
        assert_eq!(shown(&"a".repeat(256)), "a".repeat(256));
        for long in ["a".repeat(257), "\u{1b}".repeat(300), "a".repeat(100_000)] {
            let shown = shown(&long);
            assert!(
                shown.len() <= SHOWN_MAX && shown.len() > SHOWN_MAX - 12 && shown.ends_with(CUT),
                "{shown}"
            );
        }
    }

    #[test]
    fn times_are_tenths_of_milliseconds() {
        assert_eq!(millis(Duration::from_nanos(1_914_918)).to_string(), "1.9");
        assert_eq!(millis(Duration::from_millis(12_345)).to_string(), "12345");
        assert_eq!(millis(Duration::from_micros(30)).to_string(), "0");
    }
}
