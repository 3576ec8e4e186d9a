//! The state machine of one endpoint's breaker. Every method takes the time as an argument.
//!
//! ```text
//!           a run of failures              the pause is over: one probe
//!   closed ──────────────────► open ─────────────────────────────────► half_open
//!     ▲                         ▲                                        │   │
//!     │                         └───────────── the probe failed ─────────┘   │
//!     └───────────────────────────── any success ────────────────────────────┘
//! ```

use oci::class::{Class, Stage};
use tokio::time::Instant;

use crate::health::state::{Pauses, State};

/// The breaker of one endpoint.
#[derive(Debug)]
pub(crate) struct Breaker {
    phase: Phase,
    /// The number of changes of phase. A failure counts only in the phase in which its request was admitted.
    era: u64,
}

/// The permit of an admitted request, to be returned with [`Breaker::settle`].
#[derive(Debug)]
#[must_use]
pub(crate) struct Permit {
    era: u64,
    probe: bool,
}

/// The pause of an endpoint that is not asked now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paused {
    /// The reason for the pause.
    pub trouble: Trouble,
    /// The time at which the next probe may be sent; in the past while a probe is in flight.
    pub next_probe: Instant,
}

/// The reason for the pause of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The time at which the breaker opened.
    pub since: Instant,
    /// The class of the failure that opened it, or of the last failed probe.
    pub class: Class,
    /// The stage of that failure.
    pub stage: Stage,
}

/// The result of one request for the health of its endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// The endpoint works.
    Well,
    /// The endpoint fails for every identity.
    Ill(Class, Stage),
    /// The endpoint fails for this object, given as a hash. It may work for others.
    IllFor(Class, Stage, u64),
    /// The endpoint hangs: one request took as long as a client waits.
    Hangs(Class, Stage),
    /// Nothing is known: the caller left, or one of our own limits was reached.
    Unknown,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Closed { failures: u32, subject: Subject },
    Open { trouble: Trouble, until: Instant, pauses: u32 },
    HalfOpen { trouble: Trouble, until: Instant, pauses: u32, probing: bool },
}

/// The objects that the failures of a run concern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    Nothing,
    /// One object, given as a hash.
    One(u64),
    /// Several objects, or the endpoint itself.
    Endpoint,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { phase: Phase::Closed { failures: 0, subject: Subject::Nothing }, era: 0 }
    }
}

impl Breaker {
    /// Closed, open or half open.
    pub(crate) fn state(&self) -> State {
        match self.phase {
            Phase::Closed { .. } => State::Closed,
            Phase::Open { .. } => State::Open,
            Phase::HalfOpen { .. } => State::HalfOpen,
        }
    }

    /// The pause of the endpoint; `None` while the breaker is closed.
    pub(crate) fn pause(&self) -> Option<Paused> {
        match self.phase {
            Phase::Closed { .. } => None,
            Phase::Open { trouble, until, .. } | Phase::HalfOpen { trouble, until, .. } => {
                Some(Paused { trouble, next_probe: until })
            }
        }
    }

    /// True if [`Breaker::admit`] would refuse.
    pub(crate) fn refuses(&self, now: Instant) -> bool {
        match self.phase {
            Phase::Closed { .. } => false,
            Phase::Open { until, .. } => now < until,
            Phase::HalfOpen { probing, .. } => probing,
        }
    }

    /// Admits a request: every one while the breaker is closed, and one probe after the end of a pause.
    ///
    /// # Errors
    /// The pause of the endpoint, if it is paused now.
    pub(crate) fn admit(&mut self, now: Instant) -> Result<Permit, Paused> {
        if let Some(paused) = self.pause().filter(|_| self.refuses(now)) {
            return Err(paused);
        }
        let (Phase::Open { trouble, until, pauses } | Phase::HalfOpen { trouble, until, pauses, .. }) =
            self.phase
        else {
            return Ok(Permit { era: self.era, probe: false });
        };
        self.enter(Phase::HalfOpen { trouble, until, pauses, probing: true });
        Ok(Permit { era: self.era, probe: true })
    }

    /// Notes the end of an admitted request. `jitter`, from 0 to 1, spreads the pauses of many instances.
    ///
    /// A failure counts only in the phase in which the request was admitted. A success always closes the breaker.
    pub(crate) fn settle(
        &mut self,
        permit: Permit,
        health: Health,
        now: Instant,
        pauses: Pauses,
        jitter: f64,
    ) {
        match health {
            Health::Well => self.close(),
            Health::Ill(class, stage) if permit.era == self.era => {
                self.fail(Trouble { since: now, class, stage }, Subject::Endpoint, pauses, jitter);
            }
            Health::IllFor(class, stage, object) if permit.era == self.era => {
                self.fail(Trouble { since: now, class, stage }, Subject::One(object), pauses, jitter);
            }
            Health::Hangs(class, stage) if permit.era == self.era => {
                let pauses = Pauses { failures: 1, ..pauses };
                self.fail(Trouble { since: now, class, stage }, Subject::Endpoint, pauses, jitter);
            }
            Health::Unknown if permit.probe && permit.era == self.era => self.free_the_probe(),
            Health::Ill(..) | Health::IllFor(..) | Health::Hangs(..) | Health::Unknown => {}
        }
    }

    /// Notes a success without a permit, which proves that the stages up to `farthest` work. Closes the breaker, unless
    /// the failure that opened it was in a later stage.
    pub(crate) fn note_unadmitted_success(&mut self, farthest: Stage) {
        if self.pause().is_none_or(|paused| paused.trouble.stage <= farthest) {
            self.close();
        }
    }

    fn fail(&mut self, trouble: Trouble, subject: Subject, limits: Pauses, jitter: f64) {
        let now = trouble.since;
        let (trouble, pauses) = match self.phase {
            Phase::Closed { failures, subject: before } => {
                let subject = before.and(subject);
                let failures = failures.saturating_add(1);
                if failures < limits.failures || matches!(subject, Subject::One(_)) {
                    self.phase = Phase::Closed { failures, subject };
                    return;
                }
                (trouble, 0)
            }
            Phase::Open { trouble: first, pauses, .. } | Phase::HalfOpen { trouble: first, pauses, .. } => {
                (Trouble { since: first.since, ..trouble }, pauses + 1)
            }
        };
        self.enter(Phase::Open { trouble, until: now + limits.after(pauses, jitter), pauses });
    }

    fn close(&mut self) {
        if self.state() == State::Closed {
            self.phase = Phase::Closed { failures: 0, subject: Subject::Nothing };
        } else {
            self.enter(Phase::Closed { failures: 0, subject: Subject::Nothing });
        }
    }

    fn free_the_probe(&mut self) {
        if let Phase::HalfOpen { probing, .. } = &mut self.phase {
            *probing = false;
        }
    }

    fn enter(&mut self, phase: Phase) {
        (self.phase, self.era) = (phase, self.era + 1);
    }
}

impl Subject {
    fn and(self, other: Self) -> Self {
        if self == Self::Nothing || self == other { other } else { Self::Endpoint }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use super::*;

    const PAUSES: Pauses =
        Pauses { failures: 3, first: Duration::from_secs(1), longest: Duration::from_secs(60) };
    const REFUSED: Health = Health::Ill(Class::ConnectRefused, Stage::Connect);

    /// A breaker with a manual clock and without jitter, so that pauses have their whole length.
    struct Bench {
        breaker: Breaker,
        now: Instant,
    }

    impl Bench {
        fn new() -> Self {
            Self { breaker: Breaker::default(), now: Instant::now() }
        }

        fn open() -> Self {
            let mut bench = Self::new();
            bench.ask(REFUSED, PAUSES.failures);
            assert_eq!(bench.breaker.state(), State::Open);
            bench
        }

        fn ask(&mut self, health: Health, times: u32) {
            for _ in 0..times {
                let permit = self.breaker.admit(self.now).unwrap();
                self.settle(permit, health);
            }
        }

        fn settle(&mut self, permit: Permit, health: Health) {
            self.breaker.settle(permit, health, self.now, PAUSES, 1.0);
        }

        fn wait(&mut self, time: Duration) {
            self.now += time;
        }

        fn next_probe_in(&self) -> Duration {
            self.breaker.pause().unwrap().next_probe.duration_since(self.now)
        }
    }

    #[test]
    fn a_run_of_failures_opens_the_breaker_and_a_success_ends_the_run() {
        let mut bench = Bench::new();
        bench.ask(REFUSED, 2);
        bench.ask(Health::Well, 1);
        bench.ask(REFUSED, 2);
        bench.ask(Health::Unknown, 10);
        assert_eq!(bench.breaker.state(), State::Closed);
        bench.ask(REFUSED, 1);
        assert_eq!(bench.breaker.state(), State::Open);
        let paused = bench.breaker.admit(bench.now).unwrap_err();
        assert_eq!((paused.trouble.class, paused.trouble.stage), (Class::ConnectRefused, Stage::Connect));
        assert_eq!(paused.trouble.since, bench.now);
    }

    #[test]
    fn one_probe_is_sent_when_the_pause_is_over() {
        let mut bench = Bench::open();
        bench.wait(Duration::from_millis(999));
        assert!(bench.breaker.admit(bench.now).is_err());
        bench.wait(Duration::from_millis(1));
        let probe = bench.breaker.admit(bench.now).unwrap();
        assert_eq!(bench.breaker.state(), State::HalfOpen);
        bench.wait(Duration::from_secs(3600));
        assert!(bench.breaker.admit(bench.now).is_err(), "one at a time, however long it takes");
        bench.settle(probe, Health::Well);
        assert_eq!(bench.breaker.state(), State::Closed);
        bench.ask(Health::Well, 3);
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_keep_the_time_of_the_first() {
        let mut bench = Bench::open();
        let since = bench.now;
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
            assert_eq!(bench.next_probe_in(), Duration::from_secs(seconds));
            bench.wait(Duration::from_secs(seconds));
            let probe = bench.breaker.admit(bench.now).unwrap();
            bench.settle(probe, Health::Ill(Class::Dns, Stage::Resolve));
            let paused = bench.breaker.pause().unwrap();
            assert_eq!((paused.trouble.since, paused.trouble.class), (since, Class::Dns));
        }
        bench.wait(Duration::from_secs(60));
        bench.ask(Health::Well, 1);
        bench.ask(REFUSED, PAUSES.failures);
        assert_eq!(bench.next_probe_in(), Duration::from_secs(1), "a success resets the pauses");
    }

    #[test]
    fn jitter_takes_up_to_half_of_a_pause() {
        for (jitter, millis) in [(0.0, 500), (0.5, 750), (1.0, 1000), (9.0, 1000), (-1.0, 500)] {
            assert_eq!(PAUSES.after(0, jitter), Duration::from_millis(millis), "{jitter}");
        }
        assert_eq!(PAUSES.after(u32::MAX, 1.0), PAUSES.longest);
    }

    #[test]
    fn after_a_cancelled_probe_the_next_request_is_the_probe() {
        let mut bench = Bench::open();
        bench.wait(Duration::from_secs(1));
        let probe = bench.breaker.admit(bench.now).unwrap();
        bench.settle(probe, Health::Unknown);
        assert_eq!(bench.breaker.state(), State::HalfOpen);
        let next = bench.breaker.admit(bench.now).unwrap();
        assert!(bench.breaker.admit(bench.now).is_err());
        bench.settle(next, REFUSED);
        assert_eq!(bench.next_probe_in(), Duration::from_secs(2));
    }

    #[test]
    fn concurrent_failures_open_once_and_lengthen_no_pause() {
        let mut bench = Bench::new();
        let crowd: Vec<_> = (0..100).map(|_| bench.breaker.admit(bench.now).unwrap()).collect();
        for permit in crowd {
            bench.settle(permit, REFUSED);
        }
        assert_eq!(bench.next_probe_in(), Duration::from_secs(1));
    }

    #[test]
    fn a_late_failure_from_before_the_pause_is_ignored_and_a_late_success_counts() {
        let mut bench = Bench::new();
        let (late, later) =
            (bench.breaker.admit(bench.now).unwrap(), bench.breaker.admit(bench.now).unwrap());
        bench.ask(REFUSED, PAUSES.failures);
        bench.wait(Duration::from_secs(1));
        let probe = bench.breaker.admit(bench.now).unwrap();
        bench.settle(late, REFUSED);
        assert_eq!(bench.breaker.state(), State::HalfOpen);
        bench.settle(later, Health::Well);
        assert_eq!(bench.breaker.state(), State::Closed);
        bench.settle(probe, REFUSED);
        assert_eq!(bench.breaker.state(), State::Closed, "the probe was admitted before the breaker closed");
    }

    #[test]
    fn an_unadmitted_success_closes_if_it_reached_the_stage_of_the_failure() {
        for (trouble, farthest, closes) in [
            (Stage::Connect, Stage::Challenge, true),
            (Stage::Tls, Stage::Challenge, true),
            (Stage::ManifestHead, Stage::Challenge, false),
            (Stage::Token, Stage::Challenge, false),
            (Stage::ManifestHead, Stage::BlobTransfer, true),
        ] {
            let mut bench = Bench::new();
            bench.ask(Health::Ill(Class::Registry5xx, trouble), PAUSES.failures);
            bench.breaker.note_unadmitted_success(farthest);
            assert_eq!(bench.breaker.state() == State::Closed, closes, "{trouble} {farthest}");
        }
    }

    #[test]
    fn one_failing_object_does_not_open_until_another_fails_too() {
        let ill_for = |object| Health::IllFor(Class::Registry5xx, Stage::ManifestGet, object);
        let mut bench = Bench::new();
        bench.ask(ill_for(1), 100);
        assert_eq!(bench.breaker.state(), State::Closed);
        bench.ask(ill_for(2), 1);
        assert_eq!(bench.breaker.state(), State::Open);
    }

    #[test]
    fn one_hanging_request_opens_the_breaker() {
        let mut bench = Bench::new();
        bench.ask(Health::Hangs(Class::Stalled, Stage::ManifestHead), 1);
        assert_eq!(bench.breaker.state(), State::Open);
    }

    /// A request in flight, as the test records it.
    struct Request {
        permit: Permit,
        probe: bool,
    }

    #[test]
    fn random_events_give_one_probe_at_most_and_no_closing_without_a_success() {
        for seed in 0..400 {
            random_events(seed);
        }
    }

    fn random_events(seed: u64) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut bench = Bench::new();
        let mut out: Vec<Request> = Vec::new();
        for step in 0..500 {
            let (before, mut succeeded, mut ill) = (bench.breaker.state(), false, false);
            match random.u8(0..10) {
                0..=4 => {
                    let refused = bench.breaker.refuses(bench.now);
                    let admitted = bench.breaker.admit(bench.now);
                    assert_eq!(admitted.is_err(), refused, "seed {seed} step {step}");
                    out.extend(admitted.map(|permit| Request { probe: permit.probe, permit }));
                }
                5..=7 if !out.is_empty() => {
                    let request = out.swap_remove(random.usize(0..out.len()));
                    let health = random.choice([Health::Well, REFUSED, REFUSED, Health::Unknown]).unwrap();
                    (succeeded, ill) = (health == Health::Well, health == REFUSED);
                    bench.breaker.settle(request.permit, health, bench.now, PAUSES, random.f64());
                }
                8 => {
                    bench.breaker.note_unadmitted_success(Stage::BlobTransfer);
                    succeeded = true;
                }
                _ => bench.wait(Duration::from_millis(random.u64(0..3000))),
            }
            let after = bench.breaker.state();
            let context = format!("seed {seed} step {step}: {before} to {after}");
            assert!(after != State::Closed || before == State::Closed || succeeded, "{context}");
            assert!(after != State::Open || before == State::Open || ill, "{context}");
            assert!(after != State::HalfOpen || before != State::Closed, "{context}");
            if after == State::HalfOpen {
                let era = bench.breaker.era;
                let probes = out.iter().filter(|it| it.probe && it.permit.era == era).count();
                assert!(probes <= 1, "{context}: {probes} probes");
                assert_eq!(probes == 1, bench.breaker.refuses(bench.now), "{context}");
            }
        }
    }
}
