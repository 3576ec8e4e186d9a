//! The text without escapes, colours and typographic quotes, with the way back to the bytes of the original.

use std::ops::Range;

/// A text as the rules read it: one layer or several layers of JSON escaping, terminal colours and HTML entities are
/// undone.
pub(crate) struct Plain {
    /// The readable text.
    pub(crate) text: String,
    /// The offset in the original of each byte of `text`.
    origin: Vec<u32>,
    /// The length of the original.
    original: usize,
}

impl Plain {
    /// Reads `text`, which must be shorter than 4 GiB.
    pub(crate) fn of(text: &str) -> Self {
        let mut plain = Self {
            text: String::with_capacity(text.len()),
            origin: Vec::with_capacity(text.len()),
            original: text.len(),
        };
        let mut at = 0;
        while let Some(first) = text[at..].chars().next() {
            at += match first {
                '\\' => plain.escape(text, at),
                '\u{1b}' => colour(&text[at + 1..]) + 1,
                '&' => plain.entity(text, at),
                _ => {
                    plain.push(tame(first), at);
                    first.len_utf8()
                }
            };
        }
        plain
    }

    /// The bytes of the original that `range` of the plain text came from.
    pub(crate) fn original(&self, range: &Range<usize>) -> Range<usize> {
        let at = |index: usize| self.origin.get(index).map_or(self.original, |at| *at as usize);
        at(range.start)..at(range.end)
    }

    fn push(&mut self, c: char, at: usize) {
        self.text.push(c);
        let at = u32::try_from(at).unwrap_or(u32::MAX);
        // A character of several bytes is replaced as a whole, so that all of its bytes point at its beginning.
        self.origin.extend(std::iter::repeat_n(at, c.len_utf8()));
    }

    /// Undoes an escape that begins at `at`; returns its length. Escaping twice doubles the backslashes.
    fn escape(&mut self, text: &str, at: usize) -> usize {
        let slashes = text[at..].bytes().take_while(|byte| *byte == b'\\').count();
        let rest = &text[at + slashes..];
        let (plain, length) = match rest.bytes().next() {
            Some(b'"') => (Some('"'), 1),
            Some(b'\'') => (Some('\''), 1),
            Some(b'/') => (Some('/'), 1),
            Some(b'n' | b'r') => (Some('\n'), 1),
            Some(b't') => (Some(' '), 1),
            Some(b'u') => match code_point(rest.get(1..5)) {
                Some('\u{1b}') => (None, 5 + colour(&rest[5..])),
                Some(c) => (Some(tame(c)), 5),
                None => (Some('\\'), 0),
            },
            _ => (Some('\\'), 0),
        };
        if let Some(c) = plain {
            self.push(c, at);
        }
        slashes + length
    }

    fn entity(&mut self, text: &str, at: usize) -> usize {
        let known = ENTITIES.iter().find(|(entity, _)| text[at..].starts_with(entity));
        let (length, c) = known.map_or((1, '&'), |(entity, c)| (entity.len(), *c));
        self.push(c, at);
        length
    }
}

fn code_point(digits: Option<&str>) -> Option<char> {
    char::from_u32(u32::from_str_radix(digits?, 16).ok()?)
}

/// The length of the rest of a terminal sequence, after its escape character (ECMA-48, 5.4).
fn colour(rest: &str) -> usize {
    if !rest.starts_with('[') {
        return 0;
    }
    let parameters = rest.bytes().skip(1).take_while(|byte| (0x20..0x40).contains(byte)).count();
    let has_end = rest.as_bytes().get(1 + parameters).is_some_and(|byte| (0x40..0x7f).contains(byte));
    1 + parameters + usize::from(has_end)
}

/// The character that the rules know in place of `c`. Control characters are reserved for masks.
fn tame(c: char) -> char {
    match c {
        '\u{201c}' | '\u{201d}' | '\u{201e}' | '\u{ab}' | '\u{bb}' => '"',
        '\u{2018}' | '\u{2019}' | '\u{201a}' => '\'',
        '\n' | '\r' => '\n',
        '\u{a0}' | '\u{feff}' | '\u{200b}' => ' ',
        c if c.is_control() => ' ',
        c => c,
    }
}

/// HTML entities that web pages write into copied texts.
const ENTITIES: [(&str, char); 7] = [
    ("&quot;", '"'),
    ("&#34;", '"'),
    ("&#39;", '\''),
    ("&apos;", '\''),
    ("&lt;", '<'),
    ("&gt;", '>'),
    ("&amp;", '&'),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_colours_and_entities_are_undone() {
        for (text, expected) in [
            (r#"image \"a:1\""#, r#"image "a:1""#),
            (r#"image \\\"a:1\\\": x\\ny"#, "image \"a:1\": x\ny"),
            ("\u{1b}[31mError\u{1b}[0m: x", "Error: x"),
            ("\\u001b[31mError", "Error"),
            ("\\u003chtml\\u003e", "<html>"),
            ("\u{201c}a\u{201d}", "\"a\""),
            ("&quot;a&quot; &amp; b", "\"a\" & b"),
            (r#""\x15\x03""#, r#""\x15\x03""#),
            ("\\", "\\"),
            ("\\u12", "\\u12"),
            ("\u{1b}", ""),
        ] {
            assert_eq!(Plain::of(text).text, expected, "{text}");
        }
    }

    #[test]
    fn a_range_of_the_plain_text_leads_back_to_the_original() {
        let text = "\u{1b}[31m\u{201c}a\u{201d}: \\\"not found\\\"\u{1b}[0m";
        let plain = Plain::of(text);
        let at = plain.text.find("not found").unwrap_or_default();
        assert_eq!(&text[plain.original(&(at..at + 9))], "not found");
        assert_eq!(plain.original(&(0..plain.text.len())).end, text.len());
    }
}
