//! Documents for the APIs of distributions whose nodes are configured from outside.

use std::fmt::Write;

use super::document::Document;
use super::text::quoted;
use crate::model::{Registry, Setup};

/// Talos: one `RegistryMirrorConfig` for each registry.
pub(super) fn talos(setup: &Setup) -> Document {
    let url = quoted(setup.mirror.url.as_str());
    let one = |registry: &Registry| {
        let name = quoted(registry.host.as_str());
        format!(
            "apiVersion: v1alpha1\nkind: RegistryMirrorConfig\nname: {name}\nendpoints:\n  - url: {url}\nskipFallback: false\n"
        )
    };
    let documents: Vec<_> = setup.registries.iter().map(one).collect();
    Document::paste(
        "the machine configuration: talosctl patch machineconfig --patch @FILE",
        documents.join("---\n"),
    )
}

/// Bottlerocket: the settings of the user data, or of `apiclient apply`.
pub(super) fn bottlerocket(setup: &Setup) -> Document {
    let url = quoted(setup.mirror.url.as_str());
    let mut text = String::new();
    for registry in &setup.registries {
        let name = quoted(registry.host.as_str());
        let separator = if text.is_empty() { "" } else { "\n" };
        let _infallible = write!(
            text,
            "{separator}[[settings.container-registry.mirrors]]\nregistry = {name}\nendpoint = [{url}]\n"
        );
    }
    Document::paste("the user data of the nodes, or `apiclient apply`", text)
}

/// GKE: the runtime configuration file of a node pool. An authority of the mirror has to be in Secret Manager.
pub(super) fn gke(setup: &Setup) -> Document {
    let mut text = String::from("registryHosts:\n");
    for registry in &setup.registries {
        let _infallible = write!(
            text,
            "- server: {}\n  hosts:\n  - host: {}\n    capabilities: [HOST_CAPABILITY_PULL, HOST_CAPABILITY_RESOLVE]\n    dialTimeout: \"{}s\"\n",
            quoted(registry.server()),
            quoted(setup.mirror.url.as_str()),
            setup.mirror.dial_timeout.as_secs_f64(),
        );
        if let Some(node) = &setup.node {
            // One file is for a whole pool, so the name can only be that of the pool.
            let _infallible = write!(
                text,
                "    header:\n    - key: X-Pullgate-Node\n      value: [{}]\n",
                quoted(node.as_str())
            );
        }
    }
    Document::paste("the file of `gcloud container node-pools update --containerd-config-from-file`", text)
}

/// EKS: the configuration of nodeadm, which sets `config_path` to one folder.
pub(super) fn eks() -> Document {
    Document::paste("the user data of the nodes (nodeadm)", EKS.to_owned())
}

/// kind: the configuration of the cluster.
pub(super) fn kind() -> Document {
    Document::paste("the configuration of `kind create cluster --config`", KIND.to_owned())
}

const EKS: &str = "\
# AL2023 sets `config_path` to a list of two folders, which containerd 2.1 and later read as one folder that does not exist.
# On nodes with containerd 1.7, the table is [plugins.\"io.containerd.grpc.v1.cri\".registry].
apiVersion: node.eks.aws/v1alpha1
kind: NodeConfig
spec:
  containerd:
    config: |
      [plugins.\"io.containerd.cri.v1.images\".registry]
      config_path = \"/etc/containerd/certs.d\"
";
const KIND: &str = "\
# kind up to 0.26 (containerd 1.7). Later releases set this by default.
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
containerdConfigPatches:
- |-
  [plugins.\"io.containerd.grpc.v1.cri\".registry]
  config_path = \"/etc/containerd/certs.d\"
";
