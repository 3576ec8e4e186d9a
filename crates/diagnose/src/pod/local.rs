//! Causes on the node or in the pod's specification: the registry has no part in them.

use oci::{Class, Stage};

use super::case::Case;
use super::fix::{Shell, paste};
use crate::image::{Place, Verdict, read};
use crate::reading::Reading;

/// The verdict on a local cause.
pub(super) fn verdict(case: &Case, told: &Reading) -> Verdict {
    let node = case.pod.node.as_deref().unwrap_or("the node");
    let part = format!("{} {}", case.part.role, case.part.name);
    let (place, sentence) = match told.class {
        Class::NameInvalid => (Place::Image, invalid(case)),
        Class::NeverPolicy => (
            Place::Pod,
            format!(
                "The {part} has imagePullPolicy Never, and {node} does not hold {} for it.",
                case.part.written
            ),
        ),
        Class::KubeletThrottle => {
            (Place::Node, format!("The kubelet of {node} limits its own pulls (registryPullQPS)."))
        }
        Class::DiskFull => (Place::Node, format!("{node} has no room left for images{}.", of_disk(told))),
        Class::DiskSlow => (Place::Node, format!("The disk of {node} is too slow to unpack the image.")),
        Class::CriDown => (Place::Node, format!("The container runtime of {node} does not answer.")),
        _ => (Place::Pod, format!("A policy refuses the image {}.", case.part.written)),
    };
    Verdict {
        class: Some(told.class),
        stage: told.stage.or(Some(Stage::BlobTransfer).filter(|_| told.class == Class::DiskFull)),
        place,
        sentence,
        fix: fix(case, told, node),
        next: next(case, told.class),
        notes: Vec::new(),
    }
}

fn invalid(case: &Case) -> String {
    match read(&case.part.written) {
        Err(bad) => format!(
            "No node accepts the image name {}. Character {}: {}.",
            case.part.written.escape_debug(),
            bad.at + 1,
            bad.what
        ),
        Ok(_) => format!("The node does not accept the image name {}.", case.part.written.escape_debug()),
    }
}

fn of_disk(told: &Reading) -> String {
    told.reason.map_or_else(String::new, |reason| format!(" ({reason})"))
}

fn fix(case: &Case, told: &Reading, node: &str) -> Vec<String> {
    let shell = Shell::of(case);
    match told.class {
        Class::NameInvalid => {
            let repaired = read(&case.part.written).err().and_then(|bad| bad.repaired);
            match repaired {
                Some(name) => vec!["Write it so:".to_owned(), shell.set_image(&name)],
                None => vec![
                    "Correct the name: registry/repository:tag, repository in lower case.".to_owned(),
                    shell.edit(),
                ],
            }
        }
        Class::NeverPolicy => {
            let mut lines = vec![format!(
                "Load the image on {node} (`ctr -n k8s.io images import`), or let nodes pull it:"
            )];
            lines.extend(shell.set_policy("IfNotPresent"));
            lines
        }
        Class::KubeletThrottle => vec![
            "It passes by itself. If it comes back, raise the limit in the kubelet's configuration:"
                .to_owned(),
            paste("registryPullQPS: 20"),
            paste("registryBurst: 40"),
        ],
        Class::DiskFull => vec![
            format!("Free space on {node}; keep new pods away meanwhile:"),
            paste(&format!("kubectl cordon {node}")),
            paste("crictl rmi --prune && df -h /var/lib/containerd && df -i /var/lib/containerd"),
        ],
        Class::CriDown => vec![
            format!("Restart the runtime on {node}, and read its log:"),
            paste("systemctl restart containerd && journalctl -u containerd -n 50"),
        ],
        Class::DiskSlow => vec![
            format!("Look at the load and the health of the disk of {node}; move pods away:"),
            paste(&format!("kubectl drain {node} --ignore-daemonsets --delete-emptydir-data")),
        ],
        _ => vec![super::fix::capital(told.fix())],
    }
}

fn next(case: &Case, class: Class) -> Vec<String> {
    let node = case.pod.node.as_deref();
    match class {
        Class::NameInvalid | Class::NeverPolicy | Class::Signature => Vec::new(),
        Class::KubeletThrottle => {
            let configz = |node| format!("kubectl get --raw /api/v1/nodes/{node}/proxy/configz");
            node.map(configz).into_iter().collect()
        }
        _ => node.map(|node| format!("kubectl describe node {node}")).into_iter().collect(),
    }
}
