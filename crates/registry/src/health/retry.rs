//! Limits the number of retries: to a tenth of the first requests, or to three in a window if there are few.
//!
//! A request that is sent again after the same request failed is a retry: the second try of a fill after a reset, its
//! further tries without progress, the second request for a blob URL that expired. A hedge counts too. These do not
//! count, because they repeat nothing or are bounded otherwise: a request to the next endpoint, the answer to a
//! challenge, the repeat after a dead pooled connection (at most one for each idle connection), the first request for
//! the rest of a body that brought bytes, and a request that a breaker refused.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// The budget of one upstream, over the last [`RetryBudget::WINDOW`]. Every method takes the time as an argument.
#[derive(Debug, Default)]
pub(crate) struct RetryBudget {
    /// The counts of each [`SLOT`] of the window, oldest first.
    slots: VecDeque<Slot>,
}

#[derive(Debug)]
struct Slot {
    begun: Instant,
    requests: u64,
    retries: u64,
}

impl RetryBudget {
    /// The time over which requests and retries are compared.
    pub(crate) const WINDOW: Duration = Duration::from_secs(10);
    /// The number of retries allowed in a window with few requests.
    pub(crate) const FLOOR: u64 = 3;
    /// The number of requests that earn one retry.
    pub(crate) const REQUESTS_PER_RETRY: u64 = 10;

    /// Counts a first request.
    pub(crate) fn request(&mut self, now: Instant) {
        self.slot(now).requests += 1;
    }

    /// Takes one retry out of the budget. False if the budget is spent: the request must not be repeated.
    pub(crate) fn spend(&mut self, now: Instant) -> bool {
        self.slot(now);
        let (requests, retries) =
            self.slots.iter().fold((0, 0), |sum, it| (sum.0 + it.requests, sum.1 + it.retries));
        let allowed = retries < (requests / Self::REQUESTS_PER_RETRY).max(Self::FLOOR);
        if allowed {
            self.slot(now).retries += 1;
        }
        allowed
    }

    /// The slot of the present time. Removes the slots that left the window.
    fn slot(&mut self, now: Instant) -> &mut Slot {
        while self.slots.front().is_some_and(|slot| now.duration_since(slot.begun) >= Self::WINDOW) {
            self.slots.pop_front();
        }
        let current = self.slots.back().is_some_and(|slot| now.duration_since(slot.begun) < SLOT);
        if !current {
            self.slots.push_back(Slot { begun: now, requests: 0, retries: 0 });
        }
        self.slots.back_mut().expect("invariant: a slot was pushed if there was none")
    }
}

/// The length of a slot.
const SLOT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn spent(budget: &mut RetryBudget, now: Instant, tries: usize) -> usize {
        (0..tries).filter(|_| budget.spend(now)).count()
    }

    #[test]
    fn three_retries_are_allowed_with_few_requests() {
        let mut budget = RetryBudget::default();
        let now = Instant::now();
        budget.request(now);
        assert_eq!(spent(&mut budget, now, 50), 3);
        assert_eq!(spent(&mut budget, now + Duration::from_millis(9_900), 50), 0);
        assert_eq!(spent(&mut budget, now + Duration::from_secs(10), 50), 3);
    }

    #[test]
    fn a_tenth_of_many_requests_may_be_repeated() {
        let mut budget = RetryBudget::default();
        let begun = Instant::now();
        for i in 0..1000 {
            budget.request(begun + Duration::from_millis(5 * i));
        }
        let now = begun + Duration::from_secs(5);
        assert_eq!(spent(&mut budget, now, 1000), 100);
        assert_eq!(
            spent(&mut budget, now + Duration::from_secs(20), 1000),
            3,
            "the requests have left the window"
        );
    }

    #[test]
    fn an_hour_of_failures_repeats_three_requests_in_any_ten_seconds() {
        let mut budget = RetryBudget::default();
        let begun = Instant::now();
        let mut retried = Vec::new();
        for second in 0..3600 {
            let now = begun + Duration::from_secs(second);
            budget.request(now);
            retried.extend((0..5).filter(|_| budget.spend(now)).map(|_| second));
        }
        for at in 0..3590 {
            let window = retried.iter().filter(|second| (at..at + 10).contains(*second)).count();
            assert!(window <= 3, "{window} retries in the ten seconds from {at}");
        }
    }
}
