//! The composition of the parts: configuration in, a running process out, in two phases.
//!
//! [`Process::build`] binds and wires; [`Process::run`] serves until it is asked to stop, then drains. The admin endpoint is
//! up first: while the cache folder is held by an instance that is leaving, this one is alive and not ready.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use metrics_exporter_prometheus::PrometheusHandle;
use prober::{Board, Prober};
use proxy::store::{Store, StoreConfig};
use proxy::{Proxy, Served, ServerTls, Settings, Telemetry};
use registry::Client;
use registry::client::{BuildError, Connections};
use registry::upstream::Outbound;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::admin::{Admin, Desk};
use crate::exit::Exit;
use crate::plans;
use crate::readiness::{Phase, Readiness};
use crate::status::Observatory;
use crate::telemetry::{self, FreshTraffic, Upstreams};

/// Which parts to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Roles {
    proxy: bool,
    prober: bool,
}

impl Roles {
    /// `serve`.
    pub(crate) const BOTH: Self = Self { proxy: true, prober: true };
    /// `proxy`.
    pub(crate) const PROXY: Self = Self { proxy: true, prober: false };
    /// `prober`.
    pub(crate) const PROBER: Self = Self { proxy: false, prober: true };
}

/// All parts, wired.
pub(crate) struct Process {
    readiness: Readiness,
    admin: SocketAddr,
    proxy: Option<proxy::Bound>,
    prober: Option<Prober>,
    board: Option<Arc<Board>>,
    background: JoinSet<()>,
}

/// The process cannot start, or cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// An address is taken, or not ours.
    #[error("cannot listen on {address} (key {key}): {source}")]
    Listen {
        /// The configuration key.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// An upstream's client cannot be built.
    #[error("upstream {id}: {source}")]
    Upstream {
        /// Its short id.
        id: String,
        /// What is wrong.
        source: BuildError,
    },
    /// The prober's clients cannot be built.
    #[error(transparent)]
    Plan(#[from] BuildError),
    /// The cache folder.
    #[error(transparent)]
    Store(#[from] proxy::store::OpenError),
    /// The proxy's certificate.
    #[error(transparent)]
    Tls(#[from] proxy::TlsError),
    /// The recorder.
    #[error("metrics: {0}")]
    Metrics(#[from] metrics_exporter_prometheus::BuildError),
    /// Signals cannot be waited for.
    #[error("signals: {0}")]
    Signal(std::io::Error),
}

/// Runs until SIGTERM or SIGINT.
pub(crate) async fn run(config: config::Config, roles: Roles) -> Result<(), StartError> {
    let process = Process::build(config, roles, telemetry::install()?).await?;
    process.run(async { crate::signal::stop().await.map_err(StartError::Signal) }).await
}

impl Process {
    /// Binds and wires everything; the admin endpoint answers from here on.
    pub(crate) async fn build(
        config: config::Config,
        roles: Roles,
        metrics: PrometheusHandle,
    ) -> Result<Self, StartError> {
        let readiness = Readiness::default();
        let observed = Arc::new(Upstreams::default());
        let traffic = Arc::new(FreshTraffic::new(observed.clone()));
        let outbound = Outbound::from_env(observed.clone(), crate::instance());
        let prober = if roles.prober { Some(prober(&config, &outbound, &traffic)?) } else { None };
        let board = prober.as_ref().map(Prober::board);
        let proxy_status = Arc::new(OnceLock::new());
        let observatory = Observatory {
            started: Instant::now(),
            upstreams: config.upstreams.clone(),
            observed,
            board: board.clone(),
            proxy: proxy_status.clone(),
        };
        let desk = Desk { metrics: metrics.clone(), readiness: readiness.clone(), observatory };
        let mut background = JoinSet::new();
        let admin = admin(config.admin.listen, desk, &mut background).await?;
        background.spawn(telemetry::upkeep(metrics));
        let proxy = if roles.proxy {
            Some(bind_proxy(&config, Outbound { observer: traffic, ..outbound }).await?)
        } else {
            None
        };
        let bound = match proxy {
            Some((proxy, bound)) => {
                let _first = proxy_status.set(proxy);
                Some(bound)
            }
            None => None,
        };
        Ok(Self { readiness, admin, proxy: bound, prober, board, background })
    }

    /// Where the mirror listens, if it does.
    pub(crate) fn mirror_address(&self) -> Option<SocketAddr> {
        self.proxy.as_ref().and_then(|proxy| proxy.local_addr().ok())
    }

    /// Where the admin endpoint listens.
    pub(crate) fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// What the prober last saw, if there is one.
    pub(crate) fn board(&self) -> Option<Arc<Board>> {
        self.board.clone()
    }

    /// Serves until `stop` ends, then lets running transfers finish.
    pub(crate) async fn run(
        mut self,
        stop: impl Future<Output = Result<(), StartError>>,
    ) -> Result<(), StartError> {
        if let Some(prober) = self.prober.take() {
            self.background.spawn(prober.run());
        }
        let (asked_to_stop, drain) = oneshot::channel();
        let proxy =
            self.proxy.take().map(|proxy| tokio::spawn(proxy.serve(async { drain.await.unwrap_or(()) })));
        self.readiness.enter(Phase::Ready);
        let stopped = stop.await;
        tracing::info!("asked to stop: finishing running transfers");
        self.readiness.enter(Phase::Draining);
        let _gone = asked_to_stop.send(());
        if let Some(proxy) = proxy {
            let _panicked = proxy.await;
        }
        stopped
    }
}

impl StartError {
    /// The exit status it means.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Metrics(_) | Self::Signal(_) => Exit::Unexpected,
            _ => Exit::Usage,
        }
    }
}

async fn admin(
    address: SocketAddr,
    desk: Desk,
    background: &mut JoinSet<()>,
) -> Result<SocketAddr, StartError> {
    let failed = |source| StartError::Listen { key: "admin.listen", address, source };
    let admin = Admin::bind(address, desk).await.map_err(failed)?;
    let bound = admin.address().map_err(failed)?;
    eprintln!("pullgate: admin listening on {bound}");
    background.spawn(admin.serve());
    Ok(bound)
}

fn prober(
    config: &config::Config,
    outbound: &Outbound,
    traffic: &Arc<FreshTraffic>,
) -> Result<Prober, StartError> {
    let targeted = |upstream: &&config::Upstream| {
        config.prober.reach
            || config.prober.targets.iter().any(|target| target.image.registry == upstream.registry)
    };
    let registries: Vec<_> =
        config.upstreams.iter().filter(targeted).map(|upstream| upstream.registry.clone()).collect();
    let plans = plans::plans(config, &registries, outbound)?;
    let traffic: Arc<dyn prober::Traffic> = traffic.clone();
    Ok(Prober::new(plans, plans::pace(config), &traffic))
}

async fn bind_proxy(
    config: &config::Config,
    outbound: Outbound,
) -> Result<(Proxy, proxy::Bound), StartError> {
    let served =
        config.upstreams.iter().map(|upstream| served(upstream, &outbound)).collect::<Result<Vec<_>, _>>()?;
    let telemetry = Telemetry::new();
    let store = Store::open(store_config(&config.proxy.cache), telemetry.clone()).await?;
    let proxy = Proxy::new(settings(&config.proxy)?, served, store, telemetry);
    let address = config.proxy.listen;
    let failed = |source| StartError::Listen { key: "proxy.listen", address, source };
    let bound = proxy.bind(address).await.map_err(failed)?;
    eprintln!("pullgate: proxy listening on {}", bound.local_addr().map_err(failed)?);
    Ok((proxy, bound))
}

fn served(upstream: &config::Upstream, outbound: &Outbound) -> Result<Served, StartError> {
    let client = Client::new(upstream.for_client(), outbound.clone(), Connections::Pooled)
        .map_err(|source| StartError::Upstream { id: upstream.id.clone(), source })?;
    Ok(Served {
        id: upstream.id.clone(),
        registry: upstream.registry.clone(),
        access: upstream.access,
        tag_max_age: upstream.tag_max_age,
        stale_limit: upstream.stale_limit,
        client,
    })
}

fn settings(proxy: &config::Proxy) -> Result<Settings, StartError> {
    let tls = proxy.tls.as_ref().map(|tls| ServerTls::load(tls.cert.clone(), tls.key.clone())).transpose()?;
    Ok(Settings {
        header_deadline: proxy.header_deadline,
        drain: proxy.drain,
        max_connections: proxy.max_connections,
        tls,
        instance: crate::instance(),
    })
}

fn store_config(cache: &config::Cache) -> StoreConfig {
    StoreConfig {
        dir: cache.dir.clone(),
        max_size: cache.max_size.unwrap_or(u64::MAX),
        lock_wait: cache.lock_wait,
    }
}
