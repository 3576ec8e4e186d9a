//! The ranks of requests by urgency, and the part of a quota that each rank must leave for more urgent ones.

use crate::labels;

labels! {
    /// Ranks of demand, most urgent first.
    Demand {
        /// A manifest by digest for a pull that has begun: if it fails, the requests already spent on the pull are
        /// lost.
        InProgress = "in_progress";
        /// A pull of content that is not cached.
        NewPull = "new_pull";
        /// A tag whose manifest is cached and has moved upstream.
        Revalidation = "revalidation";
        /// A pull that no client waits for: a warming pull or a probe.
        WarmUp = "warm_up";
    }
}

/// The part of a quota that is kept for pulls, and not used to keep tags fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserve {
    /// A share of the limit that the registry states, in percent (0 to 100).
    Percent(u8),
    /// A number of counted requests.
    Count(u64),
}

labels! {
    /// The action for a request that the quota does not allow.
    OnExhausted {
        /// Refuse it at once; nodes then ask the registry directly.
        Release = "release";
        /// Hold it, within its deadline, until the quota allows it again.
        Hold = "hold";
    }
}

impl Reserve {
    /// The reserve for a quota with this limit, in counted requests. A percentage of an unknown limit is 0.
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
    /// A counted request of this rank is sent only while more than this number of requests is left. Warming stops at
    /// twice the reserve, revalidation at the reserve, new pulls at a quarter of it; a pull that has begun may use
    /// the last request.
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
    fn each_rank_leaves_at_least_as_much_as_the_more_urgent_one() {
        let floors = |reserve: Reserve, limit| Demand::ALL.iter().map(move |it| it.floor(reserve.of(limit)));
        assert!(floors(Reserve::default(), Some(100)).eq([0, 2, 10, 20]));
        assert!(floors(Reserve::Count(40), Some(100)).eq([0, 10, 40, 80]));
        assert!(floors(Reserve::Percent(100), Some(u64::MAX)).is_sorted());
        assert!(floors(Reserve::default(), None).eq([0; 4]));
        assert!(Demand::ALL.is_sorted());
    }
}
