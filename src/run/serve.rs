//! Makes a running process from the configuration, in two phases.
//!
//! [`Process::build`] binds the listeners and connects the parts; [`Process::run`] serves until it is asked to stop, then
//! drains. The admin endpoint starts first: while an instance that is ending still holds the cache folder, this instance
//! answers that it is alive but not ready.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use config::{Config, Loaded};
use metrics_exporter_prometheus::PrometheusHandle;
use prober::{Board, Prober};
use proxy::{Proxy, ServerTls, Settings, Telemetry};
use store::{Store, StoreConfig};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use super::discovery;
use super::error::StartError;
use super::instance::instance;
use super::named_files;
use super::parts::Shared;
use super::readiness::{Phase, Readiness};
use super::records::{Savings, Sinks};
use super::reload::{self, Probing, Reloader};
use super::roles::Roles;
use super::telemetry;
use crate::admin::{Admin, Sources, StatusView};
use crate::coverage::desk::Desk;
use crate::coverage::keep::keep;
use crate::process::control::Control;
use crate::process::{log, open_files, signal};

/// All parts, connected.
pub(crate) struct Process {
    loaded: Loaded,
    shared: Shared,
    readiness: Readiness,
    admin: SocketAddr,
    proxy: Option<(Proxy, proxy::Bound)>,
    prober: Option<Prober>,
    background: JoinSet<()>,
}

/// Runs until SIGTERM or SIGINT.
pub(crate) async fn run(loaded: Loaded, roles: Roles) -> Result<(), StartError> {
    let process = Process::build(loaded, roles, telemetry::install()?).await?;
    process.run(async { signal::stop().await.map_err(StartError::Signal) }).await
}

impl Process {
    /// Binds the listeners and connects the parts; the admin endpoint then answers already.
    pub(crate) async fn build(
        loaded: Loaded,
        roles: Roles,
        metrics: PrometheusHandle,
    ) -> Result<Self, StartError> {
        announce(&loaded, roles);
        let config = &loaded.config;
        let (readiness, shared) = (Readiness::default(), Shared::new(config));
        let prober = if roles.prober { Some(shared.prober(shared.plans(config)?, config)) } else { None };
        let visible_proxy = Arc::new(OnceLock::new());
        let status_view = StatusView {
            started: Instant::now(),
            shared: shared.clone(),
            probing: roles.prober,
            names: config.admin.names,
            proxy: visible_proxy.clone(),
        };
        let sources = Sources { metrics: metrics.clone(), readiness: readiness.clone(), status_view };
        let mut background = JoinSet::new();
        let admin = admin(config.admin.listen, sources, &mut background).await?;
        shared.listens(admin);
        background.spawn(telemetry::upkeep(metrics));
        background.spawn(named_files::log(config.clone()));
        background.spawn(shared.incidents.clone().tend());
        let proxy =
            if roles.proxy { Some(bind_proxy(config, &shared, &mut background).await?) } else { None };
        if let Some((proxy, _)) = &proxy {
            let _first = visible_proxy.set(proxy.clone());
        }
        Ok(Self { loaded, shared, readiness, admin, proxy, prober, background })
    }

    /// The mirror's address, if this process has a mirror.
    pub(crate) fn mirror_address(&self) -> Option<SocketAddr> {
        self.proxy.as_ref().and_then(|(_, bound)| bound.local_addr().ok())
    }

    /// The admin endpoint's address.
    pub(crate) fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// The prober's latest verdicts.
    pub(crate) fn board(&self) -> Arc<Board> {
        self.shared.board.clone()
    }

    /// Serves until `stop` ends, then lets running transfers finish.
    pub(crate) async fn run(
        self,
        stop: impl Future<Output = Result<(), StartError>>,
    ) -> Result<(), StartError> {
        let Self { loaded, shared, readiness, proxy, prober, mut background, .. } = self;
        let probing = prober.map(Probing::start);
        if probing.is_some() {
            background.spawn(discovery::follow(shared.clone()));
            let cache = proxy.as_ref().map(|(proxy, _)| proxy.clone());
            background.spawn(keep(shared.clone(), cache));
        }
        let (proxy, bound) = proxy.unzip();
        let served = proxy.clone().map(|proxy| (proxy, shared.clone()));
        let (asked_to_stop, drain) = oneshot::channel();
        let mut serving = bound.map(|bound| tokio::spawn(bound.serve(async { drain.await.unwrap_or(()) })));
        let mut kept = None;
        match loaded.path.clone() {
            Some(path) => {
                let reloader = Reloader::new(path, loaded, shared, proxy, probing);
                background.spawn(reloader.map_err(StartError::Signal)?.run());
            }
            None => {
                background.spawn(reload::ignore_hangups());
                kept = probing;
            }
        }
        readiness.enter(Phase::Ready);
        let stopped = tokio::select! {
            stopped = stop => stopped,
            () = broken(serving.as_mut()) => Err(StartError::Broken),
        };
        tracing::info!("asked to stop: finishing running transfers");
        readiness.enter(Phase::Draining);
        let _gone = asked_to_stop.send(());
        if let Some(serving) = serving.filter(|serving| !serving.is_finished()) {
            let _panicked = serving.await;
        }
        if let Some((proxy, shared)) = served {
            keep_all(&proxy, &shared).await;
        }
        drop(kept);
        // The tasks must end before the exit, because the end of the control socket's task removes the socket file.
        background.shutdown().await;
        stopped
    }
}

/// Keeps what the end of the process would lose: the records and traces of open pulls, incidents, and content.
async fn keep_all(proxy: &Proxy, shared: &Shared) {
    proxy.end_pulls();
    shared.incidents.save();
    tokio::join!(shared.records.close(), shared.traces.close());
    // Content that clients have but that is not on the disk yet is stored now; a restart would fetch it again.
    let _late = tokio::time::timeout(FLUSH_MAX, proxy.store().flush()).await;
}

/// Writes the first line of the log: the version and the main settings.
fn announce(loaded: &Loaded, roles: Roles) {
    let Config { upstreams, proxy, .. } = &loaded.config;
    let registries: Vec<&str> = upstreams.iter().map(|upstream| upstream.registry.as_str()).collect();
    let max_size = proxy.cache.max_size.map(config::units::show_bytes);
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        config = loaded.path.as_ref().map(|path| path.display().to_string()).as_deref().unwrap_or("defaults"),
        roles = roles.as_str(),
        registries = registries.join(","),
        cache = roles.proxy.then(|| proxy.cache.dir.display().to_string()),
        cache_max_size = max_size.as_deref().unwrap_or("80 % of the file system"),
        "starting"
    );
}

/// Returns when the server ends by itself, which is a bug. Never returns if this process has no server.
async fn broken(serving: Option<&mut JoinHandle<()>>) {
    match serving {
        Some(serving) => drop(serving.await),
        None => std::future::pending().await,
    }
}

async fn admin(
    address: SocketAddr,
    sources: Sources,
    background: &mut JoinSet<()>,
) -> Result<SocketAddr, StartError> {
    let failed = |source| StartError::Listen { key: "admin.listen", address, source };
    let admin = Admin::bind(address, sources).await.map_err(failed)?;
    let bound = admin.address().map_err(failed)?;
    log::listening("admin", bound);
    background.spawn(admin.serve());
    Ok(bound)
}

async fn bind_proxy(
    config: &Config,
    shared: &Shared,
    background: &mut JoinSet<()>,
) -> Result<(Proxy, proxy::Bound), StartError> {
    let served = shared.served(config)?;
    let mut settings = settings(&config.proxy)?;
    let is_default = settings.max_connections == Config::default().proxy.max_connections;
    settings.max_connections = open_files::connections(settings.max_connections, is_default);
    let telemetry = Telemetry::new();
    if let Some(tls) = settings.tls.clone() {
        background.spawn(renew(tls));
    }
    let store = Store::open(store_config(&config.proxy.cache), telemetry.clone()).await?;
    let keeper = shared.records.clone();
    let sinks = Sinks {
        telemetry: Arc::clone(&telemetry),
        keeper: keeper.clone(),
        savings: Savings::default(),
        fresh: shared.fresh.clone(),
        upstreams: shared.upstreams.clone(),
        incidents: shared.incidents.clone(),
        traces: shared.traces.clone(),
    };
    let proxy = Proxy::new(settings, served, store, telemetry, Arc::new(sinks));
    if let Some(control) = Control::bind(&config.proxy.cache.dir) {
        background.spawn(control.serve(proxy.clone(), Desk::new(shared.clone())));
    }
    keeper.open().await;
    shared.incidents.restore().await;
    background.spawn(keeper.tend());
    let address = config.proxy.listen;
    let failed = |source| StartError::Listen { key: "proxy.listen", address, source };
    let bound = proxy.bind(address).await.map_err(failed)?;
    let address = bound.local_addr().map_err(failed)?;
    shared.listens(address);
    log::listening("proxy", address);
    Ok((proxy, bound))
}

/// Reads the proxy's certificate repeatedly, so that new connections get a renewed certificate without a restart.
async fn renew(tls: ServerTls) {
    let mut complained = false;
    loop {
        tokio::time::sleep(CERTIFICATE_LOOK).await;
        let reading = tls.clone();
        let read = tokio::task::spawn_blocking(move || reading.reload()).await;
        if let Ok(Err(error)) = &read
            && !complained
        {
            tracing::error!(%error, "proxy.tls cannot be read again: the certificate in use stays");
        }
        complained = matches!(read, Ok(Err(_)));
    }
}

fn settings(proxy: &config::Proxy) -> Result<Settings, StartError> {
    let load = |tls: &config::Tls| {
        let named = |source| StartError::Tls { key: named_files::tls_key(&source, &tls.cert), source };
        ServerTls::load(tls.cert.clone(), tls.key.clone()).map_err(named)
    };
    let tls = proxy.tls.as_ref().map(load).transpose()?;
    Ok(Settings {
        header_deadline: proxy.header_deadline,
        drain: proxy.drain,
        client_rate: proxy.client_rate,
        max_connections: proxy.max_connections,
        complete_after: COMPLETE_AFTER,
        tls,
        instance: instance(),
    })
}

fn store_config(cache: &config::Cache) -> StoreConfig {
    StoreConfig {
        dir: cache.dir.clone(),
        max_size: cache.max_size,
        pinned: cache.pinned.clone(),
        lock_wait: cache.lock_wait,
    }
}

/// The time between two readings of the proxy's certificate.
const CERTIFICATE_LOOK: Duration = Duration::from_secs(30);
/// The time from the answer of a manifest to the fetch of its image's missing objects. The client's pull has ended by
/// then.
const COMPLETE_AFTER: Duration = Duration::from_secs(60);
/// The longest wait at the end for content that is not on the disk yet.
const FLUSH_MAX: Duration = Duration::from_secs(5);
