//! Connects to the cluster, follows it, and applies a changed configuration.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use cluster::findings::{self, Finding, Level};
use cluster::watch::Waits;
use cluster::{Client, Context, Discovery, Scope, Settings, Wanted};
use config::Kubernetes;
use oci::Class;
use prober::status::Entry;

use super::assign::Assigner;
use crate::coverage::needs::Known;
use crate::run::parts::Shared;

/// Follows the cluster as the configuration says, until the future is dropped.
pub(crate) async fn follow(shared: Shared) {
    let mut configured = shared.configured();
    loop {
        let kubernetes = configured.borrow_and_update().kubernetes.clone();
        match settings(&kubernetes) {
            Some(settings) => {
                tokio::select! {
                    () = look(&shared, settings, &kubernetes) => {}
                    () = other(&shared, &kubernetes) => {}
                }
            }
            None => other(&shared, &kubernetes).await,
        }
        shared.assignments.keep_only(&BTreeSet::new());
        shared.cluster.clear();
        shared.needs.clear();
    }
}

/// Waits until the configuration names something else to look at.
async fn other(shared: &Shared, kubernetes: &Kubernetes) {
    let mut configured = shared.configured();
    while configured.borrow_and_update().kubernetes == *kubernetes {
        if configured.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

fn settings(kubernetes: &Kubernetes) -> Option<Settings> {
    let scope = match &kubernetes.discover {
        config::Discover::Off => return None,
        config::Discover::Namespaces(names) => Scope::Namespaces(names.clone()),
        config::Discover::Cluster => Scope::Cluster,
    };
    Some(Settings { scope, secrets: kubernetes.secrets, waits: Waits::default() })
}

/// Looks at the cluster until the future is dropped.
async fn look(shared: &Shared, settings: Settings, kubernetes: &Kubernetes) {
    let context = Context { kubeconfig: kubernetes.kubeconfig.clone(), ..Context::default() };
    let discovery = Discovery::new(connected(shared, &context).await, settings);
    tracing::info!("looking for images in the cluster");
    tokio::select! {
        () = discovery.run() => {}
        () = pass_on(shared, &discovery) => {}
    }
}

/// The client. Files that are missing now may appear, such as a token that is mounted late.
async fn connected(shared: &Shared, context: &Context) -> Client {
    let mut told = false;
    loop {
        match cluster::connect(context).await {
            Ok(client) => return client,
            Err(error) => {
                if !std::mem::replace(&mut told, true) {
                    tracing::error!(%error, "kubernetes: no images are found");
                }
                shared.cluster.failed(format!("kubernetes: {error}"));
                tokio::time::sleep(CONNECT_AGAIN).await;
            }
        }
    }
}

/// Passes what is found on to the prober, at every change of the cluster, of the upstreams, or of what registries
/// refuse.
async fn pass_on(shared: &Shared, discovery: &Discovery) {
    let mut assigner = Assigner::new(&shared.outbound());
    let mut told = HashSet::new();
    let (mut changes, mut configured) = (discovery.changes(), shared.configured());
    let mut refusals = shared.assignments.refusals();
    loop {
        let upstreams = configured.borrow_and_update().upstreams.clone();
        changes.mark_unchanged();
        let wanted = discovery.wanted();
        let assigned = assigner.assign(&wanted, &upstreams);
        shared.assignments.keep_only(&assigned.lists.keys().collect());
        for (registry, list) in assigned.lists {
            shared.assignments.assign(&registry, list.into());
        }
        let mut findings = discovery.findings();
        findings.extend(poisoned(&shared.board.assigned(), &wanted));
        tell(&mut told, &findings);
        shared.cluster.look(discovery, &assigned.images, &findings);
        refusals.mark_unchanged();
        let refused = shared.assignments.refused();
        let secrets = assigned.secrets.into_iter().filter(|(number, _)| refused.contains(number));
        discovery.refused(secrets.map(|(_, secret)| secret).collect());
        shared.needs.set(Known::of(discovery, wanted));
        tokio::select! {
            _ = changes.changed() => {}
            _ = refusals.changed() => {}
            changed = configured.changed() => if changed.is_ok() { assigner.forget() },
            // Passwords end, and silent watches recover, without a change in the cluster.
            () = tokio::time::sleep(LOOK_AGAIN) => {}
        }
        tokio::time::sleep(GATHER).await;
    }
}

/// The findings of probes: credentials that break the pull of a public image.
fn poisoned(probed: &[Entry], wanted: &[Wanted]) -> Vec<Finding> {
    let bad = probed.iter().filter(|entry| entry.verdict == Class::AuthPoisoned.as_str());
    let found = bad.filter_map(|entry| {
        let is = |it: &&Wanted| {
            let secret = it.login.as_ref().map(|login| format!("{}/{}", login.secret.0, login.secret.1));
            secret == entry.pull_secret && entry.image.as_deref() == Some(it.image.to_string().as_str())
        };
        let found = wanted.iter().find(is)?;
        let (login, workload) = (found.login.as_ref()?, found.workloads.first()?);
        let secret = (&*login.secret.0, &*login.secret.1);
        let evidence = entry.evidence.as_deref().unwrap_or_default();
        Some(findings::poisoned(workload, &found.image, secret, &login.key, evidence))
    });
    found.collect()
}

/// Logs each finding once, when it appears.
fn tell(told: &mut HashSet<String>, findings: &[Finding]) {
    let key = |finding: &Finding| format!("{} {}", finding.code, finding.seen);
    let now: HashSet<String> = findings.iter().map(key).collect();
    for finding in findings.iter().filter(|finding| !told.contains(&key(finding))).take(TOLD_AT_ONCE) {
        let (code, title) = (finding.code.as_str(), finding.title());
        let (seen, next_step, page) = (&finding.seen, &finding.fix, finding.page());
        match finding.level() {
            Level::Error => tracing::warn!(code, seen, next_step, page, "cluster: {title}"),
            Level::Warning => tracing::info!(code, seen, next_step, page, "cluster: {title}"),
        }
    }
    *told = now;
}

/// The wait before the next attempt to find a credential for the API server.
const CONNECT_AGAIN: Duration = Duration::from_secs(5);
/// The time in which changes are gathered.
const GATHER: Duration = Duration::from_millis(500);
/// The time after which everything is looked at again although nothing changed.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// The most findings that are logged at one look. The number of all is in the metrics.
const TOLD_AT_ONCE: usize = 50;
