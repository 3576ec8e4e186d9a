//! The facts of one incident.

use oci::{Class, RegistryHost, Stage};

use crate::record::id::time_ordered_id;
use crate::record::text::{TargetName, Text};
use crate::time::Timestamp;

/// The longest evidence kept, in bytes.
pub const EVIDENCE_MAX: usize = 1024;
/// The longest name of an identity kept, in bytes.
pub const IDENTITY_MAX: usize = 320;
/// Maximum number of names of one kind (images, workloads, nodes) that an incident lists.
pub const NAMES_MAX: usize = 50;

/// The evidence of a failure in one line.
pub type Evidence = Text<EVIDENCE_MAX>;
/// The identity that asks a registry: `anonymous`, `client`, the id of an upstream, or `pull-secret NAMESPACE/NAME`.
pub type Identity = Text<IDENTITY_MAX>;

/// Failures of one registry with one class and one identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    /// The id, made when the incident was confirmed.
    pub id: IncidentId,
    /// The registry that fails.
    pub registry: RegistryHost,
    /// The class of all its failures.
    pub class: Class,
    /// The identity that met them.
    pub identity: Identity,
    /// The stage of the first failure; `None` if it belongs to no stage.
    pub stage: Option<Stage>,
    /// The evidence of the first failure; `None` if there was none.
    pub evidence: Option<Evidence>,
    /// The time of the first failure.
    pub began: Timestamp,
    /// The time of the last failure.
    pub last_seen: Timestamp,
    /// The time at which it ended; `None` while it lasts.
    pub ended: Option<Timestamp>,
    /// What ended it; `None` while it lasts.
    pub resolved: Option<Resolution>,
    /// The image that succeeded, or the class that took its place.
    pub resolved_by: Option<TargetName>,
    /// Probes that failed with it.
    pub probes: u64,
    /// Pulls that failed with it, or were served stale because of it.
    pub pulls: u64,
    /// The number of times that it went on after it had ended.
    pub again: u32,
    /// The images that met it.
    pub images: Names,
    /// The workloads that use these images; empty if the caller knows of none.
    pub workloads: Names,
    /// The nodes whose pulls met it, as they name themselves.
    pub nodes: Names,
}

impl Incident {
    /// True while it lasts.
    pub fn is_active(&self) -> bool {
        self.ended.is_none()
    }
}

oci::labels! {
    /// The end of an incident.
    Resolution {
        /// A probe with the same identity succeeded.
        Probe = "probe";
        /// A pull with the same identity succeeded.
        Pull = "pull";
        /// The same images fail with another class, which is an incident of its own.
        OtherClass = "other_class";
        /// No failure was seen for a long time, and no success either.
        Silence = "silence";
        /// The registry is no longer configured.
        Removed = "removed";
    }
}

/// Some names, in the order in which they came: at most [`NAMES_MAX`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    names: Vec<TargetName>,
    more: bool,
}

impl Names {
    /// Adds a name, unless it is listed already.
    pub fn add(&mut self, name: TargetName) {
        if self.names.contains(&name) {
            return;
        }
        if self.names.len() < NAMES_MAX {
            self.names.push(name);
        } else {
            self.more = true;
        }
    }

    /// The names.
    pub fn as_slice(&self) -> &[TargetName] {
        &self.names
    }

    /// True if there were more names than are listed.
    pub fn has_more(&self) -> bool {
        self.more
    }

    /// The names for the file: one a line. A last empty line stands for more. Names have no line breaks.
    pub(crate) fn encode(&self) -> String {
        let mut text = self.names.iter().map(TargetName::as_str).collect::<Vec<_>>().join("\n");
        if self.more {
            text.push('\n');
        }
        text
    }

    /// Reads [`Self::encode`].
    pub(crate) fn decode(text: &str) -> Self {
        let names = text.lines().filter_map(|name| TargetName::clean(name.as_bytes())).take(NAMES_MAX);
        Self { names: names.collect(), more: text.ends_with('\n') }
    }
}

time_ordered_id! {
    /// The id of one incident: a UUIDv7 (RFC 9562), so that ids sort by the time at which their incidents began.
    IncidentId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded_distinct_and_read_back() {
        let mut names = Names::default();
        for number in (0..NAMES_MAX + 5).chain(0..3) {
            names.add(TargetName::clean(format!("image-{number}\nx").as_bytes()).unwrap());
        }
        assert_eq!((names.as_slice().len(), names.has_more()), (NAMES_MAX, true));
        assert_eq!(Names::decode(&names.encode()), names);
        assert_eq!(Names::decode(""), Names::default());
    }
}
