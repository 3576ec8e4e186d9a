//! The task that turns ended pulls into traces and exports them.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::counter;
use opentelemetry::Context;
use opentelemetry::trace::TraceId;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, Span, SpanData, SpanExporter as _, SpanProcessor};
use tokio::sync::mpsc::Receiver;

use super::collector::Collector;
use super::fills::Fills;
use super::losses::{Backlog, Loss};
use super::spans::{Drawer, Ended};
use crate::run::metric_names::TRACES_EXPORTED;

/// What the task works with.
pub(super) struct Worker {
    pub(super) queue: Receiver<Ended>,
    pub(super) backlog: Arc<Backlog>,
    pub(super) drawer: Drawer,
    pub(super) drawn: Drawn,
    pub(super) exporter: SpanExporter,
    pub(super) collector: Collector,
    pub(super) delay: Duration,
    /// Keeps the drawer's tracer working.
    pub(super) provider: SdkTracerProvider,
}

/// Collects the spans that the drawer ends. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Drawn(Arc<Mutex<Vec<SpanData>>>);

impl Worker {
    /// Exports until the queue is closed and empty.
    pub(super) async fn run(mut self) {
        let (mut fills, mut failing) = (Fills::default(), false);
        while let Some(first) = self.queue.recv().await {
            let mut batch = vec![first];
            let gather = async {
                while batch.len() < BATCH_MAX {
                    let Some(next) = self.queue.recv().await else { return };
                    batch.push(next);
                }
            };
            let _gathered = tokio::time::timeout(self.delay, gather).await;
            let traces = self.draw(&batch, &mut fills).await;
            self.backlog.settle(batch.len() - traces.len());
            for part in parts(traces) {
                self.export(part, &mut failing).await;
            }
        }
        let _already = self.provider.shutdown();
    }

    /// The spans of the pulls of a batch that the sampler chose, by trace.
    async fn draw(&self, batch: &[Ended], fills: &mut Fills) -> Vec<Vec<SpanData>> {
        let mut waiting = Vec::new();
        for ended in batch {
            waiting.extend(self.drawer.draw(ended, fills).into_iter().flatten());
            // Requests of clients go first.
            tokio::task::yield_now().await;
        }
        waiting.into_iter().for_each(|span| span.end(fills));
        let mut traces: HashMap<TraceId, Vec<SpanData>> = HashMap::new();
        for span in self.drawn.take() {
            traces.entry(span.span_context.trace_id()).or_default().push(span);
        }
        traces.into_values().collect()
    }

    async fn export(&self, traces: Vec<Vec<SpanData>>, failing: &mut bool) {
        let number = traces.len();
        let exported = self.exporter.export(traces.into_iter().flatten().collect()).await;
        match &exported {
            Ok(()) => counter!(TRACES_EXPORTED).increment(number as u64),
            Err(_) => Loss::ExportFailed.count(number),
        }
        self.backlog.settle(number);
        match exported {
            Ok(()) if *failing => tracing::info!("traces are exported again"),
            Err(error) if !*failing => {
                let why = self.collector.fault().unwrap_or_else(|| error.to_string());
                tracing::warn!("traces are lost: {why}");
            }
            _ => return,
        }
        *failing = !*failing;
    }
}

/// The traces in parts for one request each: whole traces, and at most [`SPANS_MAX`] spans unless one trace has more.
fn parts(traces: Vec<Vec<SpanData>>) -> Vec<Vec<Vec<SpanData>>> {
    let (mut parts, mut part, mut spans) = (Vec::new(), Vec::new(), 0);
    for trace in traces {
        if !part.is_empty() && spans + trace.len() > SPANS_MAX {
            parts.push(mem::take(&mut part));
            spans = 0;
        }
        spans += trace.len();
        part.push(trace);
    }
    parts.extend((!part.is_empty()).then_some(part));
    parts
}

impl Drawn {
    fn take(&self) -> Vec<SpanData> {
        mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl SpanProcessor for Drawn {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// The most pulls that are drawn at once.
const BATCH_MAX: usize = 64;
/// The most spans of one request, as OpenTelemetry's specification has it.
const SPANS_MAX: usize = 512;
