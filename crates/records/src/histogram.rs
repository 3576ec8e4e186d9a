//! A histogram of sizes, to compute percentiles.
//!
//! There are four buckets per power of two, so that a percentile is off by at most an eighth of its value, in any unit.
//! The encoded form lists only the buckets that are not empty.

use std::collections::BTreeMap;
use std::time::Duration;

/// Counts of values of one unit, by size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    counts: BTreeMap<u8, u64>,
}

impl Histogram {
    /// Counts one value.
    pub fn add(&mut self, value: u64) {
        self.add_many(bucket(value), 1);
    }

    /// Adds the counts of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (&bucket, &count) in &other.counts {
            self.add_many(bucket, count);
        }
    }

    /// The number of values counted.
    pub fn count(&self) -> u64 {
        self.counts.values().fold(0, |sum, &count| sum.saturating_add(count))
    }

    /// The value that `percent` of all values do not exceed, within an eighth; none if nothing was counted.
    pub fn percentile(&self, percent: u8) -> Option<u64> {
        let total = self.count();
        let rank = (u128::from(total) * u128::from(percent.min(100))).div_ceil(100).max(1);
        let mut seen: u128 = 0;
        let reached = |(bucket, count): (&u8, &u64)| {
            seen += u128::from(*count);
            (seen >= rank).then_some(*bucket)
        };
        self.counts.iter().find_map(reached).map(middle)
    }

    /// The value that half of all values do not exceed.
    pub fn median(&self) -> Option<u64> {
        self.percentile(50)
    }

    /// The time for `bytes` at the median, if the values are bytes a second; none if nothing was counted.
    pub fn time_for(&self, bytes: u64) -> Option<Duration> {
        self.median().map(|rate| Duration::from_secs_f64(bytes as f64 / rate.max(1) as f64))
    }

    /// The encoded form: each bucket's number, then its count as a variable-length integer.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.counts.len() * 2);
        for (&bucket, &count) in &self.counts {
            bytes.push(bucket);
            push_varint(&mut bytes, count);
        }
        bytes
    }

    /// Reads the encoded form; `None` if the bytes are truncated or were not written by [`Self::to_bytes`].
    pub fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        let mut read = Self::default();
        while let Some((&bucket, rest)) = bytes.split_first() {
            let (count, rest) = split_varint(rest)?;
            read.add_many(bucket, count);
            bytes = rest;
        }
        Some(read)
    }

    fn add_many(&mut self, bucket: u8, count: u64) {
        let entry = self.counts.entry(bucket).or_default();
        *entry = entry.saturating_add(count);
    }
}

/// The bucket of a value: its highest bit, and the two bits below it.
fn bucket(value: u64) -> u8 {
    let value = value.max(1);
    let exponent = value.ilog2();
    let quarter = if exponent < 2 { value << (2 - exponent) } else { value >> (exponent - 2) } & 3;
    (exponent as u8) << 2 | quarter as u8
}

/// The middle of a bucket.
fn middle(bucket: u8) -> u64 {
    let exponent = u32::from(bucket >> 2);
    let low = u128::from(4 + u64::from(bucket & 3)) << exponent >> 2;
    let width = 1_u128 << exponent >> 2;
    u64::try_from(low + width / 2).unwrap_or(u64::MAX)
}

fn push_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn split_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    for (index, &byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f).checked_shl(7 * index as u32)?;
        if byte < 0x80 {
            return Some((value, &bytes[index + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_within_an_eighth() {
        let mut histogram = Histogram::default();
        (1..=10_000).for_each(|value| histogram.add(value * 100));
        for (percent, exact) in [(1, 10_000_u64), (50, 500_000), (99, 990_000), (100, 1_000_000)] {
            let read = histogram.percentile(percent).unwrap();
            assert!(read.abs_diff(exact) <= exact / 8, "p{percent}: {read} against {exact}");
        }
    }

    #[test]
    fn extremes_have_buckets() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.median(), None);
        for value in [0, 1, 2, 3, 4, u64::MAX] {
            histogram.add(value);
        }
        assert_eq!(histogram.percentile(0), Some(1));
        assert!(histogram.percentile(255).unwrap() > u64::MAX / 8 * 7);
    }

    #[test]
    fn the_encoded_form_is_read_back_unchanged_and_merges() {
        let mut histogram = Histogram::default();
        (0..1000).for_each(|value| histogram.add(value * value));
        let mut read = Histogram::from_bytes(&histogram.to_bytes()).unwrap();
        assert_eq!(read, histogram);
        read.merge(&histogram);
        assert_eq!(read.count(), 2000);
    }

    #[test]
    fn cut_bytes_are_refused() {
        assert_eq!(Histogram::from_bytes(&[7]), None);
        assert_eq!(Histogram::from_bytes(&[7, 0x80]), None);
        assert_eq!(Histogram::from_bytes(&[7; 0]), Some(Histogram::default()));
        assert_eq!(Histogram::from_bytes(&[7, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255]), None);
    }
}
