//! Makes the prober's plans from the configuration.

use std::sync::Arc;
use std::time::Duration;

use oci::{Demand, OnExhausted, Platform, RegistryHost};
use prober::{Board, Common, Pace, Plan, Target, Traffic, Unkept};
use registry::Client;
use registry::client::{BuildError, Connections};
use registry::upstream::Outbound;

use super::upstream::Origins;

/// A plan for each of `registries`. Every call opens a new connection, so that a probe goes through all stages.
pub(crate) fn plans(
    config: &config::Config,
    registries: &[RegistryHost],
    origins: &Origins,
    outbound: &Outbound,
) -> Result<Vec<Plan>, BuildError> {
    let counted = Arc::new(prober::telemetry::Counted::new(outbound.observer.clone()));
    let outbound = Outbound { observer: counted, ..outbound.clone() };
    let chosen = config.upstreams.iter().filter(|upstream| registries.contains(&upstream.registry));
    chosen.map(|upstream| plan(config, upstream, origins, &outbound)).collect()
}

/// The pace of probing.
pub(crate) fn pace(config: &config::Config) -> Pace {
    Pace {
        interval: config.prober.interval,
        manifest_max_age: config.prober.manifest_interval,
        assigned_per_hour: config.prober.discovered_per_hour,
        ..Pace::default()
    }
}

/// The surroundings of a prober that runs once, in a process without a proxy.
pub(crate) fn alone(config: &config::Config, board: &Arc<Board>) -> Common {
    Common {
        pace: pace(config),
        board: board.clone(),
        memory: Arc::default(),
        traffic: Arc::new(NoTraffic),
        assignments: Arc::default(),
        conclusions: Arc::new(Unkept),
    }
}

fn plan(
    config: &config::Config,
    upstream: &config::Upstream,
    origins: &Origins,
    outbound: &Outbound,
) -> Result<Plan, BuildError> {
    let targets = config.prober.targets.iter().filter(|target| target.image.registry == upstream.registry);
    // `Release` refuses a probe when the quota is spent: no client needs its result, so it must not wait for quota.
    let asked_by_nobody =
        registry::Upstream { on_exhausted: OnExhausted::Release, ..origins.client_upstream(upstream) };
    Ok(Plan {
        registry: upstream.registry.clone(),
        client: Client::new(asked_by_nobody, outbound.clone(), Connections::Fresh)?
            .for_demand(Demand::WarmUp),
        identity: identity(upstream),
        targets: targets.map(target).collect(),
        reach: config.prober.reach,
    })
}

/// The name under which an upstream's requests are counted.
fn identity(upstream: &config::Upstream) -> String {
    if upstream.credentials.is_some() { upstream.id.clone() } else { "anonymous".to_owned() }
}

fn target(target: &config::Target) -> Target {
    Target {
        image: target.image.clone(),
        platform: target.platform.clone().unwrap_or_else(Platform::of_this_machine),
    }
}

struct NoTraffic;

impl Traffic for NoTraffic {
    fn last_success(&self, _: &RegistryHost) -> Option<Duration> {
        None
    }
}
