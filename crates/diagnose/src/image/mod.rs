//! From the results of a walk along a pull to one verdict: class, stage, whose fault, sentence, fix, next command.
//!
//! ```text
//!   evidence ──► access    what the credentials show: public, private, poisoned, refused
//!            ├─► vantage   direct and through the mirror: the registry, us, or the path between
//!            ├─► clock     this machine's clock against the clocks of others
//!            └─► verdict ──► sentence, fix
//! ```
//!
//! [`mod@reference`] reads image names and repairs wrong ones, and [`mod@nearest`] finds the tags that are most similar to an unknown
//! one. Nothing here does I/O; times are arguments.

mod access;
mod clock;
mod evidence;
mod fix;
mod nearest;
mod reference;
mod sentence;
mod vantage;
mod verdict;

pub use access::{Access, access};
pub use clock::{Certificate, Clock, OFF_FROM};
pub use evidence::{Depth, Evidence, Fault, Layer, Mirror, Quota, Row, RowKind, Served, Surroundings, Tags};
pub use fix::OF_SECRET;
pub use nearest::nearest;
pub use reference::{BadName, read};
pub use sentence::span;
pub use vantage::{Judgement, Place, judge};
pub use verdict::{Verdict, conclude};
