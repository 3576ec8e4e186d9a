//! Gathers what is known of every image in use, and has it judged.

use std::collections::{BTreeMap, HashMap};
use std::time::{SystemTime, UNIX_EPOCH};

use cluster::Wanted;
use cluster::images::{Use, WorkloadId};
use oci::{Class, Platform, RegistryHost};
use prober::status::Entry;
use proxy::Proxy;

use super::document::{Coverage, Image, Restartable, Workload};
use super::judge::{self, AtRegistry, Judged, Probed};
use super::needs::Known;
use crate::run::discovery::assign::{platform, secret_name};
use crate::run::discovery::view::OTHER;
use crate::run::parts::Shared;

/// The reason for which nothing can be said of any workload.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoCluster {
    /// The configuration names no cluster.
    #[error(
        "no cluster is looked at: set `discover = \"cluster\"`, or `discover = \"namespaces\"` with `namespaces`, in \
         [kubernetes], and run `pullgate serve`, which has a prober"
    )]
    Off,
    /// The cluster cannot be looked at.
    #[error("{0}")]
    Failed(String),
    /// The first look has not ended.
    #[error("the cluster is not read yet: try again in a few seconds")]
    NotYet,
}

/// Judges every workload now, while the registries `down` are treated as down. The content of the cache is looked at only
/// for images that the registry does not make pullable.
pub(crate) async fn look(
    shared: &Shared,
    proxy: Option<&Proxy>,
    down: &[RegistryHost],
) -> Result<Coverage, NoCluster> {
    let known = known(shared)?;
    let sight = Sight::new(shared, proxy, down, known.wanted.len());
    let mut workloads: BTreeMap<WorkloadId, Vec<Image>> = BTreeMap::new();
    for wanted in &known.wanted {
        let image = sight.image(wanted).await;
        for workload in &wanted.workloads {
            workloads.entry(workload.clone()).or_default().push(image.clone());
        }
    }
    for (workload, used) in &known.unpullable {
        workloads.entry(workload.clone()).or_default().push(unpullable(used));
    }
    let mut workloads: Vec<Workload> = workloads.into_iter().map(|(id, images)| named(&id, images)).collect();
    workloads.sort_by(|one, other| {
        (&one.namespace, &one.kind, &one.name).cmp(&(&other.namespace, &other.kind, &other.name))
    });
    let coverage = Coverage::new(seconds(sight.now), workloads, |registry| sight.label(registry));
    Ok(Coverage {
        down: down.iter().map(|registry| registry.as_str().to_owned()).collect(),
        notes: notes(&known, proxy),
        ..coverage
    })
}

fn known(shared: &Shared) -> Result<std::sync::Arc<Known>, NoCluster> {
    let off = shared.configured().borrow().kubernetes.discover == config::Discover::Off;
    match shared.needs.get() {
        _ if off => Err(NoCluster::Off),
        None => Err(shared.cluster.warning().map_or(NoCluster::NotYet, NoCluster::Failed)),
        Some(known) if known.wanted.is_empty() && known.silent > 0 => Err(NoCluster::NotYet),
        Some(known) => Ok(known),
    }
}

fn notes(known: &Known, proxy: Option<&Proxy>) -> Vec<String> {
    let silent = (known.silent > 0).then(|| {
        let silent = known.silent;
        format!(
            "{silent} watches on the API server do not work: workloads may be missing (docs/kubernetes.md)"
        )
    });
    let alone = proxy.is_none().then(|| "this instance has no proxy: the cache is not looked at".to_owned());
    silent.into_iter().chain(alone).collect()
}

fn named(id: &WorkloadId, images: Vec<Image>) -> Workload {
    Workload::new(&id.namespace, id.kind.as_str(), &id.name, images)
}

/// The facts of one moment.
struct Sight<'a> {
    proxy: Option<&'a Proxy>,
    down: &'a [RegistryHost],
    configured: Vec<RegistryHost>,
    board: HashMap<Key, Entry>,
    max_age: std::time::Duration,
    now: SystemTime,
}

/// Image, platform and secret of a probe.
type Key = (String, String, Option<String>);

impl<'a> Sight<'a> {
    fn new(shared: &Shared, proxy: Option<&'a Proxy>, down: &'a [RegistryHost], images: usize) -> Self {
        let config = shared.configured().borrow().clone();
        let (interval, per_hour) = (config.prober.interval, config.prober.discovered_per_hour);
        let entries = shared.board.entries().into_iter().chain(shared.board.assigned());
        let board = entries.filter_map(|entry| {
            Some(((entry.image.clone()?, entry.platform.clone()?, entry.pull_secret.clone()), entry))
        });
        Self {
            proxy,
            down,
            configured: config.upstreams.iter().map(|upstream| upstream.registry.clone()).collect(),
            board: board.collect(),
            max_age: judge::verdict_max_age(interval, images, per_hour),
            now: SystemTime::now(),
        }
    }

    async fn image(&self, wanted: &Wanted) -> Image {
        let image = &wanted.image;
        let judged = self.judged(wanted).await;
        Image {
            registry: Some(image.registry.as_str().to_owned()),
            platforms: wanted.platforms.iter().map(Platform::to_string).collect(),
            ..written(image.to_string(), judged)
        }
    }

    async fn judged(&self, wanted: &Wanted) -> Judged {
        let direct = judge::at_registry(&self.at_registry(wanted), self.max_age);
        let Some(proxy) = self.proxy.filter(|_| direct.restartable != Restartable::Yes) else {
            return direct;
        };
        let platforms = match &*wanted.platforms {
            [] => vec![Platform::of_this_machine()],
            platforms => platforms.to_vec(),
        };
        let standby = proxy.standby(&wanted.image, &platforms, self.now).await;
        judge::with_cache(direct, Some(&standby), &wanted.image)
    }

    fn at_registry(&self, wanted: &Wanted) -> AtRegistry {
        if self.down.contains(&wanted.image.registry) {
            return AtRegistry::Down;
        }
        if !self.configured.contains(&wanted.image.registry) {
            return AtRegistry::NotConfigured;
        }
        let secret = wanted.login.as_ref().map(|login| secret_name(login));
        let key = (wanted.image.to_string(), platform(wanted).to_string(), secret);
        let entry = self.board.get(&key);
        entry.map_or(AtRegistry::NotProbed, |it| AtRegistry::Probed(Probed::of(it, seconds(self.now))))
    }

    /// The label of a registry in counts.
    fn label(&self, registry: &str) -> String {
        let is = self.configured.iter().any(|configured| configured.as_str() == registry);
        if is { registry.to_owned() } else { OTHER.to_owned() }
    }
}

fn unpullable(used: &Use) -> Image {
    match &used.image {
        Err(bad) => {
            let cause = format!("{} is no image name: {}", bad.written, bad.reason);
            written(bad.written.to_string(), judge::never(Class::NameInvalid, cause))
        }
        Ok(image) => {
            let cause = "its pull policy is Never: no new node has the image".to_owned();
            let image_of = written(image.to_string(), judge::never(Class::NeverPolicy, cause));
            Image { registry: Some(image.registry.as_str().to_owned()), ..image_of }
        }
    }
}

fn written(image: String, judged: Judged) -> Image {
    Image {
        image,
        registry: None,
        platforms: Vec::new(),
        restartable: judged.restartable,
        source: judged.source,
        class: judged.class.map(|class| class.as_str().to_owned()),
        cause: judged.cause,
        fix: judged.fix,
    }
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |age| age.as_secs())
}
