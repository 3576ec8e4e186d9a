//! Pods whose pull secrets are not those of their service account.
//!
//! The API server copies the secrets of the service account into a pod at its creation, and only if the pod names none
//! itself. A later change of the service account does not reach the pods that exist.

use super::code::Code;
use super::finding::{About, Finding};
use super::shell;
use crate::images::{Workload, WorkloadId, WorkloadKind};

/// A service account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its pull secrets.
    pub pull_secrets: Box<[Box<str>]>,
}

/// The faults of a workload whose service account is `found` (`None`: it does not exist). `template` has the secrets of
/// the owner's template, if a pod's owner is known: a pod that differs from it got its secrets from the service account.
pub fn account(workload: &Workload, found: Option<&Account>, template: Option<&[Box<str>]>) -> Vec<Finding> {
    let Some(found) = found else { return vec![missing(workload)] };
    let of_account = workload.id.kind == WorkloadKind::Pod && template.is_none_or(<[_]>::is_empty);
    if !of_account {
        return Vec::new();
    }
    let lacks = |from: &[Box<str>], of: &[Box<str>]| -> Vec<Box<str>> {
        of.iter().filter(|name| !from.contains(name)).cloned().collect()
    };
    // Without a template, secrets in the pod may be its own. Only a pod without any surely got none.
    let surely = template.is_some() || workload.pull_secrets.is_empty();
    let later = lacks(&workload.pull_secrets, &found.pull_secrets);
    let gone = lacks(&found.pull_secrets, &workload.pull_secrets);
    let mut findings = Vec::new();
    if surely && !later.is_empty() {
        findings.push(before(workload, &later));
    }
    if template.is_some() && !gone.is_empty() {
        findings.push(lost(workload, &gone));
    }
    findings
}

fn before(pod: &Workload, later: &[Box<str>]) -> Finding {
    Finding {
        code: Code::PodBeforeAccount,
        about: about(pod, later),
        seen: format!(
            "{} was created without the pull secret {}, which its service account {} has now",
            pod.id,
            later.join(", "),
            pod.service_account
        ),
        fix: format!("create the pod anew:\n{}", restart(pod)),
    }
}

fn lost(pod: &Workload, gone: &[Box<str>]) -> Finding {
    let name = gone.first().map_or("NAME", |name| name);
    let patch = format!(r#"{{"imagePullSecrets":[{{"name":"{name}"}}]}}"#);
    Finding {
        code: Code::AccountLostSecret,
        about: about(pod, gone),
        seen: format!(
            "{} has the pull secret {}, which its service account {} no longer has: its next pod pulls without",
            pod.id,
            gone.join(", "),
            pod.service_account
        ),
        fix: format!(
            "if the secret is still needed:\nkubectl patch serviceaccount {} --namespace={} --patch={}",
            shell::word(&pod.service_account),
            shell::word(&pod.id.namespace),
            shell::word(&patch)
        ),
    }
}

fn missing(workload: &Workload) -> Finding {
    let (namespace, account) = (&*workload.id.namespace, &*workload.service_account);
    Finding {
        code: Code::AccountMissing,
        about: About { namespace: namespace.into(), workload: Some(workload.top()), ..About::default() },
        seen: format!(
            "{} uses the service account {account:?}, and namespace {namespace} has none: no new pod can be created",
            workload.top()
        ),
        fix: format!(
            "kubectl create serviceaccount {} --namespace={}",
            shell::word(account),
            shell::word(namespace)
        ),
    }
}

fn about(pod: &Workload, secrets: &[Box<str>]) -> About {
    About {
        namespace: pod.id.namespace.clone(),
        secret: secrets.first().cloned(),
        workload: Some(pod.top()),
        image: None,
    }
}

/// The command that replaces a pod: its owner makes a new one.
fn restart(pod: &Workload) -> String {
    let WorkloadId { kind, namespace, name } = pod.top();
    let namespace = shell::word(&namespace);
    let rollout =
        matches!(kind, WorkloadKind::Deployment | WorkloadKind::StatefulSet | WorkloadKind::DaemonSet);
    if rollout {
        let kind = kind.as_str().to_ascii_lowercase();
        return format!("kubectl rollout restart {kind} {} --namespace={namespace}", shell::word(&name));
    }
    format!("kubectl delete pod {} --namespace={namespace}", shell::word(&pod.id.name))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;
    use serde_json::json;

    use super::*;

    fn names(names: &[&str]) -> Box<[Box<str>]> {
        names.iter().map(|name| Box::from(*name)).collect()
    }

    fn pod(secrets: &[&str]) -> Workload {
        let secrets: Vec<_> = secrets.iter().map(|name| json!({ "name": name })).collect();
        let owner = json!({ "apiVersion": "apps/v1", "kind": "DaemonSet", "name": "agent", "uid": "1", "controller": true });
        let pod: Pod = serde_json::from_value(json!({
            "metadata": { "namespace": "shop", "name": "agent-1", "ownerReferences": [owner] },
            "spec": { "containers": [], "imagePullSecrets": secrets }
        }))
        .unwrap();
        Workload::from(&pod)
    }

    #[test]
    fn a_pod_is_compared_with_its_service_account() {
        for (pod_has, account_has, template, codes) in [
            (&[][..], &["regcred"][..], Some(&[][..]), &["PG0612"][..]),
            (&[], &["regcred"], None, &["PG0612"]),
            (&["old"], &["regcred"], Some(&[]), &["PG0612", "PG0613"]),
            (&["regcred"], &[], Some(&[]), &["PG0613"]),
            // The pod may have its own secrets: nothing is sure.
            (&["own"], &["regcred"], None, &[]),
            // The template has its own, so that the service account does not count.
            (&["own"], &["regcred"], Some(&["own"]), &[]),
            (&["regcred"], &["regcred"], Some(&[]), &[]),
            (&[], &[], None, &[]),
        ] {
            let found = Account { pull_secrets: names(account_has) };
            let template = template.map(names);
            let findings = account(&pod(pod_has), Some(&found), template.as_deref());
            let found: Vec<&str> = findings.iter().map(|finding| finding.code.as_str()).collect();
            assert_eq!(found, codes, "{pod_has:?} {account_has:?}");
        }
    }

    #[test]
    fn the_fix_restarts_the_owner_or_patches_the_account() {
        let found = Account { pull_secrets: names(&["regcred"]) };
        let before = &account(&pod(&[]), Some(&found), None)[0];
        assert!(
            before.fix.ends_with("kubectl rollout restart daemonset agent --namespace=shop"),
            "{before:?}"
        );
        let lost = &account(&pod(&["it's"]), Some(&Account { pull_secrets: names(&[]) }), Some(&[]))[0];
        let patch = r#"--patch='{"imagePullSecrets":[{"name":"it'\''s"}]}'"#;
        assert!(lost.fix.ends_with(patch), "{lost:?}");
    }

    #[test]
    fn a_service_account_that_does_not_exist_is_found() {
        let findings = account(&pod(&[]), None, None);
        assert_eq!(findings[0].code, Code::AccountMissing);
        assert_eq!(findings[0].fix, "kubectl create serviceaccount default --namespace=shop");
    }
}
