//! Limits the log lines that failing requests can cause: at most [`LINES_MAX`] of each kind a second. One more line
//! then has the number of the lines that were left out.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Counts lines by kind. The caller ends each second by a call of [`LineLimit::turn`].
#[derive(Debug, Default)]
pub(crate) struct LineLimit(Mutex<HashMap<Kind, u64>>);

/// The lines that are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Kind {
    /// The event.
    pub(crate) line: Line,
    /// The class, reason or outcome of the event; from a closed list.
    pub(crate) why: &'static str,
}

/// The events that clients can cause at will.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Line {
    /// A request that was not answered with content.
    Request,
    /// A pull that ended without an image.
    Pull,
    /// A pull that failed.
    FailedPull,
    /// A transfer from an upstream that failed.
    FailedFill,
    /// A transfer from an upstream that broke and goes on.
    BrokenFill,
    /// A connection that ended with an error.
    Connection,
}

impl LineLimit {
    /// True if another line of this kind may be written in this second.
    pub(crate) fn admits(&self, kind: Kind) -> bool {
        let mut counts = self.counts();
        let count = counts.entry(kind).or_default();
        *count += 1;
        *count <= LINES_MAX
    }

    /// Begins the next second. For each kind, writes one line with the number of lines left out in the last second.
    pub(crate) fn turn(&self) {
        for (kind, left_out) in self.take() {
            log_left_out(kind, left_out);
        }
    }

    fn take(&self) -> Vec<(Kind, u64)> {
        let counts = std::mem::take(&mut *self.counts());
        let left_out = counts.into_iter().map(|(kind, count)| (kind, count.saturating_sub(LINES_MAX)));
        left_out.filter(|(_, left_out)| *left_out > 0).collect()
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<Kind, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Logs the number of lines left out, with the same level and target as those lines, so that one filter covers both.
fn log_left_out(Kind { line, why }: Kind, left_out: u64) {
    match line {
        Line::Request => {
            tracing::info!(target: "pullgate::access", why, left_out, "more requests of this kind")
        }
        Line::Pull => tracing::info!(target: "pullgate::pull", why, left_out, "more pulls of this kind"),
        Line::FailedPull => {
            tracing::warn!(target: "pullgate::pull", why, left_out, "more failed pulls of this kind")
        }
        Line::FailedFill => tracing::warn!(why, left_out, "more failed fills of this kind"),
        Line::BrokenFill => tracing::warn!(why, left_out, "more broken fills of this kind"),
        Line::Connection => {
            tracing::debug!(target: "pullgate::connection", why, left_out, "more connections of this kind");
        }
    }
}

/// Lines of one kind a second: enough to see what happens, and few enough for any disk.
const LINES_MAX: u64 = 10;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_ten_lines_a_second_and_the_rest_is_counted() {
        let limit = LineLimit::default();
        let (path, method) =
            (Kind { line: Line::Request, why: "path" }, Kind { line: Line::Request, why: "method" });
        let written = (0..2000).filter(|_| limit.admits(path)).count();
        assert_eq!(written, 10);
        assert!((0..10).all(|_| limit.admits(method)), "another kind has its own lines");
        assert_eq!(limit.take(), [(path, 1990)]);
        assert!(limit.admits(path), "the next second begins anew");
        assert_eq!(limit.take(), []);
    }
}
