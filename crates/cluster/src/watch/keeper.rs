//! The pull secrets that running workloads name, read one by one.
//!
//! A secret is read when a workload names it, and asked for its version from time to time: more often while a registry
//! refuses its credential, so that a renewed password takes effect soon. Nothing is ever listed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::{StreamExt, stream};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use tokio::time::{Duration, Instant};

use super::index::Name;
use crate::api::{Question, refused};
use crate::findings::Refused;
use crate::secret::PullSecret;

/// The times between two looks at a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waits {
    /// While its credential works.
    pub usual: Duration,
    /// While a registry refuses its credential, or while it is missing.
    pub urgent: Duration,
    /// After the API server refused or did not answer.
    pub refused: Duration,
}

impl Default for Waits {
    fn default() -> Self {
        Self {
            usual: Duration::from_secs(300),
            urgent: Duration::from_secs(15),
            refused: Duration::from_secs(120),
        }
    }
}

/// The result of the last look at a secret.
#[derive(Clone, Debug)]
pub(super) enum Seen {
    /// It was not read yet.
    Unread,
    /// It is there.
    Found(Arc<PullSecret>),
    /// It does not exist.
    Missing,
    /// It could not be read.
    Refused(Refused),
}

#[derive(Debug)]
struct Slot {
    seen: Seen,
    due: Instant,
}

/// All secrets that workloads name.
pub(super) struct Keeper {
    client: Client,
    waits: Waits,
    slots: Mutex<BTreeMap<Name, Slot>>,
    urgent: Mutex<BTreeSet<Name>>,
}

impl Keeper {
    pub(super) fn new(client: Client, waits: Waits) -> Self {
        Self { client, waits, slots: Mutex::default(), urgent: Mutex::default() }
    }

    /// Looks at these secrets from now on, and at no others.
    pub(super) fn want(&self, wanted: BTreeSet<Name>) {
        let mut slots = self.slots();
        slots.retain(|name, _| wanted.contains(name));
        let now = Instant::now();
        for name in wanted {
            slots.entry(name).or_insert(Slot { seen: Seen::Unread, due: now });
        }
    }

    /// Looks often at the secrets whose credentials a registry refuses.
    pub(super) fn hurry(&self, names: BTreeSet<Name>) {
        let mut slots = self.slots();
        let soon = Instant::now() + self.waits.urgent;
        for name in &names {
            if let Some(slot) = slots.get_mut(name) {
                slot.due = slot.due.min(soon);
            }
        }
        drop(slots);
        *self.urgent.lock().unwrap_or_else(PoisonError::into_inner) = names;
    }

    /// The results of the last looks.
    pub(super) fn seen(&self) -> BTreeMap<Name, Seen> {
        self.slots().iter().map(|(name, slot)| (name.clone(), slot.seen.clone())).collect()
    }

    /// Reads the secrets that are due, a few at a time; true if one of them changed.
    pub(super) async fn look(&self) -> bool {
        let now = Instant::now();
        let due: Vec<Name> =
            self.slots().iter().filter(|(_, slot)| slot.due <= now).map(|(name, _)| name.clone()).collect();
        let looks = stream::iter(due).map(|name| self.look_at(name)).buffer_unordered(AT_ONCE);
        looks.fold(false, async |changed, one| changed | one).await
    }

    async fn look_at(&self, name: Name) -> bool {
        let before = self.slots().get(&name).map(|slot| slot.seen.clone());
        let Some(before) = before else { return false };
        let seen = self.read(&name, &before).await;
        let changed = seen.is_some();
        let mut slots = self.slots();
        let Some(slot) = slots.get_mut(&name) else { return false };
        if let Some(seen) = seen {
            slot.seen = seen;
        }
        slot.due = Instant::now() + self.wait(&name, &slot.seen).mul_f64(0.9 + 0.2 * jitter(&name));
        changed
    }

    /// Reads a secret; `None` if it is as it was before. A known secret is asked only for its metadata at first.
    async fn read(&self, name: &Name, before: &Seen) -> Option<Seen> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &name.0);
        if let Seen::Found(known) = before {
            match api.get_metadata_opt(&name.1).await {
                Ok(Some(now)) if now.metadata.resource_version.as_deref() == Some(&*known.version) => {
                    return None;
                }
                // A secret that was read once stays in use while the API server does not answer.
                Err(error) if !is_refusal(&error) => return None,
                _ => {}
            }
        }
        let question =
            Question { verbs: &["get"], group: "", resource: "secrets", namespace: Some(name.0.clone()) };
        let now = match api.get_opt(&name.1).await {
            Ok(Some(secret)) => Seen::Found(Arc::new(PullSecret::read(&secret))),
            Ok(None) => Seen::Missing,
            Err(error) => Seen::Refused(refused(question, &error)),
        };
        let same = match (before, &now) {
            (Seen::Missing, Seen::Missing) => true,
            (Seen::Refused(before), Seen::Refused(now)) => before == now,
            _ => false,
        };
        (!same).then_some(now)
    }

    fn wait(&self, name: &Name, seen: &Seen) -> Duration {
        let urgent = self.urgent.lock().unwrap_or_else(PoisonError::into_inner).contains(name);
        match seen {
            Seen::Refused(_) => self.waits.refused,
            Seen::Found(_) if !urgent => self.waits.usual,
            Seen::Found(_) | Seen::Missing | Seen::Unread => self.waits.urgent,
        }
    }

    /// The namespaces among `known` that have a secret of this name. Only as many are asked as one look may cost.
    pub(super) async fn elsewhere(&self, name: &str, known: &BTreeSet<Box<str>>) -> Vec<Box<str>> {
        let asked = known.iter().take(NAMESPACES_ASKED);
        let answers = stream::iter(asked.cloned()).map(|namespace| async move {
            let api: Api<Secret> = Api::namespaced(self.client.clone(), &namespace);
            let found = api.get_metadata_opt(name).await;
            matches!(found, Ok(Some(_))).then_some(namespace)
        });
        let mut found: Vec<_> = answers.buffer_unordered(AT_ONCE).filter_map(async |it| it).collect().await;
        found.sort();
        found
    }

    fn slots(&self) -> MutexGuard<'_, BTreeMap<Name, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_refusal(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if matches!(status.code, 401 | 403 | 404))
}

/// A number from 0 to 1 that differs between secrets, so that they are not all read at once.
fn jitter(name: &Name) -> f64 {
    let sum =
        name.0.bytes().chain(name.1.bytes()).fold(0u32, |sum, byte| sum.wrapping_mul(31) + u32::from(byte));
    f64::from(sum % 1000) / 1000.0
}

/// Requests for secrets at one time.
const AT_ONCE: usize = 4;
/// The most namespaces that are asked for a secret that is missing elsewhere.
const NAMESPACES_ASKED: usize = 50;
