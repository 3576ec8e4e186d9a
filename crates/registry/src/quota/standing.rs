//! The state of one quota: the registry's last statement of it, the requests sent since, and the pauses. Every method
//! takes the time as an argument.

use std::collections::VecDeque;
use std::time::Duration;

use oci::class::Class;
use tokio::time::Instant;

use crate::quota::headers::Quota;

/// One quota of one identity at one endpoint.
#[derive(Debug, Default)]
pub(super) struct Standing {
    statement: Option<Statement>,
    /// The send times of our counted requests, oldest first.
    spent: VecDeque<Instant>,
    /// Samples of the remaining pulls that the registry stated, at least [`SAMPLE_EVERY`] apart, oldest first.
    samples: VecDeque<(Instant, u64)>,
    /// The number of counted requests in flight.
    in_flight: u64,
    /// The number of counted requests that ended since the last statement and stated no quota themselves. The registry
    /// may have counted them after that statement.
    unsettled: u64,
    /// The pause of counted requests.
    pub(super) quota: Option<Pause>,
    /// The pause of all requests except token exchanges.
    pub(super) burst: Option<Pause>,
    /// The send time of the probe: the first request after the end of `burst`. Its answer shows whether the registry
    /// still refuses requests.
    probe: Option<Instant>,
    /// The pause of token exchanges.
    pub(super) login: Option<Pause>,
    /// The number of consecutive refusals noted by [`Self::too_fast`] that named no time.
    unnamed_refusals: u32,
    /// True after a refusal: counted requests go out one at a time, until one succeeds.
    one_at_a_time: bool,
}

/// The quota that an answer stated, and the time of the answer.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    pub(super) quota: Quota,
    /// The send time of the request.
    asked: Instant,
    pub(super) received: Instant,
    /// The time at which the statement becomes invalid: the end of a pause that the registry asked for after the
    /// statement. `None` if there was no such pause.
    expires: Option<Instant>,
}

/// A time in which requests of one kind are not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pause {
    /// The class of the refusal that began the pause.
    pub(super) class: Class,
    pub(super) until: Instant,
    /// True if the registry named the time; false if it is our default.
    pub(super) named: bool,
    /// For a pause of the pull quota: the last stated number of remaining requests when the pause began. A larger
    /// number in a later answer ends the pause.
    remaining: u64,
}

impl Standing {
    /// The number of counted requests that may still go out; `None` if no limit is known.
    ///
    /// This is the stated remainder, minus the requests that are in flight or may have been counted since. The send
    /// times of our own requests are known, so each is added again when it leaves the sliding window. Requests of other
    /// clients count as spent until a whole window has passed since the statement.
    pub(super) fn left(&self, now: Instant) -> Option<u64> {
        let statement = self
            .statement
            .as_ref()
            .filter(|statement| statement.expires.is_none_or(|expires| now < expires))?;
        let remaining = statement.quota.remaining?;
        let window = statement.quota.window;
        let validity = window.unwrap_or(STATEMENT_AGE_MAX);
        let open = self.in_flight + self.unsettled;
        if now.saturating_duration_since(statement.received) >= validity {
            let limit = statement.quota.limit.filter(|_| window.is_some())?;
            let within =
                self.spent.iter().filter(|at| now.saturating_duration_since(**at) < validity).count();
            return Some(limit.saturating_sub(within as u64).saturating_sub(self.in_flight));
        }
        let left_window = |at: &&Instant| {
            let then = statement.received.saturating_duration_since(**at);
            **at <= statement.received && then < validity && now.saturating_duration_since(**at) >= validity
        };
        let returned = window.map_or(0, |_| self.spent.iter().filter(left_window).count() as u64);
        let most = statement.quota.limit.unwrap_or(u64::MAX).max(remaining);
        Some((remaining + returned).min(most).saturating_sub(open))
    }

    /// Notes that a counted request is sent.
    pub(super) fn spend(&mut self, now: Instant) {
        self.in_flight += 1;
        if self.spent.len() == SPENT_MAX {
            self.spent.pop_front();
        }
        self.spent.push_back(now);
    }

    /// Undoes [`Self::spend`] for the counted request that was admitted at `asked` and was not sent.
    pub(super) fn take_back(&mut self, asked: Instant) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Some(at) = self.spent.iter().rposition(|at| *at == asked) {
            self.spent.remove(at);
        }
    }

    /// Notes the end of a request that was sent at `asked`, with the quota that its answer stated.
    pub(super) fn settle(&mut self, counted: bool, asked: Instant, quota: Option<&Quota>, now: Instant) {
        if counted {
            self.in_flight = self.in_flight.saturating_sub(1);
        }
        // The answer to the probe ends the pause. If the answer is a refusal, the caller notes it next, and that begins
        // a new pause.
        if self.burst.is_some_and(|pause| pause.until <= asked) {
            (self.burst, self.probe) = (None, None);
        }
        match quota {
            Some(quota) => self.note_quota(quota, asked, now),
            None if counted && self.statement.is_some() => self.unsettled += 1,
            None => {}
        }
        self.forget(now);
    }

    /// Notes that a request succeeded.
    pub(super) fn succeeded(&mut self, counted: bool) {
        self.unnamed_refusals = 0;
        if counted {
            self.one_at_a_time = false;
            self.quota = None;
        }
    }

    /// Notes a refusal because the pull quota is spent, even if the last statement allows more requests. `wait` is the
    /// time that the registry named. Held requests are sent again after `wait`, so `wait` is raised to at least
    /// [`QUOTA_PAUSE_MIN`].
    pub(super) fn refused(&mut self, wait: Option<Duration>, now: Instant) {
        let remaining = self.statement.as_ref().and_then(|statement| statement.quota.remaining).unwrap_or(0);
        let wait = wait.map(|wait| wait.max(QUOTA_PAUSE_MIN));
        let until = now + wait.unwrap_or(QUOTA_PAUSE).min(QUOTA_PAUSE_MAX);
        let pause = Pause { remaining, ..Pause::of(Class::RatePullQuota, wait, until) };
        if let Some(statement) = self.statement.as_mut().filter(|_| pause.named) {
            statement.expires = Some(pause.until);
        }
        self.one_at_a_time = true;
        self.quota = Some(pause.later(self.quota));
    }

    /// Notes a refusal because of too many requests at once. Each consecutive refusal that names no time doubles the
    /// pause.
    pub(super) fn too_fast(&mut self, class: Class, wait: Option<Duration>, now: Instant) {
        let paused = self.burst.is_some_and(|pause| now < pause.until);
        if wait.is_none() && !paused {
            self.unnamed_refusals += 1;
        }
        let doubled = BURST_PAUSE * (1 << self.unnamed_refusals.saturating_sub(1).min(10));
        let until = now + wait.unwrap_or(doubled.min(BURST_PAUSE_UNNAMED_MAX)).min(BURST_PAUSE_MAX);
        self.burst = Some(Pause::of(class, wait, until).later(self.burst));
    }

    /// Notes that a request is sent. The first one after the end of `burst` is its probe.
    pub(super) fn probe(&mut self, now: Instant) {
        if self.burst.is_some_and(|pause| pause.until <= now) {
            self.probe = Some(now);
        }
    }

    /// True while the probe after a pause is in flight, for at most [`PROBE_MAX`].
    pub(super) fn is_probed(&self, now: Instant) -> bool {
        self.burst.is_some() && self.probe.is_some_and(|at| now.saturating_duration_since(at) < PROBE_MAX)
    }

    /// Notes that the token endpoint refused with `class`: too many logins, or too many anonymous tokens.
    pub(super) fn login_refused(&mut self, class: Class, wait: Option<Duration>, now: Instant) {
        let default = if class == Class::RateLogin { LOGIN_PAUSE } else { TOKEN_PAUSE };
        let until = now + wait.unwrap_or(default).min(LOGIN_PAUSE_MAX);
        self.login = Some(Pause::of(class, wait, until).later(self.login));
    }

    /// True if a counted request must wait for the answer to another counted request. That answer shows whether there
    /// is quota again.
    pub(super) fn awaits_trial(&self) -> bool {
        self.one_at_a_time && self.in_flight > 0
    }

    pub(super) fn statement(&self) -> Option<&Statement> {
        self.statement.as_ref()
    }

    pub(super) fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// Counted requests a second, over the last [`RATE_PERIOD`]: the larger of our own rate and the decline that the
    /// registry's statements show. The decline includes the requests of others.
    pub(super) fn rate(&self, now: Instant) -> f64 {
        let age = |at: Instant| now.saturating_duration_since(at);
        let over = |since: Instant| age(since).clamp(RATE_PERIOD_MIN, RATE_PERIOD).as_secs_f64();
        let first = self.spent.partition_point(|at| age(*at) >= RATE_PERIOD);
        let ours = self.spent.get(first).map_or(0.0, |at| (self.spent.len() - first) as f64 / over(*at));
        let decline = match (self.samples.front(), self.samples.back()) {
            (Some((at, before)), Some((_, after))) => before.saturating_sub(*after) as f64 / over(*at),
            _ => 0.0,
        };
        ours.max(decline)
    }

    /// The time until the quota is spent at the present rate, after the `queued` requests are served.
    pub(super) fn empty_in(&self, queued: u64, now: Instant) -> Option<Duration> {
        let left = self.left(now)?.saturating_sub(queued) as f64;
        let seconds = left / self.rate(now);
        (seconds.is_finite() && seconds <= FORECAST_MAX.as_secs_f64())
            .then(|| Duration::from_secs_f64(seconds))
    }

    /// Stores the statement of an answer. An answer to an older request of the same source is stored only if it states
    /// fewer remaining pulls than the stored statement. A new source has a quota of its own, so the history is dropped.
    fn note_quota(&mut self, quota: &Quota, asked: Instant, now: Instant) {
        let source_changed =
            self.statement.as_ref().is_some_and(|statement| statement.quota.source != quota.source);
        if source_changed {
            self.spent.clear();
            self.samples.clear();
        }
        let overtaken = self.statement.as_ref().is_some_and(|statement| {
            !source_changed && asked < statement.asked && quota.remaining >= statement.quota.remaining
        });
        if overtaken {
            return;
        }
        self.unsettled = 0;
        self.statement = Some(Statement { quota: quota.clone(), asked, received: now, expires: None });
        let Some(remaining) = quota.remaining else { return };
        if self.quota.is_some_and(|pause| remaining > pause.remaining) {
            self.quota = None;
            self.one_at_a_time = false;
        }
        if self.samples.back().is_none_or(|(at, _)| now.saturating_duration_since(*at) >= SAMPLE_EVERY) {
            self.samples.push_back((now, remaining));
        }
    }

    /// Drops entries that are too old to matter.
    fn forget(&mut self, now: Instant) {
        let window =
            self.statement.as_ref().and_then(|statement| statement.quota.window).unwrap_or(STATEMENT_AGE_MAX);
        // Two windows, because [`Self::left`] gives back the requests that left the window after the last statement.
        let old = |at: Instant, age: Duration| now.saturating_duration_since(at) >= age;
        while self.spent.front().is_some_and(|at| old(*at, window.max(RATE_PERIOD) * 2)) {
            self.spent.pop_front();
        }
        while self.samples.front().is_some_and(|(at, _)| old(*at, RATE_PERIOD)) {
            self.samples.pop_front();
        }
    }
}

impl Pause {
    fn of(class: Class, wait: Option<Duration>, until: Instant) -> Self {
        Self { class, until, named: wait.is_some(), remaining: 0 }
    }

    /// The longer of two pauses, so that refusals that arrive out of order do not shorten a pause. A pause of the other
    /// kind (named or default) is replaced.
    fn later(self, other: Option<Self>) -> Self {
        match other {
            Some(other) if other.named == self.named && other.until > self.until => other,
            _ => self,
        }
    }
}

/// The pause of the pull quota after a refusal that names no time. Answers to free requests may end it earlier.
const QUOTA_PAUSE: Duration = Duration::from_secs(60);
/// The shortest pause of the pull quota. It bounds how often held requests are sent to a registry that keeps refusing.
const QUOTA_PAUSE_MIN: Duration = Duration::from_secs(1);
/// The longest pause of the pull quota. After it, one request is sent.
const QUOTA_PAUSE_MAX: Duration = Duration::from_secs(3600);
/// The first pause after a refusal of too many requests at once that names no time.
const BURST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause after such refusals. All documented limits of this kind are per minute.
const BURST_PAUSE_UNNAMED_MAX: Duration = Duration::from_secs(60);
/// The longest pause after too many requests at once, whatever time the registry names. One request probes after it.
const BURST_PAUSE_MAX: Duration = Duration::from_secs(600);
/// The longest time for which other requests wait for the answer to the probe.
const PROBE_MAX: Duration = Duration::from_secs(10);
/// The pause after a refused login that names no time: Docker Hub locks a user name for about ten minutes.
const LOGIN_PAUSE: Duration = Duration::from_secs(600);
/// The pause after a refusal of too many anonymous tokens that names no time.
const TOKEN_PAUSE: Duration = Duration::from_secs(2);
/// The longest pause of token exchanges, whatever time the registry names.
const LOGIN_PAUSE_MAX: Duration = Duration::from_secs(3600);
/// The time for which a statement without a window is valid.
const STATEMENT_AGE_MAX: Duration = Duration::from_secs(3600);
/// The period over which the rate of consumption is taken.
const RATE_PERIOD: Duration = Duration::from_secs(600);
/// The shortest time over which a rate is taken: a rate over less time would be a guess.
const RATE_PERIOD_MIN: Duration = Duration::from_secs(60);
/// The shortest time between two samples of the remaining quota.
const SAMPLE_EVERY: Duration = Duration::from_secs(10);
/// The longest forecast. A quota that lasts longer has no forecast.
const FORECAST_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
/// The number of own requests remembered. An older one counts as spent until a whole window has passed since the
/// statement.
const SPENT_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(21_600);

    fn quota(remaining: u64) -> Quota {
        quota_of(remaining, "192.0.2.7")
    }

    fn quota_of(remaining: u64, source: &str) -> Quota {
        let source = Some(source.to_owned());
        Quota { limit: Some(100), remaining: Some(remaining), window: Some(WINDOW), source }
    }

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Sends one counted request that is answered at once.
    fn get(standing: &mut Standing, remaining: u64, now: Instant) {
        standing.spend(now);
        standing.settle(true, now, Some(&quota(remaining)), now);
    }

    #[tokio::test]
    async fn without_headers_nothing_is_limited() {
        let (mut standing, now) = (Standing::default(), Instant::now());
        standing.spend(now);
        standing.settle(true, now, None, now);
        assert_eq!((standing.left(now), standing.empty_in(0, now)), (None, None));
        let only_limit = Quota { remaining: None, ..quota(0) };
        standing.settle(false, now, Some(&only_limit), now);
        assert_eq!(standing.left(now), None, "a limit alone does not say what is left");
    }

    #[tokio::test]
    async fn requests_in_flight_are_subtracted_from_the_remainder() {
        let (mut standing, now) = (Standing::default(), Instant::now());
        get(&mut standing, 20, now);
        standing.spend(now);
        standing.spend(now);
        assert_eq!(standing.left(now), Some(18));
        standing.settle(true, now, None, now);
        assert_eq!(standing.left(now), Some(18), "a request without a statement may have been counted");
        standing.settle(true, now, Some(&quota(17)), now);
        assert_eq!(standing.left(now), Some(17));
    }

    #[tokio::test]
    async fn a_request_that_was_not_sent_is_taken_back() {
        let (mut standing, now) = (Standing::default(), Instant::now());
        get(&mut standing, 20, now);
        standing.spend(now + secs(1));
        standing.spend(now + secs(2));
        standing.take_back(now + secs(1));
        assert_eq!((standing.left(now + secs(2)), standing.in_flight()), (Some(19), 1));
        assert!(standing.spent.iter().eq(&[now, now + secs(2)]), "it is not among the sent requests either");
    }

    #[tokio::test]
    async fn the_smaller_remainder_of_two_answers_out_of_order_counts() {
        let (mut standing, now) = (Standing::default(), Instant::now());
        standing.settle(false, now + secs(1), Some(&quota(8)), now + secs(2));
        standing.settle(false, now, Some(&quota(9)), now + secs(3));
        assert_eq!(standing.left(now + secs(3)), Some(8));
        standing.settle(false, now + secs(4), Some(&quota(30)), now + secs(5));
        assert_eq!(
            standing.left(now + secs(5)),
            Some(30),
            "the answer to a later request is the newer statement"
        );
    }

    #[tokio::test]
    async fn own_requests_come_back_when_they_leave_the_window_and_all_others_after_a_whole_window() {
        let (mut standing, now) = (Standing::default(), Instant::now());
        get(&mut standing, 50, now);
        get(&mut standing, 49, now + secs(600));
        assert_eq!(standing.left(now + WINDOW), Some(50), "the first is out of the window");
        assert_eq!(standing.left(now + WINDOW + secs(599)), Some(50));
        assert_eq!(standing.left(now + WINDOW + secs(600)), Some(100), "the statement is too old to count");
    }

    #[tokio::test]
    async fn each_source_has_its_own_quota() {
        let (mut standing, now) = (Standing::default(), Instant::now());
        get(&mut standing, 50, now);
        standing.settle(false, now, Some(&quota_of(3, "198.51.100.1")), now + secs(1));
        assert_eq!(standing.left(now + secs(1)), Some(3));
        assert_eq!(standing.left(now + WINDOW), Some(3), "requests of another source do not come back here");
    }

    #[tokio::test]
    async fn the_forecast_follows_the_rate_of_our_requests_or_of_all() {
        let (mut standing, now) = (Standing::default(), Instant::now());
        for n in 0..6 {
            get(&mut standing, 60 - n, now + secs(n * 10));
        }
        let now = now + secs(60);
        assert_eq!(standing.empty_in(0, now), Some(secs(550)), "55 left at 6 a minute");
        assert_eq!(standing.empty_in(50, now), Some(secs(50)), "queued requests go first");
        standing.settle(false, now, Some(&quota(30)), now);
        assert_eq!(standing.empty_in(0, now), Some(secs(60)), "30 left, and others spend 24 more");
        assert_eq!(Standing::default().empty_in(0, now), None);
    }

    #[tokio::test]
    async fn a_refusal_pauses_until_the_time_named_and_then_one_request_may_try() {
        let (mut standing, now) = (Standing::default(), Instant::now());
        get(&mut standing, 0, now);
        standing.refused(Some(secs(3)), now);
        assert_eq!(standing.quota.map(|pause| pause.until), Some(now + secs(3)));
        assert_eq!(standing.left(now + secs(2)), Some(0));
        assert_eq!(standing.left(now + secs(3)), None, "the older statement no longer holds");
        standing.spend(now + secs(3));
        assert!(standing.awaits_trial());
        standing.settle(true, now + secs(3), None, now + secs(3));
        standing.succeeded(true);
        assert!(!standing.awaits_trial() && standing.quota.is_none());
    }

    #[tokio::test]
    async fn a_refusal_that_names_less_than_a_second_pauses_for_a_second() {
        let (mut standing, now) = (Standing::default(), Instant::now());
        standing.refused(Some(Duration::ZERO), now);
        assert_eq!(standing.quota.map(|pause| pause.until), Some(now + secs(1)));
        standing.refused(Some(Duration::from_nanos(880_092)), now + secs(1));
        assert_eq!(standing.quota.map(|pause| pause.until), Some(now + secs(2)));
    }

    #[tokio::test]
    async fn a_free_request_whose_answer_states_more_quota_ends_the_pause() {
        let (mut standing, now) = (Standing::default(), Instant::now());
        get(&mut standing, 5, now);
        standing.refused(None, now);
        standing.settle(false, now + secs(1), Some(&quota(5)), now + secs(1));
        assert!(standing.quota.is_some(), "the registry refused with the same number left");
        standing.settle(false, now + secs(2), Some(&quota(6)), now + secs(2));
        assert!(standing.quota.is_none());
    }

    #[tokio::test]
    async fn a_named_pause_of_a_century_is_cut_to_an_hour_or_ten_minutes() {
        let (mut standing, now) = (Standing::default(), Instant::now());
        let century = Some(secs(100 * 365 * 86_400));
        standing.refused(century, now);
        standing.too_fast(Class::RateBurst, century, now);
        standing.login_refused(Class::RateLogin, century, now);
        let waits = [standing.quota, standing.burst, standing.login].map(|it| it.map(|it| it.until - now));
        assert_eq!(waits, [Some(secs(3600)), Some(secs(600)), Some(secs(3600))]);
    }

    #[tokio::test]
    async fn each_consecutive_refusal_that_names_no_time_doubles_the_pause() {
        let (mut standing, mut now) = (Standing::default(), Instant::now());
        let mut pause = |standing: &mut Standing| {
            standing.too_fast(Class::RateBurst, None, now);
            standing.too_fast(Class::RateBurst, None, now);
            let until = standing.burst.map_or(now, |pause| pause.until);
            let pause = (until - now).as_secs();
            now = until;
            pause
        };
        let pauses: Vec<_> = (0..8).map(|_| pause(&mut standing)).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60], "refusals within one pause count once");
        standing.succeeded(false);
        assert_eq!(pause(&mut standing), 1);
    }

    #[tokio::test]
    async fn the_memory_of_requests_is_bounded() {
        let (mut standing, now) = (Standing::default(), Instant::now());
        for n in 0..20_000 {
            get(&mut standing, 100, now + secs(n));
        }
        assert!(standing.spent.len() <= SPENT_MAX && standing.samples.len() <= 61);
    }

    #[test]
    fn after_a_pause_one_request_probes_and_its_answer_lets_the_others_go() {
        let mut standing = Standing::default();
        let now = Instant::now();
        standing.too_fast(Class::RatePullQuota, Some(Duration::from_secs(5)), now);
        standing.probe(now);
        assert!(!standing.is_probed(now), "nothing goes out in the pause");
        let later = now + Duration::from_secs(5);
        standing.probe(later);
        assert!(standing.is_probed(later));
        standing.settle(false, now, None, later);
        assert!(standing.is_probed(later), "the answer to a request from before the pause does not end it");
        standing.settle(false, later, None, later);
        assert!(!standing.is_probed(later) && standing.burst.is_none());
    }
}
