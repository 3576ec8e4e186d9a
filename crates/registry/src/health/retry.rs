//! Limits repeated requests: to a tenth of the first requests, and to a few if there are few first requests.
//!
//! Counted are requests sent again after the same request failed: a fill's second try after a reset, its further tries
//! without progress, the second asking for an expired blob URL, a hedge. Not counted, because nothing is repeated or it
//! is bounded otherwise: the next endpoint, the answer to a challenge, a pooled connection found dead (at most one for
//! each idle connection), the first request for the rest of a body that brought bytes, and what a breaker kept from
//! going out.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// The budget of one upstream, over the last [`RetryBudget::WINDOW`]; time is an argument.
#[derive(Debug, Default)]
pub(crate) struct RetryBudget {
    /// By tenths of the window, oldest first.
    slots: VecDeque<Slot>,
}

#[derive(Debug)]
struct Slot {
    begun: Instant,
    requests: u64,
    retries: u64,
}

impl RetryBudget {
    /// Over which requests and retries are compared.
    pub(crate) const WINDOW: Duration = Duration::from_secs(10);
    /// Retries in a window that are allowed however little is asked.
    pub(crate) const FLOOR: u64 = 3;
    /// The number of requests that earn one retry.
    pub(crate) const REQUESTS_PER_RETRY: u64 = 10;

    /// Takes note of a request.
    pub(crate) fn request(&mut self, now: Instant) {
        self.slot(now).requests += 1;
    }

    /// Takes one retry out of the budget; `false`: it is spent, do not ask again.
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

    /// The slot of now; those that left the window are forgotten.
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
    fn a_few_retries_are_allowed_when_little_is_asked() {
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
        assert_eq!(spent(&mut budget, now + Duration::from_secs(20), 1000), 3, "the requests are long ago");
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
