//! The kubelet's wait between two tries. It counts for each pod (by its uid) and image, so that a new pod begins anew.

use super::told::Told;

/// The wait that a pod is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackOff {
    /// Failed tries.
    pub tries: u32,
    /// The length of this wait in seconds.
    pub wait: i64,
    /// The time of the next try. The kubelet looks at the pod up to twenty seconds later.
    pub next: i64,
}

/// The wait after the last failed try; `None` if no event of a try is left.
pub(super) fn back_off(told: &Told) -> Option<BackOff> {
    let last = told.last.filter(|_| told.tries > 0)?;
    let wait = (FIRST << (told.tries - 1).min(DOUBLINGS)).min(LONGEST);
    Some(BackOff { tries: told.tries, wait, next: last + wait })
}

impl BackOff {
    /// Seconds until the next try; 0 if it is due.
    pub fn left(&self, now: i64) -> i64 {
        (self.next - now).max(0)
    }
}

/// The first wait in seconds (kubernetes `pkg/kubelet/kubelet.go`).
const FIRST: i64 = 10;
/// The longest wait in seconds.
const LONGEST: i64 = 300;
/// Doublings after which the longest wait is reached.
const DOUBLINGS: u32 = 5;
