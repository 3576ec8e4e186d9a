//! The state of every watch.

use std::collections::BTreeMap;

use tokio::time::{Duration, Instant};

use crate::findings::Refused;

oci::labels! {
    /// The state of a watch.
    WatchState {
        /// The first list has not ended yet.
        Starting = "starting";
        /// The index follows the cluster.
        Live = "live";
        /// The API server refuses: a rule is missing.
        Refused = "refused";
        /// The API server does not answer, or with errors. The index stays as it was.
        Failing = "failing";
    }
}

/// A watch: its resource and its namespace (`None`: all).
pub type Line = (&'static str, Option<Box<str>>);

/// The states of all watches.
#[derive(Debug, Default)]
pub(super) struct Lines(BTreeMap<Line, Known>);

#[derive(Clone, Debug, Default)]
struct Known {
    listed: bool,
    failure: Option<(Refused, Instant)>,
}

impl Lines {
    /// A watch begins.
    pub(super) fn begin(&mut self, line: Line) {
        self.0.entry(line).or_default();
    }

    /// The watch delivered something. `listed`: it has delivered everything once.
    pub(super) fn delivered(&mut self, line: &Line, listed: bool) {
        if let Some(known) = self.0.get_mut(line) {
            known.listed |= listed;
            known.failure = None;
        }
    }

    /// The watch failed, and goes on after a delay. True if it did not fail just before.
    pub(super) fn failed(&mut self, line: &Line, refused: Refused) -> bool {
        let Some(known) = self.0.get_mut(line) else { return false };
        let first = known.failure.as_ref().is_none_or(|(before, _)| before.by_rule != refused.by_rule);
        known.failure = Some((refused, Instant::now()));
        first
    }

    /// The state of every watch at `now`.
    pub(super) fn states(&self, now: Instant) -> impl Iterator<Item = (&Line, WatchState)> {
        self.0.iter().map(move |(line, known)| (line, known.state(now)))
    }

    /// The parts that could not be looked at.
    pub(super) fn refusals(&self, now: Instant) -> impl Iterator<Item = &Refused> {
        self.0.values().filter_map(move |known| known.failure_at(now))
    }
}

impl Known {
    fn state(&self, now: Instant) -> WatchState {
        match self.failure_at(now) {
            Some(refused) if refused.by_rule => WatchState::Refused,
            Some(_) => WatchState::Failing,
            None if self.listed => WatchState::Live,
            None => WatchState::Starting,
        }
    }

    /// The failure that counts now. A watch that was opened again is silent until something changes: if it has not
    /// failed once more within the longest delay, it works.
    fn failure_at(&self, now: Instant) -> Option<&Refused> {
        let (refused, at) = self.failure.as_ref()?;
        (!self.listed || now.saturating_duration_since(*at) < FAILURE_COUNTS).then_some(refused)
    }
}

/// Longer than the longest delay of a watch (30 s, with jitter up to twice that) and an attempt to connect.
const FAILURE_COUNTS: Duration = Duration::from_secs(75);

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(by_rule: bool) -> Refused {
        Refused {
            verbs: &["list", "watch"],
            group: "",
            resource: "pods",
            namespace: None,
            by_rule,
            answer: "x".into(),
        }
    }

    fn state(lines: &Lines, after: u64) -> WatchState {
        let now = Instant::now() + Duration::from_secs(after);
        let (_, state) = lines.states(now).next().expect("one line");
        state
    }

    #[test]
    fn a_watch_is_live_after_its_first_list_and_while_it_does_not_fail() {
        let (mut lines, line): (_, Line) = (Lines::default(), ("pods", None));
        lines.begin(line.clone());
        assert_eq!(state(&lines, 0), WatchState::Starting);
        assert!(lines.failed(&line, refused(true)) && !lines.failed(&line, refused(true)));
        assert_eq!((state(&lines, 0), state(&lines, 3600)), (WatchState::Refused, WatchState::Refused));
        lines.delivered(&line, true);
        assert_eq!(state(&lines, 0), WatchState::Live);
        assert!(lines.failed(&line, refused(false)));
        assert_eq!((state(&lines, 0), lines.refusals(Instant::now()).count()), (WatchState::Failing, 1));
        assert_eq!(state(&lines, 80), WatchState::Live, "a silent watch works");
    }
}
