//! Pulls as a collector of traces receives them, over OTLP HTTP.

#![allow(clippy::disallowed_methods, reason = "the collector is part of the test")]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use loadtest::image::Image;
use loadtest::registry::{Registry, Rule, TooMany};
use loadtest::tls::{Authority, Certificate};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message;
use support::{Pullgate, Scratch, wait_until};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::setup::{self, BIN, REGISTRY, Records, cache, pull_by_hand, upstream};

/// A collector that keeps what it receives.
struct Collector {
    address: String,
    received: Arc<Mutex<Vec<Received>>>,
    _serving: JoinSet<()>,
}

struct Received {
    path: String,
    headers: HeaderMap,
    export: ExportTraceServiceRequest,
}

impl Collector {
    async fn start() -> Self {
        Self::with(None).await
    }

    async fn with(certificate: Option<Certificate>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let received = Arc::<Mutex<Vec<Received>>>::default();
        let tls = certificate.map(|certificate| TlsAcceptor::from(certificate.server_config()));
        let (mut serving, kept) = (JoinSet::new(), received.clone());
        serving.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                match &tls {
                    None => serve(stream, kept.clone()).await,
                    Some(tls) => serve(tls.accept(stream).await.unwrap(), kept.clone()).await,
                }
            }
        });
        Self { address, received, _serving: serving }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn requests(&self) -> usize {
        self.received.lock().unwrap().len()
    }

    /// Every span received so far.
    fn spans(&self) -> Vec<Span> {
        let received = self.received.lock().unwrap();
        let resources = received.iter().flat_map(|it| &it.export.resource_spans);
        resources.flat_map(|it| &it.scope_spans).flat_map(|it| it.spans.clone()).collect()
    }

    /// The roots, once there are so many.
    async fn roots(&self, number: usize) -> Vec<Span> {
        let roots = || self.spans().into_iter().filter(|span| span.parent_span_id.is_empty()).collect();
        wait_until(&format!("{number} traces"), Duration::from_secs(30), || async {
            let roots: Vec<Span> = roots();
            (roots.len() >= number).then_some(())
        })
        .await;
        roots()
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(stream: S, kept: Arc<Mutex<Vec<Received>>>) {
    let keep = service_fn(|request: Request<Incoming>| {
        let kept = kept.clone();
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let (path, headers) = (head.uri.path().to_owned(), head.headers);
            let export = ExportTraceServiceRequest::decode(body).unwrap();
            kept.lock().unwrap().push(Received { path, headers, export });
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        }
    });
    let _gone = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), keep).await;
}

/// A registry with one image, and pullgate in front of it with these variables.
struct World {
    registry: Registry,
    image: Image,
    pullgate: Pullgate,
    scratch: Scratch,
}

impl World {
    async fn start(variables: &[(&str, &str)]) -> Self {
        Self::with("", Image::with_layers(81, &[300_000, 20_000]), variables).await
    }

    /// With more keys at the head of the configuration.
    async fn with(keys: &str, image: Image, variables: &[(&str, &str)]) -> Self {
        let (registry, scratch) = (Registry::start().await.unwrap(), Scratch::new());
        registry.add_image("library/app", "1", &image);
        let config =
            format!("{keys}{}", setup::config(&scratch)) + &upstream("test", REGISTRY, &registry.url());
        let pullgate = Pullgate::start_in(BIN, &scratch, &config, variables).await;
        Self { registry, image, pullgate, scratch }
    }

    async fn lost(&self, reason: &str) {
        let enough = |metrics: &support::Metrics| metrics.sum(LOST, &[("reason", reason)]) >= 1.0;
        self.pullgate.metrics_when("the loss to be counted", enough).await;
    }
}

#[tokio::test]
async fn a_pull_is_one_trace_and_the_registry_hears_nothing_of_it() {
    let collector = Collector::start().await;
    let mut world = World::start(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=let-me-in"),
        ("OTEL_SERVICE_NAME", "mirror"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=lab,service.name=other"),
    ])
    .await;
    let before = nanos();
    pull_by_hand(&world.pullgate, &world.image).await;
    let after = nanos();
    // The end of the process ends the pull, and its trace is exported before.
    assert!(world.pullgate.stop().await.success());

    let spans = collector.spans();
    let root = the_root(&spans);
    assert_eq!((root.name.as_str(), text(root, "pullgate.outcome")), ("pull", "miss"));
    assert!(before <= root.start_time_unix_nano && root.end_time_unix_nano <= after);
    each_span_lies_within_its_parent(&spans);
    let pull = Records::of(&world.scratch, cache(&world.scratch)).when(1).await.remove(0);
    assert_eq!(text(root, "pullgate.pull.id"), pull["id"].as_str().unwrap());
    assert_eq!(text(root, "container.image.name"), format!("{REGISTRY}/library/app"));
    assert_eq!(text(root, "client.address"), "127.0.0.1");

    let mut objects: Vec<_> =
        of_kind(&spans, SpanKind::Server).map(|span| text(span, "oci.digest").to_owned()).collect();
    let mut expected: Vec<_> =
        world.image.blobs().chain([&world.image.manifest]).map(|it| it.digest.clone()).collect();
    objects.sort();
    expected.sort();
    assert_eq!(objects, expected);
    let calls: Vec<_> = of_kind(&spans, SpanKind::Client).collect();
    assert_eq!(calls.len(), expected.len());
    for call in calls {
        assert_eq!((text(call, "server.address"), text(call, "http.request.method")), (REGISTRY, "GET"));
        let stages: Vec<_> = children(&spans, call).map(|span| span.name.as_str()).collect();
        assert!(stages.contains(&"upstream first_byte"), "{stages:?}");
    }
    let connects = spans.iter().filter(|span| span.name == "upstream connect").count();
    assert!(connects >= 1, "{spans:#?}");

    received_as_configured(&collector);
    assert!(!world.pullgate.log().contains("let-me-in"));
    for exchange in world.registry.log().iter() {
        for header in ["traceparent", "tracestate", "baggage", "b3"] {
            assert_eq!(exchange.header(header), None);
        }
    }
}

fn received_as_configured(collector: &Collector) {
    for received in collector.received.lock().unwrap().iter() {
        assert_eq!(received.path, "/v1/traces");
        assert_eq!(received.headers["content-type"], "application/x-protobuf");
        assert_eq!(received.headers["x-key"], "let-me-in");
        for resource in &received.export.resource_spans {
            let of = attributes(&resource.resource.as_ref().unwrap().attributes);
            assert_eq!(
                (of["service.name"].as_str(), of["deployment.environment.name"].as_str()),
                ("mirror", "lab")
            );
        }
    }
}

#[tokio::test]
async fn names_leave_the_process_only_where_the_configuration_shows_them() {
    let collector = Collector::start().await;
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url())];
    let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
    let image = Image::with_layers(82, &[1000]);
    let mut world = World::with("admin.names = false\n", image, &variables).await;
    let get = world.pullgate.get(&format!("/v2/library/app/manifests/1?ns={REGISTRY}"));
    let _manifest = get.header("x-pullgate-node", "node-7").header("user-agent", "agent-7").send().await;
    assert!(world.pullgate.stop().await.success());

    let spans = collector.spans();
    assert_eq!(text(the_root(&spans), "pullgate.registry"), REGISTRY);
    let told = format!("{spans:?}");
    for name in ["library", "node-7", "agent-7", "127.0.0.1", "sha256:"] {
        assert!(!told.contains(name), "{name}: {told}");
    }
}

#[tokio::test]
async fn a_failed_pull_is_an_error_with_its_class() {
    let collector = Collector::start().await;
    let mut world = World::start(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url())]).await;
    world.registry.fault(Rule::manifest().too_many_requests(TooMany::HubQuotaMessage));
    let answer = world.pullgate.get(&format!("/v2/library/app/manifests/1?ns={REGISTRY}")).send().await;
    let class = answer.header("x-pullgate-class").unwrap().to_owned();
    assert!(world.pullgate.stop().await.success());

    let spans = collector.spans();
    let root = the_root(&spans);
    assert_eq!((text(root, "error.type"), text(root, "pullgate.class")), (class.as_str(), class.as_str()));
    let object = of_kind(&spans, SpanKind::Server).next().unwrap();
    assert_eq!(text(object, "pullgate.object.outcome"), "failed");
    for span in [root, object] {
        assert_eq!(span.status.as_ref().unwrap().code, 2, "an error: {span:?}");
    }
}

#[tokio::test]
async fn a_pull_that_waited_for_anothers_transfer_links_to_it() {
    let collector = Collector::start().await;
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url())];
    let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
    let mut world = World::with("", Image::builder(83).plain_layer_of(3_000_000).finish(), &variables).await;
    let layer = world.image.largest_layer().digest.clone();
    world.registry.fault(Rule::blob().get().reference(&layer).rate(2_000_000));
    let path = format!("/v2/library/app/blobs/{layer}?ns={REGISTRY}");
    let get = |node: &str| world.pullgate.get(&path).header("x-pullgate-node", node).send();
    let manifest = |node: &str| {
        let path = format!("/v2/library/app/manifests/1?ns={REGISTRY}");
        world.pullgate.get(&path).header("x-pullgate-node", node).send()
    };
    assert!(manifest("first").await.is_whole() && manifest("second").await.is_whole());
    let follower = async {
        world.registry.wait_for(|log| log.blob_gets(&layer) >= 1).await;
        get("second").await
    };
    let (first, second) = tokio::join!(get("first"), follower);
    assert!(first.is_whole() && second.is_whole());
    assert!(world.pullgate.stop().await.success());

    let spans = collector.spans();
    let of_layer = |outcome: &str| {
        let mut objects = of_kind(&spans, SpanKind::Server);
        let found = objects.find(|span| {
            text(span, "oci.digest") == layer && text(span, "pullgate.object.outcome") == outcome
        });
        found.unwrap_or_else(|| panic!("no object {outcome}: {spans:#?}"))
    };
    let (leader, follower) = (of_layer("miss"), of_layer("joined"));
    assert_ne!(leader.trace_id, follower.trace_id);
    let transfer = children(&spans, leader).find(|span| span.kind == SpanKind::Client as i32).unwrap();
    let links: Vec<_> = follower.links.iter().map(|link| (&link.trace_id, &link.span_id)).collect();
    assert_eq!(links, [(&transfer.trace_id, &transfer.span_id)]);
    assert!(children(&spans, follower).any(|span| span.name == "wait fill"));
}

#[tokio::test]
async fn the_sampler_and_the_switch_are_obeyed() {
    for (variables, traces) in [
        (&[("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0")][..], 0),
        (&[("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "1")], 1),
        (&[("OTEL_SDK_DISABLED", "true")], 0),
    ] {
        let collector = Collector::start().await;
        let url = collector.url();
        let mut world =
            World::start(&[&[("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str())], variables].concat()).await;
        pull_by_hand(&world.pullgate, &world.image).await;
        assert!(world.pullgate.stop().await.success());
        assert_eq!(collector.requests(), traces, "{variables:?}");
        assert!(!world.pullgate.log().contains("WARN"), "{}", world.pullgate.log());
    }
}

#[tokio::test]
async fn a_collector_with_tls_is_verified_by_its_authority() {
    let (authority, scratch) = (Authority::new(), Scratch::new());
    let ca_file = scratch.path().join("ca.pem");
    authority.write_pem(&ca_file).unwrap();
    let collector = Collector::with(Some(authority.for_loopback())).await;
    let url = format!("https://{}/own/path", collector.address);
    let mut world = World::start(&[
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &url),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", ca_file.to_str().unwrap()),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
    ])
    .await;
    pull_by_hand(&world.pullgate, &world.image).await;
    assert_eq!(collector.roots(1).await.len(), 1);
    assert_eq!(collector.received.lock().unwrap()[0].path, "/own/path");
    let counted = |metrics: &support::Metrics| metrics.sum("pullgate_traces_exported_total", &[]) == 1.0;
    world.pullgate.metrics_when("the trace to be counted", counted).await;
    assert_eq!(world.pullgate.metrics().await.sum(LOST, &[]), 0.0);
    assert!(world.pullgate.stop().await.success());
}

#[tokio::test]
async fn a_collector_that_is_down_costs_a_trace_and_no_pull() {
    let port = support::ports::Port::lease();
    let world = World::start(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://user:let-me-in@{}", port.address())),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "300"),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
    ])
    .await;
    pull_by_hand(&world.pullgate, &world.image).await;
    world.lost("export_failed").await;
    assert!(world.pullgate.log().contains("traces are lost: cannot connect"), "{}", world.pullgate.log());
    assert!(!world.pullgate.log().contains("let-me-in"));
    pull_by_hand(&world.pullgate, &world.image).await;
}

#[tokio::test]
async fn a_collector_that_never_answers_holds_the_end_up_for_a_few_seconds() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let mut world = World::start(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &url)]).await;
    pull_by_hand(&world.pullgate, &world.image).await;
    world.pullgate.signal(support::process::Signal::TERM);
    assert!(world.pullgate.exited(Duration::from_secs(9)).await.success());
    let log = world.pullgate.log();
    assert!(log.contains("traces were not exported before the end"), "{log}");
}

#[tokio::test]
async fn variables_that_cannot_be_used_turn_traces_off_and_stop_nothing() {
    let world = World::start(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "user:let-me-in@collector")]).await;
    let log = world.pullgate.log();
    assert!(log.contains("traces are off: OTEL_EXPORTER_OTLP_ENDPOINT is not an http or https URL"), "{log}");
    assert!(!log.contains("let-me-in"));
    pull_by_hand(&world.pullgate, &world.image).await;
    assert_eq!(world.pullgate.metrics().await.sum(LOST, &[]), 0.0);
    assert_eq!(world.pullgate.readiness().await.status, StatusCode::OK);
}

/// The only root, after a check that every span is of its trace.
fn the_root(spans: &[Span]) -> &Span {
    let roots: Vec<_> = spans.iter().filter(|span| span.parent_span_id.is_empty()).collect();
    assert_eq!(roots.len(), 1, "{spans:#?}");
    assert!(spans.iter().all(|span| span.trace_id == roots[0].trace_id));
    roots[0]
}

fn each_span_lies_within_its_parent(spans: &[Span]) {
    for span in spans.iter().filter(|span| !span.parent_span_id.is_empty()) {
        let parent = spans.iter().find(|parent| parent.span_id == span.parent_span_id).unwrap();
        assert!(
            parent.start_time_unix_nano <= span.start_time_unix_nano
                && span.start_time_unix_nano <= span.end_time_unix_nano
                && span.end_time_unix_nano <= parent.end_time_unix_nano,
            "{span:?} in {parent:?}"
        );
    }
}

fn of_kind(spans: &[Span], kind: SpanKind) -> impl Iterator<Item = &Span> {
    spans.iter().filter(move |span| span.kind == kind as i32)
}

fn children<'a>(spans: &'a [Span], parent: &'a Span) -> impl Iterator<Item = &'a Span> {
    spans.iter().filter(|span| span.parent_span_id == parent.span_id)
}

/// The attribute of this name, which is a text.
fn text<'a>(span: &'a Span, name: &str) -> &'a str {
    let found = span.attributes.iter().find(|attribute| attribute.key == name);
    match found.and_then(|attribute| attribute.value.as_ref()) {
        Some(AnyValue { value: Some(Value::StringValue(text)) }) => text,
        other => panic!("{name} is {other:?} in {span:#?}"),
    }
}

fn attributes(all: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &Option<AnyValue>| match value.as_ref().and_then(|it| it.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        other => format!("{other:?}"),
    };
    all.iter().map(|attribute| (attribute.key.clone(), text(&attribute.value))).collect()
}

fn nanos() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap()
}

const LOST: &str = "pullgate_traces_lost_total";
