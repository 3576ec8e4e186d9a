//! The schedule of probes, with jitter and back-off on failures. Pure: the time and random numbers are arguments.

use std::time::Duration;

use tokio::time::Instant;

use crate::verdict::Verdict;

/// The pace of probing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Time between two probes of one target.
    pub interval: Duration,
    /// Time after which an unchanged manifest is fetched again, with a counted request.
    pub manifest_max_age: Duration,
    /// Time limit of one call of a probe, including its connection.
    pub call_timeout: Duration,
    /// The most probes of assigned targets in an hour, for each registry.
    pub assigned_per_hour: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(60),
            manifest_max_age: Duration::from_secs(4 * 3600),
            call_timeout: Duration::from_secs(10),
            assigned_per_hour: 120,
        }
    }
}

/// The time when a target is due, and the number of its failures in a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Due {
    pub(crate) at: Instant,
    failures: u32,
}

impl Due {
    /// The time of the first probe, soon after `start` but not the same for all targets. `chance` is in 0..1.
    pub(crate) fn first(start: Instant, interval: Duration, chance: f64) -> Self {
        Self { at: start + START_SPREAD.min(interval).mul_f64(chance), failures: 0 }
    }

    /// The time of the next probe after one that began at `now` and ended with `verdict`.
    pub(crate) fn after(
        self,
        now: Instant,
        verdict: &Verdict,
        retry_after: Option<Duration>,
        interval: Duration,
        chance: f64,
    ) -> Self {
        let failures = if matches!(verdict, Verdict::Failed(_)) { self.failures + 1 } else { 0 };
        let asked = retry_after.unwrap_or_default().min(DELAY_MAX);
        let delay = interval.mul_f64(backoff(verdict, failures)).min(DELAY_MAX.max(interval));
        let varied = delay.mul_f64(1.0 - JITTER + 2.0 * JITTER * chance);
        Self { at: now + varied.max(asked), failures }
    }
}

/// The factor by which failures lengthen the interval. An outage is probed at the normal interval, so that its end is
/// noticed soon. After failures that probing makes worse (limits, refused logins), probes become less and less
/// frequent.
fn backoff(verdict: &Verdict, failures: u32) -> f64 {
    let Verdict::Failed(failed) = verdict else { return 1.0 };
    let costly = failed.class.rules().worsens;
    if costly { f64::from(1u32 << failures.min(10)) } else { 1.0 }
}

/// The first probes are spread over this time.
const START_SPREAD: Duration = Duration::from_secs(2);
/// Longest delay between two probes of a target, unless its interval is longer.
const DELAY_MAX: Duration = Duration::from_secs(30 * 60);
/// Share of the delay by which each probe is earlier or later.
const JITTER: f64 = 0.1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::{Depth, Failure};
    use oci::{Class, Stage};

    const MINUTE: Duration = Duration::from_secs(60);

    fn failed(class: Class) -> Verdict {
        Verdict::Failed(Failure { class, stage: Stage::ManifestHead, evidence: String::new() })
    }

    fn delays(verdict: &Verdict, retry_after: Option<Duration>, rounds: usize) -> Vec<u64> {
        let mut due = Due::first(Instant::now(), MINUTE, 0.0);
        let step = |_| {
            let next = due.after(due.at, verdict, retry_after, MINUTE, 0.5);
            let delay = next.at - due.at;
            due = next;
            delay.as_secs()
        };
        (0..rounds).map(step).collect()
    }

    #[test]
    fn an_outage_is_probed_at_the_normal_interval() {
        assert_eq!(delays(&failed(Class::ConnectRefused), None, 4), [60, 60, 60, 60]);
    }

    #[test]
    fn failures_that_probing_makes_worse_are_probed_less_and_less() {
        assert_eq!(delays(&failed(Class::AuthRejected), None, 6), [120, 240, 480, 960, 1800, 1800]);
    }

    #[test]
    fn retry_after_is_obeyed_up_to_the_longest_delay() {
        assert_eq!(delays(&failed(Class::Registry5xx), Some(MINUTE * 5), 2), [300, 300]);
        assert_eq!(delays(&failed(Class::Registry5xx), Some(MINUTE * 60 * 24 * 365), 1), [1800]);
    }

    #[test]
    fn no_probe_is_sent_before_the_time_that_the_registry_named() {
        let due = Due::first(Instant::now(), MINUTE, 0.0);
        let busy = failed(Class::Registry5xx);
        for (chance, seconds) in [(0.0, 60), (0.5, 60), (1.0, 66)] {
            let next = due.after(due.at, &busy, Some(MINUTE), MINUTE, chance);
            assert_eq!((next.at - due.at).as_secs(), seconds, "by a chance of {chance}");
        }
    }

    #[test]
    fn jitter_makes_the_delay_up_to_a_tenth_longer_or_shorter() {
        let due = Due::first(Instant::now(), MINUTE, 0.0);
        let delay = |chance| {
            (due.after(due.at, &Verdict::Ok(Depth::Pullable), None, MINUTE, chance).at - due.at).as_secs()
        };
        assert_eq!((delay(0.0), delay(1.0)), (54, 66));
    }
}
