//! containerd's `certs.d`, and the part of its main file that makes it read `certs.d`.

use std::fmt::Write;

use super::document::Document;
use super::text::quoted;
use crate::model::{Registry, Setup};

/// A `hosts.toml` for each registry.
pub(super) fn certs_d(setup: &Setup) -> Vec<Document> {
    let path = |registry: &Registry| format!("{CERTS_D}/{}/hosts.toml", registry.folder());
    setup.registries.iter().map(|registry| Document::own(path(registry), hosts(setup, registry))).collect()
}

/// The `hosts.toml` of a registry, for containerd of every version.
pub fn hosts(setup: &Setup, registry: &Registry) -> String {
    let (name, server) = (registry.host.as_str(), quoted(registry.server()));
    format!(
        "# pullgate: pulls of {name} go through the mirror first, and to the registry itself when the mirror does not answer.\n\
         server = {server}\n\n{}",
        host(setup)
    )
}

/// The `hosts.toml` of `_default`, for registries that have no folder.
pub fn default_hosts(setup: &Setup) -> String {
    format!("{DEFAULT_COSTS}\n{}", host(setup))
}

/// The table of the mirror. Only capabilities that every version knows: one unknown word drops the whole file.
fn host(setup: &Setup) -> String {
    let (mirror, url) = (&setup.mirror, quoted(setup.mirror.url.as_str()));
    let mut text = format!("[host.{url}]\ncapabilities = [\"pull\", \"resolve\"]\n");
    let millis = mirror.dial_timeout.as_millis();
    let timeout = if millis % 1000 == 0 { format!("{}s", millis / 1000) } else { format!("{millis}ms") };
    let _infallible = writeln!(text, "dial_timeout = \"{timeout}\" {DIAL_TIMEOUT_NOTE}");
    // At an http:// address, any TLS field makes containerd try HTTPS first.
    if let Some(ca) = mirror.ca.as_deref().filter(|_| !mirror.url.is_plain()) {
        let _infallible = writeln!(text, "ca = {}", quoted(ca));
    }
    if let Some(node) = &setup.node {
        let _infallible =
            write!(text, "\n[host.{url}.header]\nX-Pullgate-Node = {}\n", quoted(node.as_str()));
    }
    text
}

/// The parts of containerd's main file; they are merged by hand, because the file is somebody else's.
pub(super) fn main_files() -> Vec<Document> {
    vec![
        Document::paste("/etc/containerd/config.toml of containerd 1.6 and 1.7", CONFIG_1.to_owned()),
        Document::paste("/etc/containerd/config.toml of containerd 2.0 and later", CONFIG_2.to_owned()),
    ]
}

/// The folder that `config_path` names.
pub const CERTS_D: &str = "/etc/containerd/certs.d";
const DIAL_TIMEOUT_NOTE: &str =
    "# containerd 2.1 (2.0.7) and later; earlier versions wait 30 s for an address that drops packets";
const DEFAULT_COSTS: &str = "\
# pullgate: pulls from every registry that has no directory go through the mirror first. This file is optional; its costs:
# - No `server` can be set here, since one file covers many registries; containerd falls back to the registry of the image.
# - Any other directory in certs.d, even an empty one, replaces this one: that registry then silently bypasses the mirror.
# - For a registry that pullgate is not configured for, the mirror answers 404: one more request for each object of each pull.
";
const CONFIG_1: &str = "\
# containerd 1.6 and 1.7: merge into /etc/containerd/config.toml, then restart containerd once.
# Without `config_path`, containerd does not read certs.d; with `config_path` and old `registry.mirrors` tables, the CRI plugin does not load.
version = 2

[plugins.\"io.containerd.grpc.v1.cri\".registry]
config_path = \"/etc/containerd/certs.d\"
";
const CONFIG_2: &str = "\
# containerd 2.0 and later: merge into /etc/containerd/config.toml, then restart containerd once.
# Set one directory, never the default list \"/etc/containerd/certs.d:/etc/docker/certs.d\": from 2.1 on, containerd reads a list
# as the name of one directory that does not exist, and silently skips every mirror.
version = 3

[plugins.\"io.containerd.cri.v1.images\".registry]
config_path = \"/etc/containerd/certs.d\"
";
