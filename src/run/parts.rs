//! Makes the parts from the configuration, with the state that they share: resolver, tokens, quotas, observations.

use std::sync::Arc;

use arc_swap::ArcSwap;
use oci::RegistryHost;
use prober::{Assignments, Board, Common, Memory, Plan, Prober};
use proxy::Served;
use registry::Client;
use registry::breaker::{Paused, State};
use registry::client::Connections;
use registry::upstream::Outbound;
use tokio::sync::watch;

use crate::coverage::latest::Latest;
use crate::coverage::needs::Needs;

use super::discovery::unnamed::is_pull_secret;
use super::discovery::view::View;
use super::error::StartError;
use super::incidents::Incidents;
use super::instance::instance;
use super::plans;
use super::records::fresh::FreshPulls;
use super::records::{Keeper, KeptVerdicts};
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
    /// Incidents that failures of probes and pulls make.
    pub(crate) incidents: Incidents,
    /// The traces of pulls.
    pub(crate) traces: Traces,
    /// The upstreams as configured now.
    pub(crate) upstreams: Arc<ArcSwap<Vec<config::Upstream>>>,
    /// Targets that the prober gets at run time.
    pub(crate) assignments: Arc<Assignments>,
    /// What was found in the cluster, in numbers.
    pub(crate) cluster: View,
    /// What the workloads of the cluster need.
    pub(crate) needs: Needs,
    /// The latest answer to the question which workloads could restart.
    pub(crate) coverage: Latest,
    /// Pulls through the proxy that replace a probe.
    pub(crate) fresh: FreshPulls,
    /// The configuration as it is now.
    configured: watch::Sender<Arc<config::Config>>,
    /// The requests that probes have used, and the facts that they have found.
    probed: Arc<Memory>,
    traffic: Arc<FreshTraffic>,
    origins: Arc<Origins>,
    outbound: Outbound,
}

impl Shared {
    /// A state without observations.
    pub(crate) fn new(config: &config::Config) -> Self {
        let (observed, fresh) = (Arc::new(Upstreams::default()), FreshPulls::default());
        let records = Keeper::new(&config.records);
        let upstreams = Arc::new(ArcSwap::from_pointee(config.upstreams.clone()));
        Self {
            board: Arc::default(),
            refused: Refused::default(),
            incidents: Incidents::new(records.clone(), upstreams.clone()),
            records,
            traces: Traces::from_env(config.admin.names),
            probed: Arc::default(),
            upstreams,
            assignments: Arc::default(),
            cluster: View::default(),
            needs: Needs::default(),
            coverage: Latest::default(),
            configured: watch::Sender::new(Arc::new(config.clone())),
            traffic: Arc::new(FreshTraffic::new(observed.clone(), fresh.clone())),
            fresh,
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

    /// The remaining quota of each registry, by our own count. The pull secrets of the cluster are left out: their number
    /// is not bounded.
    pub(crate) fn outlook(&self) -> Vec<registry::ledger::Outlook> {
        let mut outlook = self.outbound.ledger.outlook(tokio::time::Instant::now());
        outlook.retain(|it| !is_pull_secret(&it.key.identity));
        outlook
    }

    /// The configuration, now and after every reload.
    pub(crate) fn configured(&self) -> watch::Receiver<Arc<config::Config>> {
        self.configured.subscribe()
    }

    /// Another configuration is in effect.
    pub(crate) fn reconfigured(&self, config: &config::Config) {
        self.upstreams.store(config.upstreams.clone().into());
        self.configured.send_replace(Arc::new(config.clone()));
    }

    /// The registries that a drill treats as down.
    pub(crate) fn drills(&self) -> &registry::Drills {
        &self.outbound.drills
    }

    /// The state that the clients of the prober share.
    pub(crate) fn outbound(&self) -> Outbound {
        self.outbound.clone()
    }

    /// The prober's plans for this configuration.
    pub(crate) fn plans(&self, config: &config::Config) -> Result<Vec<Plan>, StartError> {
        let targeted = |registry: &RegistryHost| {
            config.prober.reach
                || config.kubernetes.discover != config::Discover::Off
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
        let common = Common {
            pace: plans::pace(config),
            board: self.board.clone(),
            memory: self.probed.clone(),
            traffic: self.traffic.clone(),
            assignments: self.assignments.clone(),
            conclusions: Arc::new(KeptVerdicts {
                keeper: self.records.clone(),
                incidents: self.incidents.clone(),
                upstreams: self.upstreams.clone(),
            }),
        };
        Prober::new(plans, &common)
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
