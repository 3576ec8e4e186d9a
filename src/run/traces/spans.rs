//! Draws the record of a pull as spans.
//!
//! A record holds how long each part of an object took, but not when it began. The parts are laid out in the order of a
//! request, as the waterfall of `pullgate pulls show` does, and never reach beyond their object.

use std::time::{Duration, SystemTime};

use opentelemetry::trace::{Span, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Array, Context, KeyValue, StringValue, Value};
use opentelemetry_sdk::trace::{SdkTracer, Span as SdkSpan};
use records::record::{ObjectKind, ObjectOutcome};
use records::{ObjectRecord, PullRecord, bottleneck};

use super::fills::{Fills, Key};

/// A pull that ended.
pub(super) struct Ended {
    /// Its record.
    pub(super) pull: PullRecord,
    /// The id of its first request that failed, or else of its first request.
    pub(super) request_id: Option<String>,
    /// The time of its first request, more precise than in the record.
    pub(super) start: SystemTime,
}

/// A span that stays open until every transfer of its batch is known.
pub(super) struct Waiting {
    span: SdkSpan,
    key: Key,
    time: Time,
}

/// Begin and end of a span.
type Time = (SystemTime, SystemTime);

/// Draws pulls as spans.
pub(super) struct Drawer {
    /// Makes the spans, with the configured sampler.
    pub(super) tracer: SdkTracer,
    /// True if names of images, clients and nodes may be exported.
    pub(super) names: bool,
}

impl Drawer {
    /// Draws one pull. Its transfers are added to `fills`; the spans that waited for a transfer of another pull are
    /// returned open. `None` if the sampler leaves the pull out.
    pub(super) fn draw(&self, ended: &Ended, fills: &mut Fills) -> Option<Vec<Waiting>> {
        let time = (ended.start, ended.start + ended.pull.duration);
        let attributes = self.of_pull(ended);
        let mut root = self.begin(&Context::new(), "pull".into(), SpanKind::Internal, time.0, attributes);
        if !root.is_recording() {
            return None;
        }
        let parent = Context::new().with_remote_span_context(root.span_context().clone());
        let asked = ended.pull.objects.iter().filter(|object| object.outcome != ObjectOutcome::NotAsked);
        let waiting = asked.filter_map(|object| self.object(ended, object, &parent, fills)).collect();
        if ended.pull.outcome.is_failure() {
            root.set_status(Status::error(error_type(&ended.pull)));
        }
        root.end_with_timestamp(time.1);
        Some(waiting)
    }

    fn object(
        &self,
        ended: &Ended,
        object: &ObjectRecord,
        parent: &Context,
        fills: &mut Fills,
    ) -> Option<Waiting> {
        let begin = (ended.start + object.began).min(ended.start + ended.pull.duration);
        let end = (begin + object.first_byte + object.transfer).min(ended.start + ended.pull.duration);
        let attributes = self.of_object(&ended.pull, object);
        let name = format!("{} {}", method(object), route(object));
        let mut span = self.begin(parent, name, SpanKind::Server, begin, attributes);
        if object.outcome == ObjectOutcome::Failed {
            span.set_status(Status::error(error_type(&ended.pull)));
        }
        let within = Context::new().with_remote_span_context(span.span_context().clone());
        let transfer = self.parts(ended, object, &within, (begin, end));
        let key = object.digest.clone().map(|digest| (ended.pull.image.registry.clone(), digest));
        if let (Some(key), Some((transfer, time))) = (&key, transfer.filter(|_| object.fetched > 0)) {
            fills.add(key.clone(), transfer, time);
        }
        match key.filter(|_| object.outcome == ObjectOutcome::Joined) {
            Some(key) => Some(Waiting { span, key, time: (begin, end) }),
            None => {
                span.end_with_timestamp(end);
                None
            }
        }
    }

    /// Draws the parts of an object's time. Returns the span of the calls to the upstream, if there were any.
    fn parts(
        &self,
        ended: &Ended,
        object: &ObjectRecord,
        parent: &Context,
        (begin, end): Time,
    ) -> Option<(SpanContext, Time)> {
        let stages = stages(object);
        let begin = self.in_a_row("wait", &waits(object), parent, (begin, end));
        let total: Duration = stages.iter().map(|(_, time)| *time).sum();
        let call = (begin, (begin + total).min(end));
        let drawn = (!total.is_zero()).then(|| {
            let attributes = of_call(&ended.pull, object);
            let name = format!("{} {}", method(object), route(object));
            let mut span = self.begin(parent, name, SpanKind::Client, call.0, attributes);
            let within = Context::new().with_remote_span_context(span.span_context().clone());
            self.in_a_row("upstream", &stages, &within, call);
            span.end_with_timestamp(call.1);
            (span.span_context().clone(), call)
        });
        self.in_a_row("store", &[("disk", object.disk), ("verify", object.verify)], parent, (call.1, end));
        drawn
    }

    /// Draws parts one after the other. Returns the end of the last one.
    fn in_a_row(
        &self,
        group: &str,
        parts: &[(&str, Duration)],
        parent: &Context,
        (begin, end): Time,
    ) -> SystemTime {
        let mut from = begin;
        for (part, time) in parts.iter().filter(|(_, time)| !time.is_zero()) {
            let to = (from + *time).min(end);
            let exact = KeyValue::new("pullgate.seconds", time.as_secs_f64());
            let name = format!("{group} {part}");
            self.begin(parent, name, SpanKind::Internal, from, vec![exact]).end_with_timestamp(to);
            from = to;
        }
        from
    }

    fn begin(
        &self,
        parent: &Context,
        name: String,
        kind: SpanKind,
        start: SystemTime,
        attributes: Vec<KeyValue>,
    ) -> SdkSpan {
        let builder = SpanBuilder::from_name(name).with_kind(kind).with_start_time(start);
        self.tracer.build_with_context(builder.with_attributes(attributes), parent)
    }

    fn of_pull(&self, ended: &Ended) -> Vec<KeyValue> {
        let pull = &ended.pull;
        let finding = bottleneck::find(pull);
        let not_asked =
            pull.objects.iter().filter(|object| object.outcome == ObjectOutcome::NotAsked).count();
        let codes = pull.status_codes.iter().map(|(code, times)| format!("{code}: {times}").into());
        let codes: Vec<StringValue> = codes.collect();
        let mut all = vec![
            KeyValue::new("pullgate.pull.id", pull.id.to_string()),
            KeyValue::new("pullgate.registry", pull.image.registry.as_str().to_owned()),
            KeyValue::new("pullgate.outcome", pull.outcome.as_str()),
            KeyValue::new("pullgate.stale", pull.stale),
            KeyValue::new("pullgate.rescued", pull.rescued),
            KeyValue::new("pullgate.sent_bytes", number(pull.sent)),
            KeyValue::new("pullgate.fetched_bytes", number(pull.fetched)),
            KeyValue::new("pullgate.objects.not_asked", number(not_asked as u64)),
            KeyValue::new("pullgate.upstream.status_codes", Value::Array(Array::String(codes))),
            KeyValue::new("pullgate.bottleneck", finding.bottleneck.as_str()),
            KeyValue::new("pullgate.bottleneck.seconds", finding.held.as_secs_f64()),
        ];
        let stage = finding.bottleneck.stage().map(|stage| stage.as_str());
        all.extend(stage.map(|stage| KeyValue::new("pullgate.bottleneck.stage", stage)));
        all.extend(ended.request_id.clone().map(|id| KeyValue::new("pullgate.request.id", id)));
        all.extend(of_failure(pull));
        if self.names {
            all.extend(of_names(pull));
        }
        all
    }

    fn of_object(&self, pull: &PullRecord, object: &ObjectRecord) -> Vec<KeyValue> {
        let mut all = vec![
            KeyValue::new("http.request.method", method(object)),
            KeyValue::new("http.route", route(object)),
            KeyValue::new("http.response.body.size", number(object.sent)),
            KeyValue::new("pullgate.object.kind", object.kind.as_str()),
            KeyValue::new("pullgate.object.outcome", object.outcome.as_str()),
            KeyValue::new("pullgate.fetched_bytes", number(object.fetched)),
            KeyValue::new("pullgate.first_byte.seconds", object.first_byte.as_secs_f64()),
        ];
        all.extend(object.size.map(|size| KeyValue::new("oci.size", number(size))));
        let media_type = object.media_type.as_ref().map(ToString::to_string);
        all.extend(media_type.map(|it| KeyValue::new("oci.media_type", it)));
        let digest = object.digest.as_ref().filter(|_| self.names);
        all.extend(digest.map(|digest| KeyValue::new("oci.digest", digest.to_string())));
        if object.outcome == ObjectOutcome::Failed {
            all.push(KeyValue::new("error.type", error_type(pull)));
        }
        all
    }
}

impl Waiting {
    /// Ends the span, with a link to the transfer that it waited for if a trace has it.
    pub(super) fn end(mut self, fills: &Fills) {
        if let Some(transfer) = fills.during(&self.key, self.time) {
            self.span.add_link(transfer, vec![KeyValue::new("pullgate.link", "fill")]);
        }
        self.span.end_with_timestamp(self.time.1);
    }
}

/// The times waited within the mirror, in their order.
fn waits(object: &ObjectRecord) -> [(&'static str, Duration); 4] {
    let waits = &object.waits;
    [("slot", waits.slot), ("quota", waits.quota), ("fill", waits.fill), ("token", waits.token)]
}

/// The times of the upstream's stages, in their order.
fn stages(object: &ObjectRecord) -> [(&'static str, Duration); 6] {
    let stages = &object.stages;
    [
        ("resolve", stages.resolve),
        ("connect", stages.connect),
        ("tls", stages.tls),
        ("token", stages.token),
        ("first_byte", stages.first_byte),
        ("transfer", stages.transfer),
    ]
}

/// The attributes of the calls to the upstream for one object.
fn of_call(pull: &PullRecord, object: &ObjectRecord) -> Vec<KeyValue> {
    let registry = &pull.image.registry;
    let mut all = vec![
        KeyValue::new("http.request.method", method(object)),
        KeyValue::new("url.template", route(object)),
        KeyValue::new("server.address", registry.host().to_owned()),
        KeyValue::new("http.response.body.size", number(object.fetched)),
    ];
    if object.resumes > 0 {
        all.push(KeyValue::new("http.request.resend_count", i64::from(object.resumes)));
    }
    let port = registry.as_str().strip_prefix(registry.host()).and_then(|rest| rest.strip_prefix(':'));
    let port = port.and_then(|port| port.parse::<i64>().ok()).unwrap_or(443);
    all.push(KeyValue::new("server.port", port));
    all
}

/// The first failure of the pull. Only that of a pull that failed is an error: others recovered.
fn of_failure(pull: &PullRecord) -> Vec<KeyValue> {
    let mut all = Vec::new();
    if let Some(failure) = pull.failure {
        all.push(KeyValue::new("pullgate.class", failure.class.as_str()));
        all.extend(failure.stage.map(|stage| KeyValue::new("pullgate.stage", stage.as_str())));
    }
    if pull.outcome.is_failure() {
        all.push(KeyValue::new("error.type", error_type(pull)));
    }
    all
}

/// The names of image, client and node.
fn of_names(pull: &PullRecord) -> Vec<KeyValue> {
    let image = &pull.image;
    let name = format!("{}/{}", image.registry.as_str(), image.repository.as_str());
    let mut all = vec![
        KeyValue::new("container.image.name", name),
        KeyValue::new("client.address", pull.client.to_string()),
    ];
    let tag = image.tag.as_ref().map(|tag| vec![StringValue::from(tag.as_str().to_owned())]);
    all.extend(tag.map(|tags| KeyValue::new("container.image.tags", Value::Array(Array::String(tags)))));
    let digest = image.digest.as_ref().map(ToString::to_string);
    all.extend(digest.map(|digest| KeyValue::new("oci.manifest.digest", digest)));
    let agent = pull.user_agent.as_ref().map(ToString::to_string);
    all.extend(agent.map(|agent| KeyValue::new("user_agent.original", agent)));
    all.extend(pull.node.as_ref().map(|node| KeyValue::new("pullgate.node", node.to_string())));
    all
}

/// The class of the pull's failure, or else its outcome.
fn error_type(pull: &PullRecord) -> &'static str {
    pull.failure.map_or(pull.outcome.as_str(), |failure| failure.class.as_str())
}

/// A record merges the requests for an object, and does not hold their methods: one without a body was a HEAD.
fn method(object: &ObjectRecord) -> &'static str {
    let is_empty = object.sent == 0 && object.size != Some(0);
    if is_empty && object.outcome != ObjectOutcome::Failed { "HEAD" } else { "GET" }
}

fn route(object: &ObjectRecord) -> &'static str {
    match object.kind {
        ObjectKind::Index | ObjectKind::Manifest => "/v2/{name}/manifests/{reference}",
        ObjectKind::Config | ObjectKind::Layer | ObjectKind::Other => "/v2/{name}/blobs/{digest}",
    }
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
