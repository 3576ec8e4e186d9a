//! From a failing pod, everything around it and a replay of its pull to one diagnosis.
//!
//! ```text
//!   case ──► told      the text that tells most: the waiting message, else an event
//!        ├─► choice    the text against the replay: does the failure still show, and which of the two decides
//!        ├─► changes   what was changed shortly before the first failure
//!        ├─► scope     one pod, one image, one node, one registry, or all
//!        ├─► back_off  the time of the next try
//!        └─► conclude ──► fix, evidence
//! ```
//!
//! Nothing here does I/O, and every time is an argument, in seconds since 1970.

mod back_off;
mod case;
mod changes;
mod choice;
mod clock;
mod conclude;
mod evidence;
mod fix;
mod local;
mod scope;
mod told;

pub use back_off::BackOff;
pub use case::{Case, Change, ChangeKind, Event, Finding, Node, Owner, Part, Peer, Pod, Pull, Replay};
pub use choice::State;
pub use clock::time_of_day;
pub use conclude::{Diagnosis, conclude};
pub use evidence::{Line, Witness};
pub use scope::{Extent, Scope};
pub use told::{PULL_REASONS, Told, told};

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
