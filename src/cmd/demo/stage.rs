//! The setup of the demo: two misbehaving registries, and a complete pullgate in front of them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use loadtest::image::Image;
use loadtest::registry::{Quota, Registry};
use loadtest::tls::Authority;
use prober::Board;
use tokio::time::timeout;

use crate::run::error::StartError;
use crate::run::{Process, Roles, telemetry};

/// The parts that the scenes use.
pub(crate) struct Stage {
    /// The registry on plain HTTP whose quota is spent and whose outage is played.
    pub(crate) registry: Registry,
    /// The registry whose certificate expired in 2001.
    _expired: Registry,
    /// The prober's latest verdicts.
    pub(crate) board: Arc<Board>,
    /// The mirror's address.
    pub(crate) mirror: SocketAddr,
    /// The address of the status page.
    pub(crate) admin: SocketAddr,
    _process: tokio::task::JoinHandle<Result<(), StartError>>,
    _folder: tempfile::TempDir,
}

/// The demo could not be set up or played.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoError {
    /// A listener or the scratch folder could not be made.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// pullgate could not start.
    #[error("{0}")]
    Start(#[from] StartError),
    /// The demo's own configuration has an error.
    #[error("{0}")]
    Config(String),
    /// The metrics recorder could not be built.
    #[error("metrics: {0}")]
    Metrics(#[from] metrics_exporter_prometheus::BuildError),
}

impl Stage {
    /// Starts the registries, then pullgate as `serve` would.
    pub(crate) async fn set() -> Result<Self, DemoError> {
        let registry = Registry::start().await?;
        registry.add_image("library/app", "1", &Image::with_layers(1, &[8 << 20, 2 << 20, 64 << 10]));
        registry.add_image("library/other", "1", &Image::with_layers(2, &[1 << 20]));
        registry.set_quota(Some(Quota::of(100)));
        let (authority, folder) = (Authority::new(), tempfile::tempdir()?);
        authority.write_pem(&folder.path().join(CA_FILE))?;
        let expired = Registry::start_tls(authority.expired(&["127.0.0.1"])).await?;
        let config = configuration(&registry, &expired, folder.path())?;
        let process = Process::build(config, Roles::BOTH, telemetry::install()?).await?;
        let (mirror, admin) =
            (process.mirror_address().unwrap_or_else(|| process.admin_address()), process.admin_address());
        let board = process.board();
        let process = tokio::spawn(process.run(std::future::pending()));
        Ok(Self { registry, _expired: expired, board, mirror, admin, _process: process, _folder: folder })
    }

    /// Waits for the prober to conclude `verdict` on `registry`, and returns the line about it.
    pub(crate) async fn verdict(&self, registry: &str, verdict: &str) -> Option<prober::status::Entry> {
        let concluded = async {
            loop {
                let entry = self.board.entries().into_iter().find(|entry| entry.registry == registry);
                if let Some(entry) = entry.filter(|entry| entry.verdict == verdict) {
                    return entry;
                }
                tokio::time::sleep(GLANCE).await;
            }
        };
        timeout(VERDICT_WAIT, concluded).await.ok()
    }
}

fn configuration(
    registry: &Registry,
    expired: &Registry,
    folder: &std::path::Path,
) -> Result<config::Loaded, DemoError> {
    let text = format!(
        r#"
builtin_upstreams = false
[proxy]
listen = "127.0.0.1:0"
[proxy.cache]
dir = "{folder}/cache"
max_size = "1GiB"
[admin]
listen = "127.0.0.1:0"
[upstreams.demo]
registry = "{DEMO}"
endpoints = ["{demo}"]
tag_max_age = "1s"
[upstreams.expired]
registry = "{EXPIRED}"
endpoints = ["{expired}"]
ca_file = "{folder}/{CA_FILE}"
[[prober.targets]]
image = "{DEMO}/library/app:1"
"#,
        folder = folder.display(),
        demo = registry.url(),
        expired = expired.url(),
    );
    let mut loaded = config::parse(&text, std::path::Path::new("the demo's configuration"))
        .map_err(|report| DemoError::Config(report.to_string()))?;
    // This is shorter than a configuration file may set, which is harmless for the demo's own registries.
    loaded.config.prober.interval = PROBE_INTERVAL;
    loaded.path = None;
    Ok(loaded)
}

/// The registry whose quota is spent and whose outage is played.
pub(crate) const DEMO: &str = "registry.demo";
/// The registry with the expired certificate.
pub(crate) const EXPIRED: &str = "expired.demo";
/// The file with the CA of the second registry. The CA is trusted, so the only fault of the certificate is that it has
/// expired.
const CA_FILE: &str = "ca.pem";
/// The time between two probes.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);
/// The longest wait of a scene for the prober's verdict.
const VERDICT_WAIT: Duration = Duration::from_secs(10);
/// The time between two looks at the board during that wait.
const GLANCE: Duration = Duration::from_millis(50);
