//! The way into the traces: the bounded queue, and its end.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::counter;
use opentelemetry::trace::TracerProvider;
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::{EnvResourceDetector, TelemetryResourceDetector};
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanExporter as _};
use tokio::sync::mpsc::{self, Sender, error::TrySendError};
use tokio::task::JoinHandle;

use super::collector::Collector;
use super::losses::{Backlog, Loss};
use super::spans::{Drawer, Ended};
use super::variables::Variables;
use super::worker::{Drawn, Worker};
use crate::run::instance::instance;
use crate::run::metric_names::{self, TRACES_EXPORTED};

/// The traces of this process. Clones share them.
#[derive(Clone)]
pub(crate) struct Traces(Option<Arc<Inner>>);

struct Inner {
    backlog: Arc<Backlog>,
    /// The queue and the task that empties it; `None` after the end.
    open: Mutex<Option<(Sender<Ended>, JoinHandle<()>)>>,
}

/// The reason why traces cannot be exported.
#[derive(Debug, thiserror::Error)]
enum SetupError {
    #[error(transparent)]
    Endpoint(#[from] super::variables::EndpointError),
    #[error(transparent)]
    Certificate(#[from] super::collector::CertificateError),
    #[error("{0}")]
    Exporter(String),
}

impl Traces {
    /// Traces as the environment configures them; without an endpoint, or with faulty variables, none. Must be called
    /// within the runtime. With `names` they have the names of images, clients and nodes.
    pub(crate) fn from_env(names: bool) -> Self {
        let set_up = setup(names).unwrap_or_else(|error| {
            tracing::warn!("traces are off: {error}");
            None
        });
        let Some((worker, queue)) = set_up else { return Self(None) };
        series::describe(metric_names::TRACES);
        counter!(TRACES_EXPORTED).increment(0);
        Loss::ALL.iter().for_each(|loss| loss.count(0));
        let backlog = Arc::clone(&worker.backlog);
        let open = Mutex::new(Some((queue, tokio::spawn(worker.run()))));
        Self(Some(Arc::new(Inner { backlog, open })))
    }

    /// Takes a pull that ended. Never waits.
    pub(crate) fn take(&self, ended: &proxy::PullRecord, pull: &records::PullRecord) {
        let Some(inner) = &self.0 else { return };
        let request_id = ended.request_id.as_ref().map(|id| id.as_str().to_owned());
        let ended = Ended { pull: pull.clone(), request_id, start: ended.start };
        let open = inner.open.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((queue, _)) = &*open else { return Loss::Shutdown.count(1) };
        inner.backlog.add();
        if let Err(error) = queue.try_send(ended) {
            inner.backlog.settle(1);
            match error {
                TrySendError::Full(_) => Loss::QueueFull.count(1),
                TrySendError::Closed(_) => Loss::Shutdown.count(1),
            }
        }
    }

    /// Exports what was taken, for at most [`CLOSE_MAX`].
    pub(crate) async fn close(&self) {
        let Some(inner) = &self.0 else { return };
        let open = inner.open.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((queue, mut worker)) = open else { return };
        drop(queue);
        if tokio::time::timeout(CLOSE_MAX, &mut worker).await.is_err() {
            worker.abort();
            let lost = inner.backlog.left();
            Loss::Shutdown.count(lost);
            tracing::warn!(lost, "traces were not exported before the end");
        }
    }
}

/// The task and the queue to it; `None` if the environment asks for no traces.
fn setup(names: bool) -> Result<Option<(Worker, Sender<Ended>)>, SetupError> {
    let Some(variables) = Variables::read(|name| std::env::var(name).ok())? else { return Ok(None) };
    variables.ignored.iter().for_each(|fault| tracing::warn!("{fault}"));
    let (collector, resource) = (Collector::new(&variables)?, resource());
    let mut exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_http_client(collector.clone())
        .build()
        .map_err(|error| SetupError::Exporter(error.to_string()))?;
    exporter.set_resource(&resource);
    let drawn = Drawn::default();
    let provider =
        SdkTracerProvider::builder().with_resource(resource).with_span_processor(drawn.clone()).build();
    let scope = InstrumentationScope::builder("pullgate").with_version(env!("CARGO_PKG_VERSION")).build();
    let drawer = Drawer { tracer: provider.tracer_with_scope(scope), names };
    let (sender, queue) = mpsc::channel(QUEUE_MAX);
    let (backlog, delay) = (Arc::default(), variables.delay);
    let worker = Worker { queue, backlog, drawer, drawn, exporter, collector, delay, provider };
    Ok(Some((worker, sender)))
}

/// What the traces are of: this process, as far as the variables do not say otherwise.
fn resource() -> Resource {
    let ours = [
        KeyValue::new("service.name", "pullgate"),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", instance().to_string()),
    ];
    let resource = Resource::builder_empty()
        .with_attributes(ours)
        .with_detectors(&[Box::new(TelemetryResourceDetector), Box::new(EnvResourceDetector::new())]);
    match std::env::var("OTEL_SERVICE_NAME").ok().filter(|name| !name.is_empty()) {
        Some(name) => resource.with_service_name(name).build(),
        None => resource.build(),
    }
}

/// The most pulls that wait for their export.
const QUEUE_MAX: usize = 1024;
/// The longest wait at the end for the collector.
const CLOSE_MAX: Duration = Duration::from_secs(5);
