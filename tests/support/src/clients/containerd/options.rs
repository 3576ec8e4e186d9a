//! The options of a containerd in a test, and the configuration file made from them.

use std::fmt;
use std::path::Path;

use super::release::{Release, SNAPSHOTTER};
use crate::clients::hosts::HostsDir;
use crate::host::parts;

/// The settings that a test may change before the start.
#[derive(Debug, Clone)]
pub struct Options {
    pub(super) release: Release,
    cri: Option<HostsDir>,
    layer_fetch_buffer: Option<usize>,
    pause: Option<String>,
    pub(super) entry: Vec<String>,
}

impl Options {
    pub(super) fn new(release: Release) -> Self {
        Self { release, cri: None, layer_fetch_buffer: None, pause: None, entry: own_mounts() }
    }

    /// Turns the CRI plugin on, with this `config_path`; `ctr` then uses the namespace in which the CRI keeps its
    /// images.
    #[must_use]
    pub fn cri(mut self, hosts: &HostsDir) -> Self {
        self.cri = Some(hosts.clone());
        self
    }

    /// Sets the image of the container that holds a pod's namespaces.
    #[must_use]
    pub(crate) fn pause(mut self, image: &str) -> Self {
        self.pause = Some(image.to_owned());
        self
    }

    /// Starts the daemon by this command in place of the one that gives it its own mounts.
    #[must_use]
    pub(crate) fn entry(mut self, entry: Vec<String>) -> Self {
        self.entry = entry;
        self
    }

    /// Fetches layers by parallel open-ended ranges of this many bytes (2.1 and later).
    #[must_use]
    pub fn layer_fetch_buffer(mut self, bytes: usize) -> Self {
        self.layer_fetch_buffer = Some(bytes);
        self
    }

    /// The containerd namespace of the images: the one of the CRI, or the one of `ctr`.
    pub(super) fn namespace(&self) -> &'static str {
        if self.cri.is_some() { CRI_NAMESPACE } else { DEFAULT_NAMESPACE }
    }

    /// The configuration file, in the format that every release reads.
    pub(super) fn config(&self, folder: &Path) -> String {
        let platform = format!("linux/{}", go_architecture());
        let folder = folder.display();
        let mut text = format!(
            r#"version = 2
root = "{folder}/root"
state = "{folder}/state"
disabled_plugins = {disabled:?}
[grpc]
address = "{folder}/containerd.sock"
[debug]
level = "debug"
[plugins."io.containerd.internal.v1.opt"]
path = "{folder}/opt"
[[plugins."io.containerd.transfer.v1.local".unpack_config]]
platform = "{platform}"
snapshotter = "{SNAPSHOTTER}"
"#,
            disabled = if self.cri.is_some() { &[][..] } else { CRI_PLUGINS },
        );
        if let Some(bytes) = self.layer_fetch_buffer {
            let section = "[plugins.\"io.containerd.transfer.v1.local\"]";
            text += &format!("{section}\nconcurrent_layer_fetch_buffer = {bytes}\n");
        }
        if let Some(hosts) = &self.cri {
            text += &cri_config(&folder, hosts);
        }
        if let Some(pause) = &self.pause {
            text += &pod_config(pause);
        }
        text
    }
}

/// The CRI section. Like the rest, it shares no path and no socket with another instance. containerd 2.x migrates the
/// old names, except that of the snapshotter.
fn cri_config(folder: impl fmt::Display, hosts: &HostsDir) -> String {
    format!(
        r#"[plugins."io.containerd.grpc.v1.cri".registry]
config_path = {hosts:?}
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "{SNAPSHOTTER}"
[plugins."io.containerd.cri.v1.images"]
snapshotter = "{SNAPSHOTTER}"
[plugins."io.containerd.grpc.v1.cri".cni]
conf_dir = "{folder}/cni"
[plugins."io.containerd.nri.v1.nri"]
disable = true
socket_path = "{folder}/nri.sock"
"#,
        hosts = hosts.path(),
    )
}

/// The settings of a containerd that runs pods. Inside containers and small machines, root may not protect processes from
/// the kernel's out-of-memory killer, as the kubelet asks for pause containers.
fn pod_config(pause: &str) -> String {
    format!(
        "[plugins.\"io.containerd.grpc.v1.cri\"]\nsandbox_image = {pause:?}\nrestrict_oom_score_adj = true\n"
    )
}

/// The beginning of a command that runs a program in its own mount namespace. Without root it also gets a user namespace
/// in which it is root.
pub(super) fn own_mounts() -> Vec<String> {
    let mut words = vec![parts::installed("unshare").display().to_string(), "--mount".to_owned()];
    if !rustix::process::geteuid().is_root() {
        words.extend(["--user", "--map-root-user"].map(str::to_owned));
    }
    words
}

/// This machine's architecture in the spelling of image platforms.
fn go_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// The names of the CRI plugins: one in 1.x, three in 2.x.
const CRI_PLUGINS: &[&str] =
    &["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime"];
/// The containerd namespaces of images pulled by CRI, and by `ctr`.
const CRI_NAMESPACE: &str = "k8s.io";
const DEFAULT_NAMESPACE: &str = "default";
