//! Reports the change of an incident in the log and the metrics.

use metrics::{counter, gauge};
use records::incident::{Change, Incident, Resolution, Tracker};

use crate::incidents::words;
use crate::run::metric_names::{INCIDENT_ACTIVE, INCIDENTS};

/// One line for the begin of an incident, and one for its end. What happens between is in the record.
pub(super) fn log(change: &Change) {
    match change {
        Change::Began(it) => began("incident began", it),
        Change::Again(it) => began("incident goes on", it),
        Change::Continued(_) => {}
        Change::Ended(it) => ended(it),
    }
}

fn began(what: &str, it: &Incident) {
    tracing::warn!(
        registry = it.registry.as_str(),
        class = it.class.as_str(),
        stage = it.stage.map(|stage| stage.as_str()),
        identity = words::identity(it, false),
        pull_secret = words::pull_secret(it),
        evidence = it.evidence.as_ref().map(|evidence| evidence.as_str()),
        incident = %it.id,
        "{what}: {}",
        it.class.fix()
    );
}

fn ended(it: &Incident) {
    tracing::info!(
        registry = it.registry.as_str(),
        class = it.class.as_str(),
        identity = words::identity(it, false),
        pull_secret = words::pull_secret(it),
        resolved = it.resolved.map(|resolved| resolved.as_str()),
        image = it.resolved_by.as_ref().map(|by| by.as_str()),
        lasted_s = words::lasted(it).as_secs(),
        probes = it.probes,
        pulls = it.pulls,
        incident = %it.id,
        "incident ended"
    );
}

/// The counter of begun incidents, and the gauge of those that last. The gauge of a removed registry says nothing.
pub(super) fn measure(tracker: &Tracker, change: &Change) {
    let it = change.incident();
    let labels = [("registry", it.registry.as_str().to_owned()), ("class", it.class.as_str().to_owned())];
    counter!(INCIDENTS, &labels).increment(u64::from(matches!(change, Change::Began(_))));
    let same = |other: &&Incident| other.registry == it.registry && other.class == it.class;
    let active = tracker.active().iter().filter(same).count();
    let removed = it.resolved == Some(Resolution::Removed);
    gauge!(INCIDENT_ACTIVE, &labels).set(if removed { f64::NAN } else { active as f64 });
}
