//! The drills of this instance: each begins and ends in the log and in a metric, and ends by itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use metrics::gauge;
use oci::RegistryHost;
use registry::drills::{AlreadyMarked, LENGTH_MAX};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::run::metric_names::DRILL_ACTIVE;
use crate::run::parts::Shared;

/// The drills of this instance.
pub(crate) struct Running {
    shared: Shared,
    latest: Arc<Mutex<HashMap<RegistryHost, Latest>>>,
}

/// The latest drill of a registry.
struct Latest {
    /// The time of the begin, in milliseconds since 1970.
    begun: u64,
    /// Becomes true at the end.
    over: watch::Sender<bool>,
}

/// The reason for which a drill does not begin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// The text is no registry, or one that is not configured.
    #[error("{registry} is not a configured registry; configured: {configured}")]
    NotConfigured {
        /// The text.
        registry: String,
        /// The configured registries.
        configured: String,
    },
    /// The time is zero or too long.
    #[error(
        "a drill lasts 1s to {}: a forgotten one must not become an outage",
        config::units::show_duration(LENGTH_MAX)
    )]
    Length,
    /// One runs already.
    #[error("{registry}: {source}; `pullgate drill --stop --registry {registry}` ends it")]
    Already {
        /// The registry.
        registry: RegistryHost,
        /// The drill that runs.
        source: AlreadyMarked,
    },
    /// None runs.
    #[error("no drill runs for {0}")]
    None(RegistryHost),
}

impl Running {
    /// No drill runs: a restart ends all of them.
    pub(crate) fn new(shared: Shared) -> Self {
        Self { shared, latest: Arc::default() }
    }

    /// Reads the name of a configured registry.
    pub(crate) fn configured(&self, text: &str) -> Result<RegistryHost, Refused> {
        let upstreams = self.shared.upstreams.load();
        let known = text.parse::<RegistryHost>().ok();
        let found = known.filter(|known| upstreams.iter().any(|upstream| upstream.registry == *known));
        found.ok_or_else(|| Refused::NotConfigured {
            registry: text.to_owned(),
            configured: upstreams.iter().map(|it| it.registry.as_str()).collect::<Vec<_>>().join(", "),
        })
    }

    /// Begins a drill. Returns the time of its begin, in milliseconds since 1970.
    pub(crate) fn begin(&self, registry: &RegistryHost, length: Duration) -> Result<u64, Refused> {
        if length < Duration::from_secs(1) || length > LENGTH_MAX {
            return Err(Refused::Length);
        }
        let already = |source| Refused::Already { registry: registry.clone(), source };
        self.shared.drills().begin(registry, length, Instant::now()).map_err(already)?;
        let (begun, over) = (millis(SystemTime::now()), watch::Sender::new(false));
        self.latest().insert(registry.clone(), Latest { begun, over: over.clone() });
        gauge!(DRILL_ACTIVE, "registry" => registry.as_str().to_owned()).set(1.0);
        tracing::warn!(
            registry = registry.as_str(),
            seconds = length.as_secs(),
            "a drill begins: pulls get nothing from the registry"
        );
        tokio::spawn(end(self.shared.clone(), registry.clone(), length, over));
        Ok(begun)
    }

    /// Ends the drill of a registry now.
    pub(crate) fn stop(&self, registry: &RegistryHost) -> Result<(), Refused> {
        if !self.shared.drills().end(registry, Instant::now()) {
            return Err(Refused::None(registry.clone()));
        }
        if let Some(latest) = self.latest().get(registry) {
            latest.over.send_replace(true);
        }
        Ok(())
    }

    /// Returns when the drill of a registry has ended; at once if none runs.
    pub(crate) async fn ended(&self, registry: &RegistryHost) {
        let over = self.latest().get(registry).map(|latest| latest.over.subscribe());
        if let Some(mut over) = over {
            let _closed = over.wait_for(|over| *over).await;
        }
    }

    /// The begin of the latest drill of a registry, in milliseconds since 1970.
    pub(crate) fn begun(&self, registry: &RegistryHost) -> Option<u64> {
        self.latest().get(registry).map(|latest| latest.begun)
    }

    /// The time until the drill of a registry ends; `None` if none runs.
    pub(crate) fn left(&self, registry: &RegistryHost) -> Option<Duration> {
        self.shared.drills().left(registry, Instant::now())
    }

    fn latest(&self) -> MutexGuard<'_, HashMap<RegistryHost, Latest>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for the end of a drill, and tells it. The mark ends by its own time, also without this task.
async fn end(shared: Shared, registry: RegistryHost, length: Duration, over: watch::Sender<bool>) {
    let mut stopped = over.subscribe();
    let by = tokio::select! {
        () = tokio::time::sleep(length) => "its time is over",
        _ = stopped.wait_for(|over| *over) => "it was stopped",
    };
    // A new drill of this registry may have begun between the end and this line.
    if shared.drills().left(&registry, Instant::now()).is_none() {
        gauge!(DRILL_ACTIVE, "registry" => registry.as_str().to_owned()).set(0.0);
    }
    over.send_replace(true);
    tracing::warn!(registry = registry.as_str(), by, "a drill has ended: the registry is asked again");
}

fn millis(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX))
}
