//! The state of one quota: the registry's last statement, the requests sent since, and the pauses.
//! Pure: every method takes the time.

use std::collections::VecDeque;
use std::time::Duration;

use oci::class::Class;
use tokio::time::Instant;

use crate::quota::headers::Quota;

/// One quota of one identity at one endpoint.
#[derive(Debug, Default)]
pub(super) struct Standing {
    word: Option<Word>,
    /// Our own counted requests, oldest first.
    spent: VecDeque<Instant>,
    /// The remaining pulls that the registry stated, at times far enough apart, oldest first.
    samples: VecDeque<(Instant, u64)>,
    /// Counted requests on their way.
    in_flight: u64,
    /// Counted requests since the registry last stated the quota. Their answers did not state it, so they may have
    /// counted.
    unsettled: u64,
    /// While it lasts, no counted request goes out.
    pub(super) quota: Option<Pause>,
    /// While it lasts, nothing but token exchanges goes out.
    pub(super) burst: Option<Pause>,
    /// When the request went out that finds out, after the end of `burst`, whether the registry still refuses.
    probe: Option<Instant>,
    /// While it lasts, no token is exchanged.
    pub(super) login: Option<Pause>,
    /// Refusals in a row because requests came too fast, without a time named.
    strikes: u32,
    /// After a refusal: one counted request at a time, until one is answered well.
    on_trial: bool,
}

/// The quota an answer stated, and the time of the answer.
#[derive(Clone, Debug)]
pub(super) struct Word {
    pub(super) quota: Quota,
    /// When the request was sent that it answered.
    asked: Instant,
    pub(super) heard: Instant,
    /// When it ceases to hold: the end of the pause that the registry asked for afterwards.
    void: Option<Instant>,
}

/// How long to stay away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pause {
    /// Of the refusal that began it.
    pub(super) class: Class,
    pub(super) until: Instant,
    /// True if the registry named the time; false if it is our guess.
    pub(super) told: bool,
    /// The requests that were left when the registry refused and the quota's pause began. A larger number in an answer
    /// ends the pause.
    remaining: u64,
}

impl Standing {
    /// Counted requests that may still go out, as far as is known; `None` is without limit.
    ///
    /// The stated remainder, less the requests that are on their way or may have counted since. Of the window only our own requests are
    /// known to roll out of it; what others spent counts as spent until the whole window has passed since the word.
    pub(super) fn left(&self, now: Instant) -> Option<u64> {
        let word = self.word.as_ref().filter(|word| word.void.is_none_or(|void| now < void))?;
        let remaining = word.quota.remaining?;
        let window = word.quota.window;
        let believed = window.unwrap_or(WORD_AGE_MAX);
        let open = self.in_flight + self.unsettled;
        if now.saturating_duration_since(word.heard) >= believed {
            let limit = word.quota.limit.filter(|_| window.is_some())?;
            let within =
                self.spent.iter().filter(|at| now.saturating_duration_since(**at) < believed).count();
            return Some(limit.saturating_sub(within as u64).saturating_sub(self.in_flight));
        }
        let rolled_out = |at: &&Instant| {
            let then = word.heard.saturating_duration_since(**at);
            **at <= word.heard && then < believed && now.saturating_duration_since(**at) >= believed
        };
        let returned = window.map_or(0, |_| self.spent.iter().filter(rolled_out).count() as u64);
        let most = word.quota.limit.unwrap_or(u64::MAX).max(remaining);
        Some((remaining + returned).min(most).saturating_sub(open))
    }

    /// A counted request goes out.
    pub(super) fn spend(&mut self, now: Instant) {
        self.in_flight += 1;
        if self.spent.len() == SPENT_MAX {
            self.spent.pop_front();
        }
        self.spent.push_back(now);
    }

    /// The counted request that was to go out at `asked` did not.
    pub(super) fn take_back(&mut self, asked: Instant) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Some(at) = self.spent.iter().rposition(|at| *at == asked) {
            self.spent.remove(at);
        }
    }

    /// A request that was sent at `asked` has ended with this word on the quota, or without any.
    pub(super) fn settle(&mut self, counted: bool, asked: Instant, quota: Option<&Quota>, now: Instant) {
        if counted {
            self.in_flight = self.in_flight.saturating_sub(1);
        }
        // The answer to the probe ends the pause; a refusal, which is noted after this, begins the next.
        if self.burst.is_some_and(|pause| pause.until <= asked) {
            (self.burst, self.probe) = (None, None);
        }
        match quota {
            Some(quota) => self.hear(quota, asked, now),
            None if counted && self.word.is_some() => self.unsettled += 1,
            None => {}
        }
        self.forget(now);
    }

    /// A request was answered well.
    pub(super) fn succeeded(&mut self, counted: bool) {
        self.strikes = 0;
        if counted {
            self.on_trial = false;
            self.quota = None;
        }
    }

    /// The pull quota is spent, whatever was told before. `wait` is the registry's wish; those held ask again after it, so
    /// a wish for no time at all is not taken at its word.
    pub(super) fn refused(&mut self, wait: Option<Duration>, now: Instant) {
        let remaining = self.word.as_ref().and_then(|word| word.quota.remaining).unwrap_or(0);
        let wait = wait.map(|wait| wait.max(QUOTA_PAUSE_MIN));
        let until = now + wait.unwrap_or(QUOTA_PAUSE).min(QUOTA_PAUSE_MAX);
        let pause = Pause { remaining, ..Pause::of(Class::RatePullQuota, wait, until) };
        if let Some(word) = self.word.as_mut().filter(|_| pause.told) {
            word.void = Some(pause.until);
        }
        self.on_trial = true;
        self.quota = Some(pause.later(self.quota));
    }

    /// Too many requests at once. Where no time is named, each refusal in a row doubles the pause.
    pub(super) fn too_fast(&mut self, class: Class, wait: Option<Duration>, now: Instant) {
        let paused = self.burst.is_some_and(|pause| now < pause.until);
        if wait.is_none() && !paused {
            self.strikes += 1;
        }
        let doubled = BURST_PAUSE * (1 << self.strikes.saturating_sub(1).min(10));
        let until = now + wait.unwrap_or(doubled.min(BURST_PAUSE_UNTOLD_MAX)).min(BURST_PAUSE_MAX);
        self.burst = Some(Pause::of(class, wait, until).later(self.burst));
    }

    /// A request goes out: the first after the end of the pause is its probe.
    pub(super) fn probe(&mut self, now: Instant) {
        if self.burst.is_some_and(|pause| pause.until <= now) {
            self.probe = Some(now);
        }
    }

    /// True while the probe after a pause is on its way, for a limited time.
    pub(super) fn is_probed(&self, now: Instant) -> bool {
        self.burst.is_some() && self.probe.is_some_and(|at| now.saturating_duration_since(at) < PROBE_MAX)
    }

    /// The token endpoint refused with `class`: too many logins, or too many anonymous tokens.
    pub(super) fn login_refused(&mut self, class: Class, wait: Option<Duration>, now: Instant) {
        let default = if class == Class::RateLogin { LOGIN_PAUSE } else { TOKEN_PAUSE };
        let until = now + wait.unwrap_or(default).min(LOGIN_PAUSE_MAX);
        self.login = Some(Pause::of(class, wait, until).later(self.login));
    }

    /// True if a counted request must wait for the answer to another, which will tell whether there is quota again.
    pub(super) fn awaits_trial(&self) -> bool {
        self.on_trial && self.in_flight > 0
    }

    pub(super) fn word(&self) -> Option<&Word> {
        self.word.as_ref()
    }

    pub(super) fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// Counted requests a second, over the last minutes: ours, or what the registry's own words show, if others spend
    /// as well.
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

    /// The time for which the remaining requests will last at the present rate, after the `queued` ones are served.
    pub(super) fn empty_in(&self, queued: u64, now: Instant) -> Option<Duration> {
        let left = self.left(now)?.saturating_sub(queued) as f64;
        let seconds = left / self.rate(now);
        (seconds.is_finite() && seconds <= FORECAST_MAX.as_secs_f64())
            .then(|| Duration::from_secs_f64(seconds))
    }

    /// The answer to the latest request counts; of answers that overtook each other, the one that leaves less.
    fn hear(&mut self, quota: &Quota, asked: Instant, now: Instant) {
        let other_source = self.word.as_ref().is_some_and(|word| word.quota.source != quota.source);
        if other_source {
            self.spent.clear();
            self.samples.clear();
        }
        let overtaken = self.word.as_ref().is_some_and(|word| {
            !other_source && asked < word.asked && quota.remaining >= word.quota.remaining
        });
        if overtaken {
            return;
        }
        self.unsettled = 0;
        self.word = Some(Word { quota: quota.clone(), asked, heard: now, void: None });
        let Some(remaining) = quota.remaining else { return };
        if self.quota.is_some_and(|pause| remaining > pause.remaining) {
            self.quota = None;
            self.on_trial = false;
        }
        if self.samples.back().is_none_or(|(at, _)| now.saturating_duration_since(*at) >= SAMPLE_EVERY) {
            self.samples.push_back((now, remaining));
        }
    }

    /// Forgets entries that are too old to matter.
    fn forget(&mut self, now: Instant) {
        let window = self.word.as_ref().and_then(|word| word.quota.window).unwrap_or(WORD_AGE_MAX);
        // Twice the window: what has rolled out of it after the last word is still needed to say so.
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
        Self { class, until, told: wait.is_some(), remaining: 0 }
    }

    /// Refusals that overtook each other do not shorten what one of them asked for.
    fn later(self, other: Option<Self>) -> Self {
        match other {
            Some(other) if other.told == self.told && other.until > self.until => other,
            _ => self,
        }
    }
}

/// How long the pull quota is left alone after a refusal that names no time. Free answers may end it before.
const QUOTA_PAUSE: Duration = Duration::from_secs(60);
/// However short the registry says: those held ask for a manifest once in this time, however long it goes on refusing.
const QUOTA_PAUSE_MIN: Duration = Duration::from_secs(1);
/// However long the registry says: after an hour one request may try.
const QUOTA_PAUSE_MAX: Duration = Duration::from_secs(3600);
/// After too many requests at once without a time named.
const BURST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause where no time is named: it is a limit per minute, everywhere it is documented.
const BURST_PAUSE_UNTOLD_MAX: Duration = Duration::from_secs(60);
/// Longest pause however long the registry says: ten minutes, after which one request looks.
const BURST_PAUSE_MAX: Duration = Duration::from_secs(600);
/// Longest time for which others wait for the probe after a pause.
const PROBE_MAX: Duration = Duration::from_secs(10);
/// After a refused login without a time named: Docker Hub locks a user name for about ten minutes.
const LOGIN_PAUSE: Duration = Duration::from_secs(600);
/// After too many anonymous tokens without a time named.
const TOKEN_PAUSE: Duration = Duration::from_secs(2);
/// However long the registry says.
const LOGIN_PAUSE_MAX: Duration = Duration::from_secs(3600);
/// How long a word is believed that names no window.
const WORD_AGE_MAX: Duration = Duration::from_secs(3600);
/// Over which the rate of consumption is taken.
const RATE_PERIOD: Duration = Duration::from_secs(600);
/// A rate taken over less would be a guess.
const RATE_PERIOD_MIN: Duration = Duration::from_secs(60);
/// The time between two samples of the remaining quota that the registry states.
const SAMPLE_EVERY: Duration = Duration::from_secs(10);
/// A quota that lasts longer than this does not run dry.
const FORECAST_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
/// Own requests remembered; of those forgotten it is not known when they roll out of the window.
const SPENT_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(21_600);

    fn quota(remaining: u64) -> Quota {
        said(remaining, "192.0.2.7")
    }

    fn said(remaining: u64, source: &str) -> Quota {
        let source = Some(source.to_owned());
        Quota { limit: Some(100), remaining: Some(remaining), window: Some(WINDOW), source }
    }

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// One counted request that is answered at once.
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
    async fn what_is_on_its_way_is_not_left() {
        let (mut standing, now) = (Standing::default(), Instant::now());
        get(&mut standing, 20, now);
        standing.spend(now);
        standing.spend(now);
        assert_eq!(standing.left(now), Some(18));
        standing.settle(true, now, None, now);
        assert_eq!(standing.left(now), Some(18), "an answer without a word may have counted");
        standing.settle(true, now, Some(&quota(17)), now);
        assert_eq!(standing.left(now), Some(17));
    }

    #[tokio::test]
    async fn what_was_not_sent_is_taken_back() {
        let (mut standing, now) = (Standing::default(), Instant::now());
        get(&mut standing, 20, now);
        standing.spend(now + secs(1));
        standing.spend(now + secs(2));
        standing.take_back(now + secs(1));
        assert_eq!((standing.left(now + secs(2)), standing.in_flight()), (Some(19), 1));
        assert!(standing.spent.iter().eq(&[now, now + secs(2)]), "it does not roll out of the window either");
    }

    #[tokio::test]
    async fn answers_that_overtake_each_other_leave_the_smaller() {
        let (mut standing, now) = (Standing::default(), Instant::now());
        standing.settle(false, now + secs(1), Some(&quota(8)), now + secs(2));
        standing.settle(false, now, Some(&quota(9)), now + secs(3));
        assert_eq!(standing.left(now + secs(3)), Some(8));
        standing.settle(false, now + secs(4), Some(&quota(30)), now + secs(5));
        assert_eq!(standing.left(now + secs(5)), Some(30), "a later question's answer is the newer word");
    }

    #[tokio::test]
    async fn our_own_requests_come_back_as_they_roll_out_and_the_rest_with_the_window() {
        let (mut standing, now) = (Standing::default(), Instant::now());
        get(&mut standing, 50, now);
        get(&mut standing, 49, now + secs(600));
        assert_eq!(standing.left(now + WINDOW), Some(50), "the first is out of the window");
        assert_eq!(standing.left(now + WINDOW + secs(599)), Some(50));
        assert_eq!(standing.left(now + WINDOW + secs(600)), Some(100), "nothing told still counts");
    }

    #[tokio::test]
    async fn another_source_is_another_quota() {
        let (mut standing, now) = (Standing::default(), Instant::now());
        get(&mut standing, 50, now);
        standing.settle(false, now, Some(&said(3, "198.51.100.1")), now + secs(1));
        assert_eq!(standing.left(now + secs(1)), Some(3));
        assert_eq!(standing.left(now + WINDOW), Some(3), "what we spent as another comes not back here");
    }

    #[tokio::test]
    async fn the_forecast_follows_what_is_spent_by_us_or_by_others() {
        let (mut standing, now) = (Standing::default(), Instant::now());
        for n in 0..6 {
            get(&mut standing, 60 - n, now + secs(n * 10));
        }
        let now = now + secs(60);
        assert_eq!(standing.empty_in(0, now), Some(secs(550)), "55 left at 6 a minute");
        assert_eq!(standing.empty_in(50, now), Some(secs(50)), "what is queued goes first");
        standing.settle(false, now, Some(&quota(30)), now);
        assert_eq!(standing.empty_in(0, now), Some(secs(60)), "30 left, and others spend 24 more");
        assert_eq!(Standing::default().empty_in(0, now), None);
    }

    #[tokio::test]
    async fn a_refusal_pauses_until_the_time_named_and_then_one_may_try() {
        let (mut standing, now) = (Standing::default(), Instant::now());
        get(&mut standing, 0, now);
        standing.refused(Some(secs(3)), now);
        assert_eq!(standing.quota.map(|pause| pause.until), Some(now + secs(3)));
        assert_eq!(standing.left(now + secs(2)), Some(0));
        assert_eq!(standing.left(now + secs(3)), None, "what was told before holds no longer");
        standing.spend(now + secs(3));
        assert!(standing.awaits_trial());
        standing.settle(true, now + secs(3), None, now + secs(3));
        standing.succeeded(true);
        assert!(!standing.awaits_trial() && standing.quota.is_none());
    }

    #[tokio::test]
    async fn a_refusal_for_no_time_at_all_pauses_for_a_second() {
        let (mut standing, now) = (Standing::default(), Instant::now());
        standing.refused(Some(Duration::ZERO), now);
        assert_eq!(standing.quota.map(|pause| pause.until), Some(now + secs(1)));
        standing.refused(Some(Duration::from_nanos(880_092)), now + secs(1));
        assert_eq!(standing.quota.map(|pause| pause.until), Some(now + secs(2)));
    }

    #[tokio::test]
    async fn a_free_answer_with_more_than_before_ends_the_pause() {
        let (mut standing, now) = (Standing::default(), Instant::now());
        get(&mut standing, 5, now);
        standing.refused(None, now);
        standing.settle(false, now + secs(1), Some(&quota(5)), now + secs(1));
        assert!(standing.quota.is_some(), "the registry refused with as much left");
        standing.settle(false, now + secs(2), Some(&quota(6)), now + secs(2));
        assert!(standing.quota.is_none());
    }

    #[tokio::test]
    async fn a_century_is_an_hour_or_ten_minutes_for_too_many_at_once() {
        let (mut standing, now) = (Standing::default(), Instant::now());
        let century = Some(secs(100 * 365 * 86_400));
        standing.refused(century, now);
        standing.too_fast(Class::RateBurst, century, now);
        standing.login_refused(Class::RateLogin, century, now);
        let waits = [standing.quota, standing.burst, standing.login].map(|it| it.map(|it| it.until - now));
        assert_eq!(waits, [Some(secs(3600)), Some(secs(600)), Some(secs(3600))]);
    }

    #[tokio::test]
    async fn each_bare_refusal_in_a_row_doubles_the_pause() {
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
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60], "those on their way together count once");
        standing.succeeded(false);
        assert_eq!(pause(&mut standing), 1);
    }

    #[tokio::test]
    async fn what_is_remembered_is_bounded() {
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
        assert!(standing.is_probed(later), "a request from before the pause answers nothing");
        standing.settle(false, later, None, later);
        assert!(!standing.is_probed(later) && standing.burst.is_none());
    }
}
