//! A pull as JSON, for `pullgate pulls -o json` and for the API. `schema` grows when a field changes its meaning.

use std::collections::BTreeMap;

use records::{Bottleneck, ObjectRecord, PullRecord, PullSummary, bottleneck};
use serde::Serialize;
use utoipa::ToSchema;

use super::words;

/// One pull of a list. Where names are hidden, `image`, `repository`, `tag`, `digest`, `client`, `user_agent` and `node`
/// are null.
#[derive(Serialize, ToSchema)]
pub(crate) struct Pull {
    /// The version of this form.
    schema: u32,
    /// A UUIDv7.
    id: String,
    /// UTC, in whole seconds.
    #[schema(format = DateTime)]
    start: String,
    start_unix_ms: i64,
    duration_seconds: f64,
    image: Option<String>,
    registry: String,
    repository: Option<String>,
    tag: Option<String>,
    digest: Option<String>,
    client: Option<String>,
    user_agent: Option<String>,
    node: Option<String>,
    outcome: &'static str,
    class: Option<&'static str>,
    stage: Option<&'static str>,
    /// The status codes of the registry's answers, with their numbers.
    #[schema(value_type = BTreeMap<String, u32>)]
    status_codes: BTreeMap<u16, u32>,
    stale: bool,
    rescued: bool,
    sent_bytes: u64,
    fetched_bytes: u64,
    bottleneck: &'static str,
    bottleneck_stage: Option<&'static str>,
    bottleneck_seconds: f64,
}

/// One pull with its objects.
#[derive(Serialize, ToSchema)]
pub(crate) struct WholePull {
    #[serde(flatten)]
    pull: Pull,
    /// The bottleneck in one sentence.
    sentence: String,
    objects: Vec<Object>,
    objects_left_out: u32,
}

/// One object of a pull. Times are seconds.
#[derive(Serialize, ToSchema)]
struct Object {
    kind: &'static str,
    digest: Option<String>,
    media_type: Option<String>,
    size: Option<u64>,
    outcome: &'static str,
    began: f64,
    first_byte: f64,
    transfer: f64,
    sent_bytes: u64,
    fetched_bytes: u64,
    client_bytes_per_second: Option<u64>,
    upstream_bytes_per_second: Option<u64>,
    waits: BTreeMap<&'static str, f64>,
    upstream: BTreeMap<&'static str, f64>,
    disk: f64,
    verify: f64,
    resumes: u32,
}

impl Pull {
    /// One pull of a list, with or without the names of image, client and node.
    pub(crate) fn of(summary: &PullSummary, names: bool) -> Self {
        Self::new(&summary.pull, summary.bottleneck, summary.held.as_secs_f64(), names)
    }

    fn new(pull: &PullRecord, bottleneck: Bottleneck, held: f64, names: bool) -> Self {
        let image = Some(&pull.image).filter(|_| names);
        let named = |name: Option<String>| name.filter(|_| names);
        Self {
            schema: SCHEMA,
            id: pull.id.to_string(),
            start: words::time(pull.start),
            start_unix_ms: pull.start.unix_millis(),
            duration_seconds: pull.duration.as_secs_f64(),
            image: image.map(ToString::to_string),
            registry: pull.image.registry.as_str().to_owned(),
            repository: image.map(|image| image.repository.as_str().to_owned()),
            tag: image.and_then(|image| image.tag.as_ref()).map(|tag| tag.as_str().to_owned()),
            digest: image.and_then(|image| image.digest.as_ref()).map(ToString::to_string),
            client: named(Some(pull.client.to_string())),
            user_agent: named(pull.user_agent.as_ref().map(ToString::to_string)),
            node: named(pull.node.as_ref().map(ToString::to_string)),
            outcome: pull.outcome.as_str(),
            class: pull.failure.map(|failure| failure.class.as_str()),
            stage: pull.failure.and_then(|failure| failure.stage).map(|stage| stage.as_str()),
            status_codes: pull.status_codes.iter().collect(),
            stale: pull.stale,
            rescued: pull.rescued,
            sent_bytes: pull.sent,
            fetched_bytes: pull.fetched,
            bottleneck: bottleneck.as_str(),
            bottleneck_stage: bottleneck.stage().map(|stage| stage.as_str()),
            bottleneck_seconds: held,
        }
    }
}

impl WholePull {
    /// One pull with its objects. `median` is the median rate of its registry, in bytes a second.
    pub(crate) fn of(record: &PullRecord, median: Option<u64>, names: bool) -> Self {
        let finding = bottleneck::rule::find(record);
        let held = finding.held.as_secs_f64();
        Self {
            pull: Pull::new(record, finding.bottleneck, held, names),
            sentence: words::sentence(&finding, record, median, names),
            objects: record.objects.iter().map(|it| object(it, names)).collect(),
            objects_left_out: record.objects_left_out,
        }
    }
}

/// A document as one line.
pub(crate) fn line(document: &impl Serialize) -> String {
    serde_json::to_string(document).unwrap_or_default() + "\n"
}

fn object(object: &ObjectRecord, names: bool) -> Object {
    let (waits, stages) = (&object.waits, &object.stages);
    Object {
        kind: object.kind.as_str(),
        digest: object.digest.as_ref().filter(|_| names).map(ToString::to_string),
        media_type: object.media_type.as_ref().map(ToString::to_string),
        size: object.size,
        outcome: object.outcome.as_str(),
        began: object.began.as_secs_f64(),
        first_byte: object.first_byte.as_secs_f64(),
        transfer: object.transfer.as_secs_f64(),
        sent_bytes: object.sent,
        fetched_bytes: object.fetched,
        client_bytes_per_second: object.client_throughput(),
        upstream_bytes_per_second: object.upstream_throughput(),
        waits: seconds([
            ("fill", waits.fill),
            ("quota", waits.quota),
            ("slot", waits.slot),
            ("token", waits.token),
        ]),
        upstream: seconds([
            ("resolve", stages.resolve),
            ("connect", stages.connect),
            ("tls", stages.tls),
            ("token", stages.token),
            ("first_byte", stages.first_byte),
            ("transfer", stages.transfer),
        ]),
        disk: object.disk.as_secs_f64(),
        verify: object.verify.as_secs_f64(),
        resumes: object.resumes,
    }
}

fn seconds<const N: usize>(times: [(&'static str, std::time::Duration); N]) -> BTreeMap<&'static str, f64> {
    times.into_iter().map(|(name, time)| (name, time.as_secs_f64())).collect()
}

/// The version of this form.
const SCHEMA: u32 = 1;
