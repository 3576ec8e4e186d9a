//! What the API server knows around a failing pod. All questions are asked at once; what may not be looked at is kept.

use cluster::Reader;
use cluster::api::{Change, EventLine, NodeState, PodState, ReadError};
use cluster::findings::{Account, Refused};
use cluster::secret::PullSecret;

use crate::cmd::diagnose::secret::now;

/// The observation.
pub(super) struct Seen {
    pub(super) now: i64,
    /// The events of the pod, oldest first.
    pub(super) events: Vec<EventLine>,
    /// The pull secrets of the pod, in its order.
    pub(super) secrets: Vec<(Box<str>, Secret)>,
    /// Its service account; `None` if it could not be looked at.
    pub(super) account: Option<Option<Account>>,
    pub(super) changes: Vec<Change>,
    pub(super) nodes: Vec<NodeState>,
    /// Events of its node.
    pub(super) node_events: Vec<EventLine>,
    /// Events of all pods of the namespace.
    pub(super) pod_events: Vec<EventLine>,
    /// Other pods: of the namespace, of the node, and those of the cluster that have not started.
    pub(super) pods: Vec<PodState>,
    /// The parts that could not be looked at.
    pub(super) refused: Vec<Refused>,
}

/// A pull secret.
pub(super) enum Secret {
    Found(Box<PullSecret>),
    Missing,
    /// It could not be looked at.
    Unknown,
}

/// Looks.
pub(super) async fn look(reader: &Reader, pod: &PodState) -> Seen {
    let now = now();
    let namespace = &*pod.workload.id.namespace;
    let names: Vec<&str> = pod.workload.pull_secrets.iter().map(|name| &**name).collect();
    let node = pod.workload.node.as_deref();
    let (events, secrets, account, (changes, unseen), nodes, of_node, around, pod_events) = tokio::join!(
        reader.events_of(pod),
        secrets(reader, namespace, &names),
        reader.service_account(namespace, &pod.workload.service_account),
        reader.recent_changes(namespace, since(pod, now), &names),
        reader.nodes(),
        of_node(reader, node),
        around(reader, namespace),
        reader.events_of_pods(namespace),
    );
    let mut refused = unseen;
    let (node_events, on_node) = of_node;
    let mut kept = |found: Result<Vec<PodState>, ReadError>| keep(found, &mut refused);
    let mut pods = kept(around.0);
    pods.extend(kept(around.1));
    pods.extend(kept(on_node));
    let account = match account {
        Ok(found) => Some(Some(found)),
        Err(ReadError::Missing { .. }) => Some(None),
        Err(ReadError::Refused(why)) => {
            refused.push(*why);
            None
        }
    };
    Seen {
        now,
        events: keep(events, &mut refused),
        secrets: secrets.into_iter().map(|(name, found)| (name, secret(found, &mut refused))).collect(),
        account,
        changes,
        nodes: keep(nodes, &mut refused),
        node_events: keep(node_events, &mut refused),
        pod_events: keep(pod_events, &mut refused),
        pods: others(pods, pod),
        refused: distinct(refused),
    }
}

/// The time from which changes may matter. Without events, the age of the pod tells when it first failed.
fn since(pod: &PodState, now: i64) -> i64 {
    pod.workload.created.unwrap_or(now).min(now) - LONGEST_WINDOW
}

async fn secrets(
    reader: &Reader,
    namespace: &str,
    names: &[&str],
) -> Vec<(Box<str>, Result<PullSecret, ReadError>)> {
    let mut found = Vec::new();
    for name in names {
        found.push((Box::from(*name), reader.secret(namespace, name).await));
    }
    found
}

type OfNode = (Result<Vec<EventLine>, ReadError>, Result<Vec<PodState>, ReadError>);

async fn of_node(reader: &Reader, node: Option<&str>) -> OfNode {
    match node {
        Some(node) => tokio::join!(reader.events_of_node(node), reader.pods_of_node(node)),
        None => (Ok(Vec::new()), Ok(Vec::new())),
    }
}

type Around = (Result<Vec<PodState>, ReadError>, Result<Vec<PodState>, ReadError>);

async fn around(reader: &Reader, namespace: &str) -> Around {
    tokio::join!(reader.pods(namespace), reader.pending())
}

fn secret(found: Result<PullSecret, ReadError>, refused: &mut Vec<Refused>) -> Secret {
    match found {
        Ok(secret) => Secret::Found(Box::new(secret)),
        Err(ReadError::Missing { .. }) => Secret::Missing,
        Err(ReadError::Refused(why)) => {
            refused.push(*why);
            Secret::Unknown
        }
    }
}

fn keep<T>(found: Result<Vec<T>, ReadError>, refused: &mut Vec<Refused>) -> Vec<T> {
    match found {
        Ok(found) => found,
        Err(ReadError::Missing { .. }) => Vec::new(),
        Err(ReadError::Refused(why)) => {
            refused.push(*why);
            Vec::new()
        }
    }
}

/// The other pods, each once.
fn others(mut pods: Vec<PodState>, pod: &PodState) -> Vec<PodState> {
    pods.sort_by(|one, other| one.uid.cmp(&other.uid));
    pods.dedup_by(|one, other| one.uid == other.uid);
    pods.retain(|other| other.uid != pod.uid);
    pods
}

fn distinct(refused: Vec<Refused>) -> Vec<Refused> {
    let mut kept: Vec<Refused> = Vec::new();
    for one in refused {
        if !kept.contains(&one) {
            kept.push(one);
        }
    }
    kept
}

/// Rollouts count for up to two hours before the first failure, in seconds.
const LONGEST_WINDOW: i64 = 2 * 3600;
