//! One watch, which fills the index.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;

use futures_util::StreamExt;
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::PartialObjectMeta;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, Resource};

use super::index::{Entry, Key};
use super::lines::Line;
use super::shared::Shared;
use super::watched::Watched;
use crate::api::{Question, refused};

/// Watches all objects of a resource in `place` (`None`: in the whole cluster) until the future is dropped.
pub(super) async fn feed<K: Watched>(api: Api<K>, place: Option<String>, shared: Arc<Shared>) {
    let mut feed = Feed::new::<K>(place.as_deref(), shared);
    let mut events = pin!(watcher::watcher(api, config::<K>()).default_backoff());
    while let Some(event) = events.next().await {
        let event = event.map(|event| map(event, |object| (K::key(object.meta()), Some(object.entry()))));
        feed.take(event);
    }
}

/// Watches the metadata of ReplicaSets, and reads those that no Deployment owns. A Deployment keeps ten old ReplicaSets,
/// so that most templates need not be sent.
pub(super) async fn replica_sets(client: Client, place: Option<String>, shared: Arc<Shared>) {
    let api: Api<PartialObjectMeta<ReplicaSet>> = api(&client, place.as_deref());
    let mut feed = Feed::new::<ReplicaSet>(place.as_deref(), shared);
    let mut events = pin!(watcher::watcher(api, config::<ReplicaSet>()).default_backoff());
    while let Some(event) = events.next().await {
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                feed.take(Err(error));
                continue;
            }
        };
        let mut read = match &event {
            Event::Apply(it) | Event::InitApply(it) if !is_of_deployment(it.meta()) => {
                one(&client, it.meta()).await
            }
            _ => None,
        };
        feed.take(Ok(map(event, |it| (ReplicaSet::key(it.meta()), read.take()))));
    }
}

/// The API of a resource in `place`.
pub(super) fn api<K>(client: &Client, place: Option<&str>) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
{
    match place {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

/// The state of one watch.
struct Feed {
    line: Line,
    question: Question,
    shelf: super::index::Shelf,
    shared: Arc<Shared>,
    /// The keys of the list that is being received.
    listed: HashSet<Key>,
}

type Keyed = (Key, Option<Entry>);

impl Feed {
    fn new<K: Watched>(place: Option<&str>, shared: Arc<Shared>) -> Self {
        let namespace: Option<Box<str>> = place.map(Into::into);
        let line = (K::RESOURCE, namespace.clone());
        shared.lines().begin(line.clone());
        let question = Question { verbs: WATCH, group: K::GROUP, resource: K::RESOURCE, namespace };
        Self { line, question, shelf: K::SHELF, shared, listed: HashSet::new() }
    }

    fn take(&mut self, event: Result<Event<Keyed>, watcher::Error>) {
        match event {
            Ok(Event::Init) => self.listed.clear(),
            Ok(Event::InitApply((key, entry))) => {
                self.listed.insert(key.clone());
                self.put(key, entry);
            }
            Ok(Event::InitDone) => {
                let listed = std::mem::take(&mut self.listed);
                self.shared.index().keep_only(self.shelf, self.line.1.as_deref(), &listed);
                self.shared.lines().delivered(&self.line, true);
                tracing::debug!(resource = self.line.0, objects = listed.len(), "cluster: listed");
                // An empty list is news, too: the first one ends the start.
                self.shared.changed();
            }
            Ok(Event::Apply((key, entry))) => self.put(key, entry),
            Ok(Event::Delete((key, _))) => self.put(key, None),
            Err(error) => self.failed(&error),
        }
    }

    fn put(&self, key: Key, entry: Option<Entry>) {
        self.shared.lines().delivered(&self.line, false);
        let changed = self.shared.index().put(key, entry);
        if changed {
            self.shared.changed();
        }
    }

    fn failed(&self, error: &watcher::Error) {
        let refused = match error {
            watcher::Error::InitialListFailed(error)
            | watcher::Error::WatchStartFailed(error)
            | watcher::Error::WatchFailed(error) => refused(self.question.clone(), error),
            watcher::Error::WatchError(answer) => {
                // The list begins anew by itself: the API server no longer has the changes since the last one.
                if answer.code == GONE {
                    tracing::debug!(resource = self.line.0, "cluster: listing anew after 410");
                    return;
                }
                refused(self.question.clone(), &kube::Error::Api(answer.clone()))
            }
            watcher::Error::NoResourceVersion => return,
        };
        let (resource, answer) = (refused.resource, refused.answer.clone());
        if self.shared.lines().failed(&self.line, refused) {
            tracing::warn!(resource, answer = &*answer, "cluster: a watch fails, and is tried again");
            self.shared.changed();
        }
    }
}

fn map<K>(event: Event<K>, mut with: impl FnMut(K) -> Keyed) -> Event<Keyed> {
    match event {
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
        Event::InitApply(it) => Event::InitApply(with(it)),
        Event::Apply(it) => Event::Apply(with(it)),
        Event::Delete(it) => Event::Delete(with(it)),
    }
}

fn config<K: Watched>() -> watcher::Config {
    let config = watcher::Config::default().page_size(PAGE);
    K::FIELDS.map_or(config.clone(), |fields| config.fields(fields))
}

fn is_of_deployment(metadata: &ObjectMeta) -> bool {
    metadata
        .owner_references
        .iter()
        .flatten()
        .any(|owner| owner.controller == Some(true) && owner.kind == "Deployment")
}

/// Reads one ReplicaSet; `None` if it cannot be read, or is gone already.
async fn one(client: &Client, metadata: &ObjectMeta) -> Option<Entry> {
    let api: Api<ReplicaSet> = api(client, metadata.namespace.as_deref());
    let found = api.get_opt(metadata.name.as_deref()?).await.ok()??;
    Some(found.entry())
}

/// The verbs of a watch.
const WATCH: &[&str] = &["get", "list", "watch"];
/// The status of the API server that no longer has the changes since the last one that we know.
const GONE: u16 = 410;
/// Objects per page of a list. A page is in memory as a whole, and a pod has up to 20 kB.
const PAGE: u32 = 100;
