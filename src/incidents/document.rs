//! An incident as JSON, for `pullgate incidents -o json`, the API and `/status.json`.

use records::incident::{self, Names, Resolution};
use serde::Serialize;
use utoipa::ToSchema;

use super::words;
use crate::pulls::words as pulls;

/// One incident. Where names are hidden, `evidence`, `images`, `workloads` and `nodes` are null, and so is
/// `resolved_by` if it is an image.
#[derive(Serialize, ToSchema)]
pub(crate) struct Incident {
    /// The version of this form.
    schema: u32,
    /// A UUIDv7.
    id: String,
    registry: String,
    class: &'static str,
    /// `anonymous`, `client`, the id of an upstream, or `pull-secret` with the name of the secret.
    identity: String,
    stage: Option<&'static str>,
    active: bool,
    /// The time of the first failure, UTC.
    #[schema(format = DateTime)]
    began: String,
    began_unix_ms: i64,
    /// The time of the last failure, UTC.
    #[schema(format = DateTime)]
    last_seen: String,
    /// Null while it lasts.
    #[schema(format = DateTime)]
    ended: Option<String>,
    duration_seconds: f64,
    /// `probe`, `pull`, `other_class`, `silence` or `removed`; null while it lasts.
    resolved: Option<&'static str>,
    resolved_by: Option<String>,
    /// The evidence of the first failure.
    evidence: Option<String>,
    /// What to do.
    fix: &'static str,
    /// Probes that failed with it.
    probes: u64,
    /// Pulls that failed with it.
    pulls: u64,
    /// The number of times that it went on after it had ended.
    again: u32,
    images: Option<Vec<String>>,
    workloads: Option<Vec<String>>,
    nodes: Option<Vec<String>>,
}

impl Incident {
    /// The document, with or without names.
    pub(crate) fn of(it: &incident::Incident, names: bool) -> Self {
        let list =
            |list: &Names| names.then(|| list.as_slice().iter().map(ToString::to_string).collect::<Vec<_>>());
        let is_class = it.resolved == Some(Resolution::OtherClass);
        let by = it.resolved_by.as_ref().filter(|_| names || is_class);
        Self {
            schema: SCHEMA,
            id: it.id.to_string(),
            registry: it.registry.as_str().to_owned(),
            class: it.class.as_str(),
            identity: words::identity(it, names).to_owned(),
            stage: it.stage.map(|stage| stage.as_str()),
            active: it.is_active(),
            began: pulls::time(it.began),
            began_unix_ms: it.began.unix_millis(),
            last_seen: pulls::time(it.last_seen),
            ended: it.ended.map(pulls::time),
            duration_seconds: words::lasted(it).as_secs_f64(),
            resolved: it.resolved.map(|resolved| resolved.as_str()),
            resolved_by: by.map(ToString::to_string),
            evidence: it.evidence.as_ref().filter(|_| names).map(ToString::to_string),
            fix: it.class.fix(),
            probes: it.probes,
            pulls: it.pulls,
            again: it.again,
            images: list(&it.images),
            workloads: list(&it.workloads),
            nodes: list(&it.nodes),
        }
    }
}

/// The version of this form.
const SCHEMA: u32 = 1;
