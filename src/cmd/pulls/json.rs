//! A pull as JSON. `schema` grows when a field changes its meaning.

use std::collections::BTreeMap;

use records::{Bottleneck, ObjectRecord, PullRecord, PullSummary};
use serde::Serialize;

use super::words;

/// One pull of a list.
#[derive(Serialize)]
struct Pull {
    schema: u32,
    id: String,
    /// UTC, in whole seconds.
    start: String,
    start_unix_ms: i64,
    duration_seconds: f64,
    image: String,
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<String>,
    client: String,
    user_agent: Option<String>,
    node: Option<String>,
    outcome: &'static str,
    class: Option<&'static str>,
    stage: Option<&'static str>,
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
#[derive(Serialize)]
struct Whole {
    #[serde(flatten)]
    pull: Pull,
    sentence: String,
    objects: Vec<Object>,
    objects_left_out: u32,
}

/// One object of a pull. Times are seconds.
#[derive(Serialize)]
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

/// The line of one pull of a list.
pub(super) fn line(summary: &PullSummary) -> String {
    let pull = pull(&summary.pull, summary.bottleneck, summary.held.as_secs_f64());
    text(&pull)
}

/// The line of one pull with its objects.
pub(super) fn whole(record: &PullRecord, bottleneck: Bottleneck, held: f64, sentence: String) -> String {
    text(&Whole {
        pull: pull(record, bottleneck, held),
        sentence,
        objects: record.objects.iter().map(object).collect(),
        objects_left_out: record.objects_left_out,
    })
}

fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default() + "\n"
}

fn pull(pull: &PullRecord, bottleneck: Bottleneck, held: f64) -> Pull {
    let image = &pull.image;
    Pull {
        schema: SCHEMA,
        id: pull.id.to_string(),
        start: words::time(pull.start),
        start_unix_ms: pull.start.unix_millis(),
        duration_seconds: pull.duration.as_secs_f64(),
        image: image.to_string(),
        registry: image.registry.as_str().to_owned(),
        repository: image.repository.as_str().to_owned(),
        tag: image.tag.as_ref().map(|tag| tag.as_str().to_owned()),
        digest: image.digest.as_ref().map(ToString::to_string),
        client: pull.client.to_string(),
        user_agent: pull.user_agent.as_ref().map(ToString::to_string),
        node: pull.node.as_ref().map(ToString::to_string),
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

fn object(object: &ObjectRecord) -> Object {
    let (waits, stages) = (&object.waits, &object.stages);
    Object {
        kind: object.kind.as_str(),
        digest: object.digest.as_ref().map(ToString::to_string),
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
