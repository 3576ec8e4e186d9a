//! Makes the parts from the configuration, with the state that they share: resolver, tokens, quotas, observations.

use std::sync::Arc;

use arc_swap::ArcSwap;
use oci::RegistryHost;
use prober::{Board, Memory, Plan, Prober};
use proxy::Served;
use registry::Client;
use registry::breaker::{Paused, State};
use registry::client::Connections;
use registry::upstream::Outbound;

use super::error::StartError;
use super::instance::instance;
use super::plans;
use super::records::Keeper;
use super::refused::Refused;
use super::telemetry::{FreshTraffic, Upstreams};
use super::traces::Traces;
use super::upstream::Origins;

/// The state that outlives a reload of the configuration.
#[derive(Clone)]
pub(crate) struct Shared {
    /// Observations of upstreams.
    pub(crate) observed: Arc<Upstreams>,
    /// The probes' verdicts.
    pub(crate) board: Arc<Board>,
    /// The refused reload, if there is one.
    pub(crate) refused: Refused,
    /// The record file.
    pub(crate) records: Keeper,
    /// The traces of pulls.
    pub(crate) traces: Traces,
    /// The upstreams as configured now.
    pub(crate) upstreams: Arc<ArcSwap<Vec<config::Upstream>>>,
    /// The requests that probes have used, and the facts that they have found.
    probed: Arc<Memory>,
    traffic: Arc<FreshTraffic>,
    origins: Arc<Origins>,
    outbound: Outbound,
}

impl Shared {
    /// A state without observations.
    pub(crate) fn new(config: &config::Config) -> Self {
        let observed = Arc::new(Upstreams::default());
        Self {
            board: Arc::default(),
            refused: Refused::default(),
            records: Keeper::new(&config.records),
            traces: Traces::from_env(config.admin.names),
            probed: Arc::default(),
            upstreams: Arc::new(ArcSwap::from_pointee(config.upstreams.clone())),
            traffic: Arc::new(FreshTraffic::new(observed.clone())),
            outbound: Outbound::from_env(observed.clone(), instance()),
            origins: Arc::default(),
            observed,
        }
    }

    /// Records an address at which this process listens, so that no upstream may lead to it.
    pub(crate) fn listens(&self, address: std::net::SocketAddr) {
        self.outbound.listening.add(address);
    }

    /// Drops the answers that credential programs gave for an earlier configuration.
    pub(crate) fn forget_answers(&self) {
        self.origins.forget();
    }

    /// The remaining quota of each registry, by our own count.
    pub(crate) fn outlook(&self) -> Vec<registry::ledger::Outlook> {
        self.outbound.ledger.outlook(tokio::time::Instant::now())
    }

    /// The prober's plans for this configuration.
    pub(crate) fn plans(&self, config: &config::Config) -> Result<Vec<Plan>, StartError> {
        let targeted = |registry: &RegistryHost| {
            config.prober.reach
                || config.prober.targets.iter().any(|target| target.image.registry == *registry)
        };
        let registries = config.upstreams.iter().map(|upstream| upstream.registry.clone());
        Ok(plans::plans(
            config,
            &registries.filter(targeted).collect::<Vec<_>>(),
            &self.origins,
            &self.outbound,
        )?)
    }

    /// The breaker's state for `endpoint` of `registry`, with the reason if it is not closed.
    pub(crate) fn breaker(
        &self,
        registry: &RegistryHost,
        endpoint: &config::Endpoint,
    ) -> (State, Option<Paused>) {
        self.outbound.breakers.state(registry, &endpoint.url)
    }

    /// A prober that follows `plans` at the configured pace. Clears the board of verdicts.
    pub(crate) fn prober(&self, plans: Vec<Plan>, config: &config::Config) -> Prober {
        let traffic: Arc<dyn prober::Traffic> = self.traffic.clone();
        Prober::new(plans, plans::pace(config), &traffic, self.board.clone(), self.probed.clone())
    }

    /// The upstreams of this configuration, for the proxy. Their successful requests count as fresh traffic for the prober.
    pub(crate) fn served(&self, config: &config::Config) -> Result<Vec<Served>, StartError> {
        let outbound = Outbound { observer: self.traffic.clone(), ..self.outbound.clone() };
        config.upstreams.iter().map(|upstream| served(upstream, &self.origins, &outbound)).collect()
    }
}

fn served(upstream: &config::Upstream, origins: &Origins, outbound: &Outbound) -> Result<Served, StartError> {
    let client = Client::new(origins.client_upstream(upstream), outbound.clone(), Connections::Pooled)
        .map_err(|source| StartError::Upstream { id: upstream.id.clone(), source })?;
    Ok(Served {
        id: upstream.id.clone(),
        registry: upstream.registry.clone(),
        access: upstream.access,
        tag_max_age: upstream.tag_max_age,
        stale_limit: upstream.stale_limit,
        keep_removed: upstream.keep_removed,
        complete: upstream.complete,
        absent_max_age: upstream.absent_max_age,
        parallel: upstream.parallel,
        client,
    })
}
