//! The `Range` header (RFC 9110, 14.2), read once and applied to a length by design decision 13.

use std::ops::Range;

use bytes::Bytes;
use http::{HeaderMap, header};

/// The part of the content that a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// All of the content: there is no `Range`, or its unit is unknown.
    Whole,
    /// `bytes=N-`.
    From(u64),
    /// `bytes=A-B`, both inclusive.
    Between(u64, u64),
    /// `bytes=-N`.
    Last(u64),
    /// More than one range.
    Many,
    /// `bytes=` with a range that cannot be read.
    Invalid,
}

/// The part of the content that is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Everything, as 200.
    Whole,
    /// These bytes, as 206; never empty.
    Slice(Range<u64>),
}

impl Part {
    /// The bytes of this part, in content of `length` bytes.
    pub(crate) fn bytes(&self, length: u64) -> Range<u64> {
        match self {
            Self::Whole => 0..length,
            Self::Slice(range) => range.clone(),
        }
    }

    /// This part of `bytes`, which is the whole content.
    pub(crate) fn of(&self, bytes: &Bytes) -> Bytes {
        match self {
            Self::Whole => bytes.clone(),
            // Bytes in memory are shorter than the address space.
            Self::Slice(range) => bytes.slice(range.start as usize..range.end as usize),
        }
    }
}

/// The reason why no part is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RangeError {
    /// 416: the range lies outside the content.
    #[error("the range lies outside the content's {length} bytes")]
    Unsatisfiable {
        /// Size of the content, bytes.
        length: u64,
    },
    /// 400, because clients that ask for several ranges then fall back to single ranges.
    #[error("more than one range in a request is not answered: ask for them one by one")]
    Many,
}

impl Asked {
    /// Reads the `Range` header. `If-Range` is ignored, because content that a digest names cannot change.
    pub(crate) fn read(headers: &HeaderMap) -> Self {
        let mut lines = headers.get_all(header::RANGE).iter();
        match (lines.next(), lines.next()) {
            (None, _) => Self::Whole,
            (Some(_), Some(_)) => Self::Many,
            (Some(line), None) => line.to_str().map_or(Self::Invalid, Self::parse),
        }
    }

    /// The part of `length` bytes that is answered. If the content is not committed yet, an open range from 0 is
    /// answered as a whole, so that containerd does not begin to fetch it in parallel.
    pub(crate) fn of(self, length: u64, committed: bool) -> Result<Part, RangeError> {
        let range = match self {
            Self::Whole => return Ok(Part::Whole),
            Self::From(0) if !committed || length == 0 => return Ok(Part::Whole),
            Self::Many => return Err(RangeError::Many),
            Self::From(start) => start..length,
            Self::Between(start, last) if start <= last => start..last.saturating_add(1).min(length),
            Self::Last(count) => length.saturating_sub(count)..length,
            Self::Between(..) | Self::Invalid => 0..0,
        };
        if range.is_empty() { Err(RangeError::Unsatisfiable { length }) } else { Ok(Part::Slice(range)) }
    }

    /// True if the request is for less than the whole content.
    pub(crate) fn is_part(self) -> bool {
        !matches!(self, Self::Whole | Self::From(0))
    }

    /// True for all bytes from an offset on. A client asks for such a range to continue a broken pull.
    pub(crate) fn is_open(self) -> bool {
        matches!(self, Self::Whole | Self::From(_))
    }

    fn parse(line: &str) -> Self {
        let Some((unit, set)) = line.split_once('=') else { return Self::Whole };
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return Self::Whole;
        }
        if set.contains(',') {
            return Self::Many;
        }
        let Some((start, last)) = set.trim().split_once('-') else { return Self::Invalid };
        match (number(start), number(last)) {
            (Some(start), None) if last.is_empty() => Self::From(start),
            (Some(start), Some(last)) => Self::Between(start, last),
            (None, Some(count)) if start.is_empty() => Self::Last(count),
            _ => Self::Invalid,
        }
    }
}

/// Parses digits only, because `parse` alone would accept a sign. A number that is too large stands for an offset
/// beyond the end.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn part(line: &str, length: u64, committed: bool) -> Result<Part, RangeError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, line.parse().unwrap());
        Asked::read(&headers).of(length, committed)
    }

    #[test]
    fn single_ranges_are_cut_to_the_content() {
        for (line, range) in [
            ("bytes=0-", 0..10),
            ("bytes=3-", 3..10),
            ("bytes=0-0", 0..1),
            ("bytes=2-5", 2..6),
            ("bytes=5-99999999999999999999999", 5..10),
            ("bytes=-4", 6..10),
            ("bytes=-99", 0..10),
            ("Bytes=9-9", 9..10),
        ] {
            assert_eq!(part(line, 10, true), Ok(Part::Slice(range)), "{line}");
        }
    }

    #[test]
    fn a_range_outside_the_content_is_unsatisfiable() {
        for line in [
            "bytes=10-",
            "bytes=10-12",
            "bytes=-0",
            "bytes=5-2",
            "bytes=",
            "bytes=x-",
            "bytes=--1",
            "bytes=+1-",
        ] {
            assert_eq!(part(line, 10, true), Err(RangeError::Unsatisfiable { length: 10 }), "{line}");
        }
    }

    #[test]
    fn an_open_range_from_zero_of_uncommitted_content_is_answered_whole() {
        assert_eq!(part("bytes=0-", 10, false), Ok(Part::Whole));
        assert_eq!(part("bytes=1-", 10, false), Ok(Part::Slice(1..10)));
        assert_eq!(part("bytes=0-9", 10, false), Ok(Part::Slice(0..10)));
        assert_eq!(part("bytes=0-", 0, true), Ok(Part::Whole));
    }

    #[test]
    fn several_ranges_are_never_answered_as_one() {
        assert_eq!(part("bytes=0-1,4-5", 10, true), Err(RangeError::Many));
        let mut headers = HeaderMap::new();
        headers.append(header::RANGE, "bytes=0-1".parse().unwrap());
        headers.append(header::RANGE, "bytes=4-5".parse().unwrap());
        assert_eq!(Asked::read(&headers).of(10, true), Err(RangeError::Many));
    }

    #[test]
    fn other_units_are_ignored() {
        assert_eq!(part("items=0-5", 10, true), Ok(Part::Whole));
        assert_eq!(part("nonsense", 10, true), Ok(Part::Whole));
    }
}
