//! The bytes of a blob that have arrived: disjoint intervals, in order, in a [`RangeSet`].

use std::ops::Range;

use rangemap::RangeSet;
use serde::{Deserialize, Serialize};

/// A set of bytes, as intervals that neither overlap nor touch. On disk it is a list of pairs of start and end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<(u64, u64)>", into = "Vec<(u64, u64)>")]
pub struct Spans(RangeSet<u64>);

impl Spans {
    /// Adds the bytes of `range`.
    pub fn insert(&mut self, range: Range<u64>) {
        if !range.is_empty() {
            self.0.insert(range);
        }
    }

    /// Forgets every byte from `end` on.
    pub fn cut(&mut self, end: u64) {
        if end < u64::MAX {
            self.0.remove(end..u64::MAX);
        }
    }

    /// The end of the interval that contains `at`; `at` itself if no interval does.
    pub fn end_from(&self, at: u64) -> u64 {
        self.0.get(&at).map_or(at, |span| span.end)
    }

    /// The start of the next interval that begins after `at`.
    pub fn next_after(&self, at: u64) -> Option<u64> {
        self.0.overlapping(at..u64::MAX).map(|span| span.start).find(|start| *start > at)
    }

    /// The end of the last interval that ends at or before `at`; 0 if there is none.
    pub fn last_before(&self, at: u64) -> u64 {
        self.0.overlapping(0..at).map(|span| span.end).rev().find(|end| *end <= at).unwrap_or(0)
    }

    /// The number of bytes in the set.
    pub fn total(&self) -> u64 {
        self.0.iter().map(|span| span.end - span.start).sum()
    }

    /// The end of the last interval; 0 if the set is empty.
    pub fn end(&self) -> u64 {
        self.0.last().map_or(0, |span| span.end)
    }
}

/// Accepts any list, also one with unordered or overlapping intervals: it comes from a file, which may be damaged.
impl From<Vec<(u64, u64)>> for Spans {
    fn from(intervals: Vec<(u64, u64)>) -> Self {
        let spans = intervals.into_iter().map(|(start, end)| start..end);
        Self(spans.filter(|span| !span.is_empty()).collect())
    }
}

impl From<Spans> for Vec<(u64, u64)> {
    fn from(spans: Spans) -> Self {
        spans.0.into_iter().map(|span| (span.start, span.end)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: u64 = 64;

    /// The same set as an array with one flag for each byte.
    struct Model([bool; SIZE as usize]);

    impl Model {
        fn set(&mut self, range: Range<u64>, there: bool) {
            self.0[range.start as usize..range.end as usize].fill(there);
        }

        fn end_from(&self, at: u64) -> u64 {
            (at..SIZE).find(|byte| !self.0[*byte as usize]).unwrap_or(SIZE.max(at))
        }

        fn starts(&self) -> impl Iterator<Item = u64> + '_ {
            (0..SIZE).filter(|byte| self.0[*byte as usize] && (*byte == 0 || !self.0[*byte as usize - 1]))
        }

        fn ends(&self) -> impl DoubleEndedIterator<Item = u64> + '_ {
            (1..=SIZE).filter(|end| self.0[*end as usize - 1] && (*end == SIZE || !self.0[*end as usize]))
        }
    }

    #[test]
    fn a_set_holds_the_same_bytes_as_a_list_of_bytes_after_random_operations() {
        for seed in 0..60 {
            let mut random = fastrand::Rng::with_seed(seed);
            let (mut spans, mut model) = (Spans::default(), Model([false; SIZE as usize]));
            for _ in 0..40 {
                let start = random.u64(0..=SIZE);
                let end = random.u64(start..=SIZE);
                if random.u8(0..8) == 0 {
                    spans.cut(start);
                    model.set(start..SIZE, false);
                } else {
                    spans.insert(start..end);
                    model.set(start..end, true);
                }
                assert_same(&spans, &model);
            }
        }
    }

    fn assert_same(spans: &Spans, model: &Model) {
        assert_eq!(spans.total(), model.0.iter().filter(|there| **there).count() as u64);
        assert_eq!(spans.end(), model.ends().next_back().unwrap_or(0));
        for at in 0..SIZE {
            assert_eq!(spans.end_from(at), model.end_from(at), "{spans:?} from {at}");
            assert_eq!(
                spans.next_after(at),
                model.starts().find(|start| *start > at),
                "{spans:?} after {at}"
            );
            let before = model.ends().rev().find(|end| *end <= at).unwrap_or(0);
            assert_eq!(spans.last_before(at), before, "{spans:?} before {at}");
        }
        let read: Spans = Vec::<(u64, u64)>::from(spans.clone()).into();
        assert_eq!(read, *spans);
    }

    #[test]
    fn any_list_in_a_file_is_accepted() {
        for (said, total) in
            [("[]", 0), ("[[5,3]]", 0), ("[[4,9],[0,4],[2,6]]", 9), ("[[0,18446744073709551615]]", u64::MAX)]
        {
            let spans: Spans = serde_json::from_str(said).expect("a list");
            assert_eq!(spans.total(), total, "{said}");
        }
    }
}
