//! When to leave an endpoint alone: the state machine of one endpoint's health, with time as an argument.
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

/// The health of one endpoint, as its answers tell it.
#[derive(Debug)]
pub(crate) struct Breaker {
    phase: Phase,
    /// Counts changes of phase: a failure counts only in the phase in which the request went out.
    era: u64,
}

/// Leave to ask, to be given back with [`Breaker::settle`].
#[derive(Debug)]
#[must_use]
pub(crate) struct Leave {
    era: u64,
    probe: bool,
}

/// The endpoint is not asked now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paused {
    /// The failure that opened the breaker.
    pub trouble: Trouble,
    /// When the next probe may go out; in the past while one is out.
    pub next_probe: Instant,
}

/// Why an endpoint is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// When the breaker opened.
    pub since: Instant,
    /// The failure that opened it, or its last probe's.
    pub class: Class,
    /// In which stage.
    pub stage: Stage,
}

/// The health of an endpoint as one answer, or the lack of one, shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// It answers.
    Well,
    /// The endpoint fails for every identity.
    Ill(Class, Stage),
    /// It fails for this object, given as a hash; for others it may answer.
    IllFor(Class, Stage, u64),
    /// It hangs: one request took as long as a client waits.
    Hangs(Class, Stage),
    /// Nothing was learnt: the caller left, or we were at our own limits.
    Unknown,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Closed { failures: u32, of: Of },
    Open { trouble: Trouble, until: Instant, pauses: u32 },
    HalfOpen { trouble: Trouble, until: Instant, pauses: u32, probing: bool },
}

/// The objects that a run of failures names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    Nothing,
    /// One object, as a hash.
    One(u64),
    /// Different objects, or the endpoint itself.
    Endpoint,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { phase: Phase::Closed { failures: 0, of: Of::Nothing }, era: 0 }
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

    /// The reason why only a probe may ask; `None` while the breaker is closed.
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

    /// Leave to ask: for everybody while closed, for one probe once the pause is over.
    ///
    /// # Errors
    /// Why the endpoint is left alone, and until when.
    pub(crate) fn admit(&mut self, now: Instant) -> Result<Leave, Paused> {
        if let Some(paused) = self.pause().filter(|_| self.refuses(now)) {
            return Err(paused);
        }
        let (Phase::Open { trouble, until, pauses } | Phase::HalfOpen { trouble, until, pauses, .. }) =
            self.phase
        else {
            return Ok(Leave { era: self.era, probe: false });
        };
        self.enter(Phase::HalfOpen { trouble, until, pauses, probing: true });
        Ok(Leave { era: self.era, probe: true })
    }

    /// Takes note of how an admitted request ended. `jitter`, from 0 to 1, spreads the pauses of many instances.
    ///
    /// A failure counts only in the phase in which the request went out; a success closes whenever it comes.
    pub(crate) fn settle(&mut self, leave: Leave, health: Health, now: Instant, pauses: Pauses, jitter: f64) {
        match health {
            Health::Well => self.close(),
            Health::Ill(class, stage) if leave.era == self.era => {
                self.fail(Trouble { since: now, class, stage }, Of::Endpoint, pauses, jitter);
            }
            Health::IllFor(class, stage, object) if leave.era == self.era => {
                self.fail(Trouble { since: now, class, stage }, Of::One(object), pauses, jitter);
            }
            Health::Hangs(class, stage) if leave.era == self.era => {
                let pauses = Pauses { failures: 1, ..pauses };
                self.fail(Trouble { since: now, class, stage }, Of::Endpoint, pauses, jitter);
            }
            Health::Unknown if leave.probe && leave.era == self.era => self.free_the_probe(),
            Health::Ill(..) | Health::IllFor(..) | Health::Hangs(..) | Health::Unknown => {}
        }
    }

    /// A request made without leave was answered, as far as `farthest`: closes, unless the trouble began later on the
    /// way.
    pub(crate) fn witness(&mut self, farthest: Stage) {
        if self.pause().is_none_or(|paused| paused.trouble.stage <= farthest) {
            self.close();
        }
    }

    fn fail(&mut self, trouble: Trouble, of: Of, limits: Pauses, jitter: f64) {
        let now = trouble.since;
        let (trouble, pauses) = match self.phase {
            Phase::Closed { failures, of: before } => {
                let of = before.and(of);
                let failures = failures.saturating_add(1);
                if failures < limits.failures || matches!(of, Of::One(_)) {
                    self.phase = Phase::Closed { failures, of };
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
            self.phase = Phase::Closed { failures: 0, of: Of::Nothing };
        } else {
            self.enter(Phase::Closed { failures: 0, of: Of::Nothing });
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

impl Of {
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

    /// A breaker under a clock of its own, without jitter: pauses are whole.
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
                let leave = self.breaker.admit(self.now).unwrap();
                self.settle(leave, health);
            }
        }

        fn settle(&mut self, leave: Leave, health: Health) {
            self.breaker.settle(leave, health, self.now, PAUSES, 1.0);
        }

        fn wait(&mut self, time: Duration) {
            self.now += time;
        }

        fn next_probe_in(&self) -> Duration {
            self.breaker.pause().unwrap().next_probe.duration_since(self.now)
        }
    }

    #[test]
    fn a_run_of_failures_opens_and_one_success_in_between_begins_it_anew() {
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
    fn one_probe_goes_out_when_the_pause_is_over() {
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
    fn pauses_double_up_to_the_longest_and_remember_since_when() {
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
        assert_eq!(bench.next_probe_in(), Duration::from_secs(1), "a success forgets the pauses");
    }

    #[test]
    fn jitter_takes_up_to_half_of_a_pause() {
        for (jitter, millis) in [(0.0, 500), (0.5, 750), (1.0, 1000), (9.0, 1000), (-1.0, 500)] {
            assert_eq!(PAUSES.after(0, jitter), Duration::from_millis(millis), "{jitter}");
        }
        assert_eq!(PAUSES.after(u32::MAX, 1.0), PAUSES.longest);
    }

    #[test]
    fn a_cancelled_probe_gives_its_place_to_the_next() {
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
    fn a_crowd_that_fails_together_opens_once_and_lengthens_no_pause() {
        let mut bench = Bench::new();
        let crowd: Vec<_> = (0..100).map(|_| bench.breaker.admit(bench.now).unwrap()).collect();
        for leave in crowd {
            bench.settle(leave, REFUSED);
        }
        assert_eq!(bench.next_probe_in(), Duration::from_secs(1));
    }

    #[test]
    fn what_was_asked_before_fails_no_probe_but_its_success_counts() {
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
        assert_eq!(bench.breaker.state(), State::Closed, "it was asked when the endpoint was still ill");
    }

    #[test]
    fn a_witness_closes_when_its_way_was_as_long_as_the_troubles() {
        for (trouble, farthest, closes) in [
            (Stage::Connect, Stage::Challenge, true),
            (Stage::Tls, Stage::Challenge, true),
            (Stage::ManifestHead, Stage::Challenge, false),
            (Stage::Token, Stage::Challenge, false),
            (Stage::ManifestHead, Stage::BlobTransfer, true),
        ] {
            let mut bench = Bench::new();
            bench.ask(Health::Ill(Class::Registry5xx, trouble), PAUSES.failures);
            bench.breaker.witness(farthest);
            assert_eq!(bench.breaker.state() == State::Closed, closes, "{trouble} {farthest}");
        }
    }

    #[test]
    fn one_object_that_fails_opens_nothing_until_another_fails_too() {
        let ill_for = |object| Health::IllFor(Class::Registry5xx, Stage::ManifestGet, object);
        let mut bench = Bench::new();
        bench.ask(ill_for(1), 100);
        assert_eq!(bench.breaker.state(), State::Closed);
        bench.ask(ill_for(2), 1);
        assert_eq!(bench.breaker.state(), State::Open);
    }

    #[test]
    fn one_request_that_hung_opens() {
        let mut bench = Bench::new();
        bench.ask(Health::Hangs(Class::Stalled, Stage::ManifestHead), 1);
        assert_eq!(bench.breaker.state(), State::Open);
    }

    /// The model's record of a request under way.
    struct Request {
        leave: Leave,
        probe: bool,
    }

    #[test]
    fn whatever_happens_one_probe_at_most_and_no_closing_without_a_success() {
        for seed in 0..400 {
            random_life(seed);
        }
    }

    fn random_life(seed: u64) {
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
                    out.extend(admitted.map(|leave| Request { probe: leave.probe, leave }));
                }
                5..=7 if !out.is_empty() => {
                    let request = out.swap_remove(random.usize(0..out.len()));
                    let health = random.choice([Health::Well, REFUSED, REFUSED, Health::Unknown]).unwrap();
                    (succeeded, ill) = (health == Health::Well, health == REFUSED);
                    bench.breaker.settle(request.leave, health, bench.now, PAUSES, random.f64());
                }
                8 => {
                    bench.breaker.witness(Stage::BlobTransfer);
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
                let probes = out.iter().filter(|it| it.probe && it.leave.era == era).count();
                assert!(probes <= 1, "{context}: {probes} probes");
                assert_eq!(probes == 1, bench.breaker.refuses(bench.now), "{context}");
            }
        }
    }
}
