//! The end of a page, as an opaque text.
//!
//! The text holds the place of the last pull in the order of the answer, so that pulls that are written or removed
//! later do not shift the next page. It also holds a checksum of the filters, so that the cursor of another query is
//! refused.

use std::fmt;
use std::str::FromStr;

use super::error::QueryError;

/// The version of the cursor's form.
const VERSION: u8 = 1;
/// Length of a cursor in bytes: version, key, sequence number, checksum.
const LENGTH: usize = 1 + 8 + 8 + 4;

/// The end of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    key: i64,
    seq: i64,
    check: u32,
}

impl Cursor {
    /// The place after the pull with this sort key and this sequence number.
    pub(super) fn after(key: i64, seq: i64, fingerprint: &str) -> Self {
        Self { key, seq, check: check(key, seq, fingerprint) }
    }

    /// The place, if the cursor belongs to this query.
    pub(super) fn place(self, fingerprint: &str) -> Result<(i64, i64), QueryError> {
        let belongs = self.check == check(self.key, self.seq, fingerprint);
        if belongs { Ok((self.key, self.seq)) } else { Err(QueryError::Cursor) }
    }
}

/// FNV-1a over the place and the filters, to detect mistakes. It does not protect against forgery, because a cursor
/// grants no access.
fn check(key: i64, seq: i64, fingerprint: &str) -> u32 {
    let bytes = key.to_be_bytes().into_iter().chain(seq.to_be_bytes()).chain(fingerprint.bytes());
    bytes.fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{VERSION:02x}{:016x}{:016x}{:08x}", self.key, self.seq, self.check)
    }
}

impl FromStr for Cursor {
    type Err = QueryError;

    fn from_str(text: &str) -> Result<Self, QueryError> {
        let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if text.len() != LENGTH * 2 || !is_hex || !text.starts_with(&format!("{VERSION:02x}")) {
            return Err(QueryError::Cursor);
        }
        let part = |from: usize, to: usize| u64::from_str_radix(&text[from..to], 16);
        match (part(2, 18), part(18, 34), part(34, 42)) {
            (Ok(key), Ok(seq), Ok(check)) => {
                Ok(Self { key: key as i64, seq: seq as i64, check: check as u32 })
            }
            _ => Err(QueryError::Cursor),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_read_back_from_text_and_belong_to_their_query() {
        let cursor = Cursor::after(-5, i64::MAX, "newest");
        let read: Cursor = cursor.to_string().parse().unwrap();
        assert_eq!(read.place("newest").unwrap(), (-5, i64::MAX));
        assert!(matches!(read.place("slowest"), Err(QueryError::Cursor)));
    }

    #[test]
    fn foreign_texts_are_refused() {
        let good = Cursor::after(1, 2, "").to_string();
        let other_version = format!("02{}", &good[2..]);
        let not_ascii = "\u{e9}".repeat(LENGTH);
        for text in ["", "x", "0", &good[1..], &format!("{good}0"), &other_version, &not_ascii] {
            assert!(text.parse::<Cursor>().is_err(), "{text}");
        }
    }
}
