//! A set of ids as a bit set.

/// The largest id that a set holds: 64 million images take 8 MiB.
const ID_MAX: i64 = 64 << 20;

/// A set of ids of rows; ids below 0 and above [`ID_MAX`] are never in it.
#[derive(Debug, Default)]
pub(super) struct IdSet {
    words: Vec<u64>,
}

impl IdSet {
    /// Adds an id.
    pub(super) fn insert(&mut self, id: i64) {
        let Some((word, bit)) = place(id) else { return };
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= bit;
    }

    /// True if the id is in the set.
    pub(super) fn contains(&self, id: i64) -> bool {
        place(id).and_then(|(word, bit)| self.words.get(word).map(|bits| bits & bit != 0)).unwrap_or(false)
    }
}

fn place(id: i64) -> Option<(usize, u64)> {
    let id = usize::try_from(id).ok().filter(|_| id <= ID_MAX)?;
    Some((id / 64, 1 << (id % 64)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_contains_the_ids_that_were_added() {
        let mut set = IdSet::default();
        for id in [0, 1, 63, 64, 100_000, ID_MAX, ID_MAX + 1, -1, i64::MAX, i64::MIN] {
            set.insert(id);
        }
        let ids = [0, 1, 2, 63, 64, 65, 100_000, ID_MAX, ID_MAX + 1, -1, i64::MAX, i64::MIN];
        let held: Vec<i64> = ids.into_iter().filter(|id| set.contains(*id)).collect();
        assert_eq!(held, [0, 1, 63, 64, 100_000, ID_MAX]);
    }
}
