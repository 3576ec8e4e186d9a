//! Translates what was seen into the case of the diagnosis.

use cluster::api::{self, EventLine, PodState};
use cluster::findings::{self, Code, Finding, Lookup};
use cluster::images::{Workload, WorkloadKind};
use diagnose::classify;
use diagnose::pod::{self, Case, ChangeKind, PULL_REASONS, Part, Peer, Pull};
use oci::{Class, Platform};

use super::broken::Broken;
use super::look::{Secret, Seen};
use super::replay::{Replayed, platform};

/// The case.
pub(super) fn case(pod: &PodState, part: &Broken, seen: &Seen, replayed: Option<&Replayed>) -> Case {
    let image = replayed.map(|replayed| &replayed.document);
    let pull = |pull: &crate::cmd::diagnose::image::PullLine| Pull {
        start: pull.start.clone(),
        client: pull.client.clone(),
        outcome: pull.outcome.clone(),
        took: pull.took.clone(),
    };
    Case {
        now: seen.now,
        pod: of_pod(&pod.workload),
        part: Part {
            name: part.name.clone(),
            role: part.role,
            written: part.written.clone(),
            image: part.image.clone(),
            platform: platform(pod, seen).unwrap_or_else(Platform::of_this_machine),
            reason: Some(part.reason.clone()),
            message: part.message.clone(),
        },
        events: seen.events.iter().map(event).collect(),
        replay: replayed.map(|replayed| pod::Replay {
            verdict: replayed.verdict.clone(),
            host: replayed.host.clone(),
            as_the_pod: replayed.as_the_pod,
        }),
        findings: faults(pod, part, seen).iter().map(finding).collect(),
        changes: seen.changes.iter().filter_map(|it| change(&pod.workload, it)).collect(),
        node: node(pod, seen),
        peers: seen.pods.iter().flat_map(peers).collect(),
        pulls: image.into_iter().flat_map(|document| &document.pulls).map(pull).collect(),
        probes: image.and_then(|document| document.probes.as_ref()).and_then(probes),
    }
}

fn of_pod(workload: &Workload) -> pod::Pod {
    let top = workload.top();
    let owner = workload
        .owner
        .as_ref()
        .map(|owner| pod::Owner { kind: owner.kind.to_ascii_lowercase(), name: owner.name.to_string() });
    pod::Pod {
        namespace: workload.id.namespace.to_string(),
        name: workload.id.name.to_string(),
        owner: owner.filter(|_| top != workload.id || workload.owner.is_some()),
        node: workload.node.as_ref().map(ToString::to_string),
        service_account: workload.service_account.to_string(),
        pull_secrets: workload.pull_secrets.iter().map(ToString::to_string).collect(),
    }
}

fn event(line: &EventLine) -> pod::Event {
    pod::Event {
        reason: line.reason.to_string(),
        message: line.message.to_string(),
        count: u32::try_from(line.count).unwrap_or(1),
        first: line.first,
        last: line.last,
    }
}

/// The faults of the pod's secrets and service account, those that break this pull first.
pub(super) fn faults(pod: &PodState, part: &Broken, seen: &Seen) -> Vec<Finding> {
    let Some(image) = &part.image else { return Vec::new() };
    let lookups: Vec<(&str, Lookup<'_>)> =
        seen.secrets.iter().map(|(name, secret)| (&**name, lookup(secret))).collect();
    let mut found = findings::pull(&pod.workload, image, &lookups);
    for (_, lookup) in &lookups {
        if let Lookup::Found(secret) = lookup {
            found.extend(findings::secret(secret, &image.registry, seen.now));
        }
    }
    if let Some(account) = &seen.account {
        found.extend(findings::account(&pod.workload, account.as_ref(), None));
    }
    // The kubelet of a pod that exists needs its service account no more.
    found.retain(|finding| finding.code != Code::AccountMissing);
    found
}

fn lookup(secret: &Secret) -> Lookup<'_> {
    match secret {
        Secret::Found(secret) => Lookup::Found(secret),
        Secret::Missing => Lookup::Missing { elsewhere: Vec::new() },
        Secret::Unknown => Lookup::Unknown,
    }
}

fn finding(finding: &Finding) -> pod::Finding {
    pod::Finding { code: finding.code.to_string(), seen: finding.seen.clone(), fix: finding.fix.clone() }
}

/// A change that may matter: of the pod's own secrets, account and owner, or of a network policy.
fn change(workload: &Workload, change: &api::Change) -> Option<pod::Change> {
    let top = workload.top();
    // Every new namespace gets this one.
    if change.kind == api::ChangeKind::ServiceAccount && change.created && &*change.name == "default" {
        return None;
    }
    let is_owner = |kind: WorkloadKind| top.kind == kind && top.name == change.name;
    let kind = match change.kind {
        api::ChangeKind::Secret => ChangeKind::Secret,
        api::ChangeKind::ServiceAccount if change.name == workload.service_account => {
            ChangeKind::ServiceAccount
        }
        api::ChangeKind::ServiceAccount => return None,
        api::ChangeKind::NetworkPolicy => ChangeKind::NetworkPolicy,
        api::ChangeKind::Deployment if is_owner(WorkloadKind::Deployment) => ChangeKind::Rollout,
        api::ChangeKind::StatefulSet if is_owner(WorkloadKind::StatefulSet) => ChangeKind::Rollout,
        api::ChangeKind::DaemonSet if is_owner(WorkloadKind::DaemonSet) => ChangeKind::Rollout,
        _ => ChangeKind::Other,
    };
    Some(pod::Change {
        kind,
        what: format!("{} {}", change.kind, change.name),
        at: change.at,
        created: change.created,
        by: change.manager.as_ref().map(ToString::to_string),
    })
}

fn node(pod: &PodState, seen: &Seen) -> Option<pod::Node> {
    let name = pod.workload.node.as_deref()?;
    let known = seen.nodes.iter().find(|known| &*known.name == name)?;
    let is_about_room = |line: &&EventLine| NODE_EVENTS.contains(&&*line.reason);
    let pair = |(condition, reason): &(Box<str>, Box<str>)| (condition.to_string(), reason.to_string());
    Some(pod::Node {
        name: name.to_owned(),
        troubles: known.troubles.iter().map(pair).collect(),
        taints: known.taints.iter().map(ToString::to_string).collect(),
        events: seen.node_events.iter().filter(is_about_room).map(event).collect(),
        pulling: pulling(pod, seen),
        of: seen.nodes.len(),
    })
}

/// The pulls of the pods that have begun and not ended, oldest first: pod, image, begin.
pub(super) fn running<'a>(
    pods: impl Iterator<Item = &'a PodState>,
    events: &[EventLine],
) -> Vec<(String, String, i64)> {
    let mut found: Vec<_> = pods.filter_map(|pod| begun(pod, events)).collect();
    found.sort_by_key(|(_, _, since)| *since);
    found
}

/// The long pulls of other pods of the node.
fn pulling(pod: &PodState, seen: &Seen) -> Vec<(String, String, i64)> {
    let node = pod.workload.node.as_deref();
    let on_node = seen.pods.iter().filter(|other| other.workload.node.as_deref() == node);
    let mut found = running(on_node, &seen.pod_events);
    found.retain(|(_, _, since)| seen.now - since >= LONG_PULL);
    found
}

fn begun(pod: &PodState, events: &[EventLine]) -> Option<(String, String, i64)> {
    let id = &pod.workload.id;
    let own = || events.iter().filter(|line| line.name == id.name);
    let begin = own().filter(|line| &*line.reason == "Pulling").max_by_key(|line| line.last)?;
    let ended = own().any(|line| matches!(&*line.reason, "Pulled" | "Failed") && line.last >= begin.last);
    let image = begin.message.split('"').nth(1)?.to_owned();
    let since = begin.last?;
    (!ended).then_some((format!("{}/{}", id.namespace, id.name), image, since))
}

fn peers(pod: &PodState) -> Vec<Peer> {
    let id = &pod.workload.id;
    let of = |container: &api::Waiting| {
        let used =
            pod.workload.uses.iter().find(|it| it.part == container.name && it.role == container.role)?;
        let fails =
            container.reason.as_deref().filter(|reason| PULL_REASONS.contains(reason)).map(|reason| {
                let told = classify(container.message.as_deref().unwrap_or_default()).class;
                if told == Class::Unknown { classify(reason).class } else { told }
            });
        let came = !container.image_id.is_empty();
        (came || fails.is_some()).then_some(())?;
        Some(Peer {
            name: format!("{}/{}", id.namespace, id.name),
            node: pod.workload.node.as_ref().map(ToString::to_string),
            image: used.image.clone().ok()?,
            fails,
        })
    };
    pod.containers.iter().filter_map(of).collect()
}

fn probes(probes: &crate::cmd::diagnose::image::ProbesLine) -> Option<String> {
    let named = |(image, verdict): &(Option<String>, String)| {
        format!("{}: {verdict}", image.as_deref().unwrap_or("reach"))
    };
    let mut parts: Vec<String> = probes.targets.iter().take(PROBES).map(named).collect();
    parts.extend(probes.paused.as_ref().map(|class| format!("paused after {class}")));
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// Events of a node that tell about its disk and its runtime.
const NODE_EVENTS: &[&str] = &[
    "EvictionThresholdMet",
    "FreeDiskSpaceFailed",
    "ImageGCFailed",
    "ContainerGCFailed",
    "NodeHasDiskPressure",
    "NodeHasInsufficientPID",
    "NodeNotReady",
    "SystemOOM",
];
/// Pulls that take at least this long are looked at, in seconds.
pub(super) const LONG_PULL: i64 = 10;
/// Probes that are shown.
const PROBES: usize = 4;
