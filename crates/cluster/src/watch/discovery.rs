//! The cluster as it is now: watches, secrets, and what follows from them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{Node, Pod, ServiceAccount};
use kube::{Api, Client, Resource};
use oci::Platform;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant};

use super::faults::{Elsewhere, Facts};
use super::feed::{api, feed, replica_sets};
use super::index::Name;
use super::keeper::{Keeper, Seen};
use super::lines::{Line, WatchState};
use super::logins::Logins;
use super::settings::Settings;
use super::shared::Shared;
use super::wanted::{self, Wanted};
use super::watched::Watched;
use crate::findings::Finding;
use crate::images::{Use, WorkloadId};

/// The cluster as it is now. Clones are the same one.
#[derive(Clone)]
pub struct Discovery(Arc<Inner>);

struct Inner {
    client: Client,
    settings: Settings,
    shared: Arc<Shared>,
    keeper: Option<Keeper>,
    elsewhere: Mutex<Elsewhere>,
    logins: Mutex<Logins>,
}

impl Discovery {
    /// Nothing is looked at before [`Discovery::run`].
    pub fn new(client: Client, settings: Settings) -> Self {
        let keeper = settings.secrets.then(|| Keeper::new(client.clone(), settings.waits));
        Self(Arc::new(Inner {
            client,
            settings,
            shared: Arc::default(),
            keeper,
            elsewhere: Mutex::default(),
            logins: Mutex::default(),
        }))
    }

    /// Follows the cluster until the future is dropped. It never ends by itself: what fails is tried again.
    pub async fn run(&self) {
        let mut watches = JoinSet::new();
        for place in self.0.settings.scope.places() {
            self.watch_all(&mut watches, place);
        }
        let nodes = Api::<Node>::all(self.0.client.clone());
        watches.spawn(feed(nodes, None, self.0.shared.clone()));
        match &self.0.keeper {
            Some(keeper) => self.keep(keeper).await,
            None => std::future::pending().await,
        }
    }

    /// Wakes up when something changed. The number only grows.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.shared.revision()
    }

    /// The images that running workloads need, sorted.
    pub fn wanted(&self) -> Vec<Wanted> {
        let secrets = self.seen();
        let mut logins = self.0.logins.lock().unwrap_or_else(PoisonError::into_inner);
        wanted::wanted(&self.0.shared.index(), &secrets, &mut logins)
    }

    /// The uses of images that no node can pull, because the reference is bad, or may pull, because the pull policy is
    /// `Never`. Each comes with its workload, by the owner's name.
    pub fn unpullable(&self) -> Vec<(WorkloadId, Use)> {
        wanted::unpullable(&self.0.shared.index())
    }

    /// Everything that is wrong now, and what could not be looked at.
    pub fn findings(&self) -> Vec<Finding> {
        let (secrets, now) = (self.seen(), SystemTime::now());
        let elsewhere = self.0.elsewhere.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let seconds = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let facts = Facts {
            index: &self.0.shared.index(),
            secrets: &secrets,
            elsewhere: &elsewhere,
            accounts_known: self.is_live(ServiceAccount::RESOURCE),
            now: i64::try_from(seconds).unwrap_or(i64::MAX),
        };
        let mut findings = facts.findings();
        findings
            .extend(self.0.shared.lines().refusals(Instant::now()).map(crate::findings::Refused::finding));
        findings
    }

    /// The state of every watch.
    pub fn watches(&self) -> Vec<(Line, WatchState)> {
        let lines = self.0.shared.lines();
        lines.states(Instant::now()).map(|(line, state)| (line.clone(), state)).collect()
    }

    /// The different platforms of the nodes.
    pub fn platforms(&self) -> Vec<Platform> {
        let index = self.0.shared.index();
        let named: BTreeMap<String, Platform> =
            index.nodes.values().map(|platform| (platform.to_string(), platform.clone())).collect();
        named.into_values().collect()
    }

    /// The number of workloads whose images are in use, by their owners.
    pub fn workloads(&self) -> usize {
        let index = self.0.shared.index();
        wanted::live(&index).map(crate::images::Workload::top).collect::<BTreeSet<_>>().len()
    }

    /// A registry refuses the credentials of these secrets, and no others: they are looked at often.
    pub fn refused(&self, secrets: BTreeSet<(Box<str>, Box<str>)>) {
        if let Some(keeper) = &self.0.keeper {
            keeper.hurry(secrets);
        }
    }

    fn watch_all(&self, watches: &mut JoinSet<()>, place: Option<&str>) {
        self.watch::<Pod>(watches, place);
        self.watch::<Deployment>(watches, place);
        self.watch::<StatefulSet>(watches, place);
        self.watch::<DaemonSet>(watches, place);
        self.watch::<Job>(watches, place);
        self.watch::<CronJob>(watches, place);
        self.watch::<ServiceAccount>(watches, place);
        let (client, shared) = (self.0.client.clone(), self.0.shared.clone());
        watches.spawn(replica_sets(client, place.map(str::to_owned), shared));
    }

    fn watch<K>(&self, watches: &mut JoinSet<()>, place: Option<&str>)
    where
        K: Watched + Sync + Resource<Scope = k8s_openapi::NamespaceResourceScope>,
    {
        let api: Api<K> = api(&self.0.client, place);
        watches.spawn(feed(api, place.map(str::to_owned), self.0.shared.clone()));
    }

    /// Reads secrets as they are named and due.
    async fn keep(&self, keeper: &Keeper) {
        let mut changes = self.changes();
        changes.mark_changed();
        loop {
            if changes.has_changed().unwrap_or(false) {
                changes.mark_unchanged();
                keeper.want(wanted::named(&self.0.shared.index()));
            }
            if keeper.look().await {
                self.look_elsewhere(keeper).await;
                self.0.shared.changed();
            }
            tokio::time::sleep(if changes.has_changed().unwrap_or(false) { GATHER } else { KEEP }).await;
        }
    }

    /// Looks for missing secrets in the other namespaces that are looked at.
    async fn look_elsewhere(&self, keeper: &Keeper) {
        let missing: BTreeSet<Box<str>> = self
            .seen()
            .into_iter()
            .filter(|(_, seen)| matches!(seen, Seen::Missing))
            .map(|((_, name), _)| name)
            .collect();
        let namespaces: BTreeSet<Box<str>> =
            self.0.shared.index().workloads.keys().map(|id| id.namespace.clone()).collect();
        let known: Elsewhere = self.0.elsewhere.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut found = Elsewhere::new();
        for name in missing.into_iter().take(MISSING_SOUGHT) {
            let places = match known.get(&name) {
                Some(places) => places.clone(),
                None => keeper.elsewhere(&name, &namespaces).await,
            };
            found.insert(name, places);
        }
        *self.0.elsewhere.lock().unwrap_or_else(PoisonError::into_inner) = found;
    }

    fn seen(&self) -> BTreeMap<Name, Seen> {
        self.0.keeper.as_ref().map(Keeper::seen).unwrap_or_default()
    }

    /// True if every watch of this resource works.
    fn is_live(&self, resource: &str) -> bool {
        let watches = self.watches();
        let mut ours = watches.iter().filter(|((name, _), _)| *name == resource).peekable();
        ours.peek().is_some() && ours.all(|(_, state)| *state == WatchState::Live)
    }
}

/// The time in which changes are gathered before secrets are read.
const GATHER: Duration = Duration::from_millis(200);
/// The time after which due secrets are read although nothing changed.
const KEEP: Duration = Duration::from_secs(1);
/// The most names that are looked for in other namespaces.
const MISSING_SOUGHT: usize = 20;
