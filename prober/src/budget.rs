//! The budget of counted requests for probing: at most a share of the quota that a registry states.

use std::collections::VecDeque;
use std::time::Duration;

use registry::Quota;
use tokio::time::Instant;

/// The counted requests so far, and the limit that the registry stated last.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    spent: VecDeque<Instant>,
    stated: Option<Stated>,
}

#[derive(Clone, Copy, Debug)]
struct Stated {
    limit: u64,
    window: Duration,
}

impl Budget {
    /// Notes the quota that an answer stated. An answer without quota headers changes nothing.
    pub(crate) fn learn(&mut self, quota: Option<&Quota>) {
        if let Some(Quota { limit: Some(limit), window, .. }) = quota {
            self.stated = Some(Stated { limit: *limit, window: window.unwrap_or(WINDOW) });
        }
    }

    /// Spends one counted request if the prober stays within its share of the limit. If it returns `false`, the request
    /// must not be sent.
    pub(crate) fn spend(&mut self, now: Instant) -> bool {
        let Some((count, window)) = self.stated.map(Stated::share) else {
            return true;
        };
        while self.spent.front().is_some_and(|at| now.saturating_duration_since(*at) >= window) {
            self.spent.pop_front();
        }
        let allowed = self.spent.len() < count;
        if allowed {
            self.spent.push_back(now);
        }
        allowed
    }
}

impl Stated {
    /// The number of allowed requests, and the time span in which they are allowed. If the share of the limit is below
    /// one request, one request is allowed in several windows.
    fn share(self) -> (usize, Duration) {
        let share = self.limit as f64 * SHARE;
        if share >= 1.0 {
            return (share as usize, self.window);
        }
        let windows = if self.limit == 0 { WINDOWS_MAX } else { (1.0 / share).min(WINDOWS_MAX) };
        (1, self.window.mul_f64(windows))
    }
}

/// The share of a stated limit that probing may use.
const SHARE: f64 = 0.05;
/// Window of a limit that is stated without one: six hours, as Docker Hub documents its own.
const WINDOW: Duration = Duration::from_secs(6 * 3600);
/// Even with the smallest limit, one counted request is allowed in this many windows.
const WINDOWS_MAX: f64 = 100.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(limit: u64) -> Budget {
        let mut budget = Budget::default();
        let quota = Quota {
            limit: Some(limit),
            remaining: None,
            window: Some(Duration::from_secs(3600)),
            source: None,
        };
        budget.learn(Some(&quota));
        budget
    }

    fn spent_in(budget: &mut Budget, hours: u64) -> usize {
        let start = Instant::now();
        (0..hours * 60).filter(|minute| budget.spend(start + Duration::from_secs(60 * minute))).count()
    }

    #[tokio::test]
    async fn the_budget_is_five_percent_of_the_limit_in_its_window() {
        assert_eq!(spent_in(&mut budget(100), 1), 5);
        assert_eq!(spent_in(&mut budget(100), 3), 15);
    }

    #[tokio::test]
    async fn a_small_limit_allows_one_request_in_several_windows() {
        assert_eq!(spent_in(&mut budget(10), 4), 2);
    }

    #[tokio::test]
    async fn without_a_stated_limit_nothing_is_refused() {
        assert!((0..1000).all(|_| Budget::default().spend(Instant::now())));
    }
}
