//! Answers the questions of `pullgate coverage` and `pullgate drill` that come over the control socket.

use std::sync::Arc;
use std::time::Duration;

use oci::{Class, RegistryHost};
use proxy::Proxy;
use records::{Filter, Limit, PullSummary, Timestamp};
use serde::Serialize;

use super::document::SCHEMA;
use super::drill::{Refused, Running};
use super::look::look;
use super::report::{Begun, FailedPull, Report, lost};
use crate::admin::reading::{self, ReadingError};
use crate::process::control::protocol::{Reply, Request};
use crate::pulls::words;
use crate::run::parts::Shared;

/// Answers for one instance. Clones answer for the same one.
#[derive(Clone)]
pub(crate) struct Desk {
    shared: Shared,
    running: Arc<Running>,
}

impl Desk {
    /// The desk of an instance without a drill.
    pub(crate) fn new(shared: Shared) -> Self {
        Self { running: Arc::new(Running::new(shared.clone())), shared }
    }

    /// The answer; `None` for a request that is not about coverage or drills.
    pub(crate) async fn answer(&self, proxy: &Proxy, request: &Request) -> Option<Reply> {
        let answer = match request {
            Request::Coverage => match look(&self.shared, Some(proxy), &[]).await {
                Ok(coverage) => Ok(document(coverage)),
                Err(error) => return Some(Reply::Usage(error.to_string())),
            },
            Request::DrillBegin { registry, seconds } => self.begin(registry, *seconds),
            Request::DrillEnd { registry } => self.end(registry),
            Request::DrillWait { registry } => self.wait(registry).await,
            Request::DrillReport { registry, since } => self.report(proxy, registry, *since).await,
            _ => return None,
        };
        Some(answer.unwrap_or_else(|refused| Reply::Usage(refused.to_string())))
    }

    fn begin(&self, registry: &str, seconds: u64) -> Result<Reply, Refused> {
        let registry = self.running.configured(registry)?;
        let begun = self.running.begin(&registry, Duration::from_secs(seconds))?;
        Ok(document(Begun { registry: registry.as_str().to_owned(), begun, seconds }))
    }

    fn end(&self, registry: &str) -> Result<Reply, Refused> {
        let registry = self.running.configured(registry)?;
        self.running.stop(&registry)?;
        Ok(document(registry.as_str()))
    }

    async fn wait(&self, registry: &str) -> Result<Reply, Refused> {
        let registry = self.running.configured(registry)?;
        self.running.ended(&registry).await;
        Ok(document(registry.as_str()))
    }

    async fn report(&self, proxy: &Proxy, registry: &str, since: Option<u64>) -> Result<Reply, Refused> {
        let registry = self.running.configured(registry)?;
        let left = self.running.left(&registry);
        let begun = since.or_else(|| left.and_then(|_| self.running.begun(&registry)));
        let mut notes = Vec::new();
        let (images, lost) = match look(&self.shared, Some(proxy), std::slice::from_ref(&registry)).await {
            Ok(coverage) => {
                notes.extend_from_slice(&coverage.notes);
                let (images, lost) = lost(&coverage, registry.as_str());
                (Some(images), lost)
            }
            Err(error) => {
                notes.push(format!("the images of workloads are not judged: {error}"));
                (None, Vec::new())
            }
        };
        let failed_pulls = match begun {
            Some(begun) => self.failed_pulls(&registry, begun).await.unwrap_or_else(|error| {
                notes.push(format!("failed pulls are not counted: {error}"));
                Vec::new()
            }),
            None => Vec::new(),
        };
        let left_seconds = left.map(|left| left.as_secs());
        let registry = registry.as_str().to_owned();
        Ok(document(Report {
            schema: SCHEMA,
            registry,
            begun,
            left_seconds,
            images,
            lost,
            failed_pulls,
            notes,
        }))
    }

    /// The pulls of this registry since `begun` that failed because of the drill.
    async fn failed_pulls(
        &self,
        registry: &RegistryHost,
        begun: u64,
    ) -> Result<Vec<FailedPull>, ReadingError> {
        let (file, registry) = (self.shared.records.file(), registry.as_str().to_owned());
        let since = Timestamp::from(std::time::UNIX_EPOCH + Duration::from_millis(begun));
        let limit = Limit::new(FAILED_MAX).unwrap_or_default();
        let filter =
            Filter { since: Some(since), registry: Some(registry), failed: true, limit, ..Filter::default() };
        let page = reading::aside(move || -> Result<_, ReadingError> {
            Ok(reading::open(file.as_deref())?.pulls(&filter)?)
        })
        .await?;
        Ok(page.pulls.iter().filter(|summary| is_of_drill(summary)).map(failed).collect())
    }
}

/// True for a failure as a drill causes it.
fn is_of_drill(summary: &PullSummary) -> bool {
    summary.pull.failure.is_some_and(|failure| failure.class == Class::ConnectRefused)
}

fn failed(summary: &PullSummary) -> FailedPull {
    let pull = &summary.pull;
    FailedPull {
        id: words::id(pull),
        at: words::time(pull.start),
        image: words::image(pull),
        client: pull.node.as_ref().map_or_else(|| pull.client.to_string(), |node| node.as_str().to_owned()),
    }
}

fn document<T: Serialize>(document: T) -> Reply {
    serde_json::to_value(document).map_or_else(|error| Reply::Failed(error.to_string()), Reply::Fine)
}

/// The most failed pulls that a report lists.
const FAILED_MAX: i64 = 1000;
