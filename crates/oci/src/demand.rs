//! How much a request matters, and how much of a quota each rank leaves for those above it.

use crate::labels;

labels! {
    /// Ranks of demand, the most urgent first.
    Demand {
        /// A manifest by digest of a pull that has begun: without it, what was spent on the pull is lost.
        InProgress = "in_progress";
        /// A pull of something that is not here.
        NewPull = "new_pull";
        /// A tag whose manifest is here and has moved upstream.
        Revalidation = "revalidation";
        /// A pull nobody waits for: a warming pull, a probe.
        WarmUp = "warm_up";
    }
}

/// How much of a quota is kept for what matters more than keeping tags fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserve {
    /// A share of the limit the registry states, 0 to 100.
    Percent(u8),
    /// So many counted requests.
    Count(u64),
}

labels! {
    /// What to do with a request the quota does not allow.
    OnExhausted {
        /// Refuse it at once: nodes go on to the registry themselves.
        Release = "release";
        /// Hold it, within its deadline, until there is quota again.
        Hold = "hold";
    }
}

impl Reserve {
    /// The reserve of a quota with this limit, in counted requests. An unknown limit has no share.
    pub fn of(self, limit: Option<u64>) -> u64 {
        match self {
            Self::Percent(percent) => limit.unwrap_or(0).saturating_mul(u64::from(percent)) / 100,
            Self::Count(count) => count,
        }
    }
}

impl Default for Reserve {
    fn default() -> Self {
        Self::Percent(10)
    }
}

impl Demand {
    /// A counted request of this rank goes out only while more than this is left: warming stops at twice the reserve,
    /// revalidation at the reserve, new pulls at a quarter of it, and a pull that has begun may have the last.
    pub fn floor(self, reserve: u64) -> u64 {
        match self {
            Self::InProgress => 0,
            Self::NewPull => reserve / 4,
            Self::Revalidation => reserve,
            Self::WarmUp => reserve.saturating_mul(2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rank_leaves_more_than_the_one_above() {
        let floors = |reserve: Reserve, limit| Demand::ALL.iter().map(move |it| it.floor(reserve.of(limit)));
        assert!(floors(Reserve::default(), Some(100)).eq([0, 2, 10, 20]));
        assert!(floors(Reserve::Count(40), Some(100)).eq([0, 10, 40, 80]));
        assert!(floors(Reserve::Percent(100), Some(u64::MAX)).is_sorted());
        assert!(floors(Reserve::default(), None).eq([0; 4]));
        assert!(Demand::ALL.is_sorted());
    }
}
