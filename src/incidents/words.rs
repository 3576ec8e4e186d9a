//! Parts of texts about incidents.

use std::time::{Duration, SystemTime};

use oci::Class;
use records::Timestamp;
use records::incident::{Incident, Names, Resolution};

use crate::admin::human::age;
use crate::run::incidents::sightings::PULL_SECRET;

/// The beginning of an incident's id, which `incidents show` accepts.
pub(crate) fn id(incident: &Incident) -> String {
    incident.id.to_string().chars().take(ID_DIGITS).collect()
}

/// The identity; where names are hidden, without the name of a pull secret.
pub(crate) fn identity(incident: &Incident, names: bool) -> &str {
    match pull_secret(incident) {
        Some(_) if !names => PULL_SECRET.trim_end(),
        _ => incident.identity.as_str(),
    }
}

/// The name of the pull secret that is the identity.
pub(crate) fn pull_secret(incident: &Incident) -> Option<&str> {
    incident.identity.as_str().strip_prefix(PULL_SECRET)
}

/// The time that it lasted, or has lasted so far.
pub(crate) fn lasted(incident: &Incident) -> Duration {
    incident.ended.unwrap_or_else(|| Timestamp::from(SystemTime::now())).since(incident.began)
}

/// The time that it lasted, for people.
pub(crate) fn span(incident: &Incident) -> String {
    age(lasted(incident).as_secs())
}

/// What ended it, in words; `None` while it lasts.
pub(crate) fn resolved(incident: &Incident, names: bool) -> Option<String> {
    let by = incident.resolved_by.as_ref().map(|by| by.as_str());
    let image = by.filter(|_| names).map(|image| format!(" of {image}")).unwrap_or_default();
    Some(match incident.resolved? {
        Resolution::Probe => format!("a probe{image} succeeded"),
        Resolution::Pull => format!("a pull{image} succeeded"),
        Resolution::OtherClass => format!("it fails with {} now", by.unwrap_or("another class")),
        Resolution::Silence => "no failure was seen for a long time".to_owned(),
        Resolution::Removed => "the registry is no longer configured".to_owned(),
    })
}

/// Names in one line, with a mark if there are more.
pub(crate) fn list(names: &Names) -> String {
    let listed: Vec<_> = names.as_slice().iter().map(|name| name.as_str()).collect();
    let more = if names.has_more() { " and more" } else { "" };
    listed.join(", ") + more
}

/// A class for a filter.
///
/// # Errors
/// In words for the caller.
pub(crate) fn class(text: &str) -> Result<Class, String> {
    text.parse().map_err(|_| "give a class as docs/errors.md lists it, such as rate_pull_quota".to_owned())
}

/// The digits of an id that a list prints.
const ID_DIGITS: usize = 18;
