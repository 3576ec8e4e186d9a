//! Small readings of nodes and service accounts that watches and the reader share.

use k8s_openapi::api::core::v1::{Node, ServiceAccount};
use oci::Platform;

use crate::findings::Account;

/// The pull secrets of a service account.
pub(crate) fn account(from: &ServiceAccount) -> Account {
    let secrets = from.image_pull_secrets.iter().flatten();
    let names = secrets.map(|secret| secret.name.as_str()).filter(|name| !name.is_empty());
    Account { pull_secrets: names.map(Into::into).collect() }
}

/// The platform of a node, by its labels, else by what its kubelet reports.
pub(crate) fn platform(node: &Node) -> Platform {
    let label =
        |name: &str| node.metadata.labels.as_ref().and_then(|labels| labels.get(name)).map(String::as_str);
    let info = node.status.as_ref().and_then(|status| status.node_info.as_ref());
    let os = label("kubernetes.io/os").or(info.map(|info| info.operating_system.as_str()));
    let architecture = label("kubernetes.io/arch").or(info.map(|info| info.architecture.as_str()));
    Platform::new(os.unwrap_or("linux"), architecture.unwrap_or("amd64"), "").normal()
}
