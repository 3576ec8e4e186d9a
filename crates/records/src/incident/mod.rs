//! Incidents: the failures of one registry with one class and one identity, from the first to the success that ended them.
//!
//! - [`record`]: what is known of one incident.
//! - [`sighting`]: one probe or pull that failed or succeeded, as a caller reports it.
//! - [`tracker`]: the pure rule that begins, continues and ends incidents.
//!
//! The rule is here because both the prober's verdicts and the proxy's pulls decide, which know nothing of each other, and
//! because an incident that is found in the file goes on.

pub mod record;
pub mod sighting;
pub mod tracker;

pub use record::{Evidence, Identity, Incident, IncidentId, Names, Resolution};
pub use sighting::{Fault, Sighting, Source};
pub use tracker::{Change, Tracker};
