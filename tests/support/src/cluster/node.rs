//! A node: a containerd and the kubelet that drives it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::cage::{self, Cage};
use super::cgroups::Cgroup;
use super::control_plane::{ControlPlane, FOLDER, NODE};
use crate::clients::containerd::{Containerd, Release};
use crate::clients::hosts::HostsDir;
use crate::host::parts;
use crate::host::ports::Port;
use crate::host::process::{Process, Ran, run};
use crate::host::scratch::Scratch;

/// The node `node-1` of a cluster. Dropping it ends all its pods, and removes its mounts and control groups.
#[derive(Debug)]
pub struct Node {
    // The order of the fields is the order in which they end: the cage ends everything inside at once.
    cage: Cage,
    kubelet: Process,
    containerd: Containerd,
    cgroup: Cgroup,
    files: Files,
}

impl Node {
    /// The name of the node.
    pub const NAME: &str = NODE;

    /// Starts containerd and kubelet, and waits until the node is ready. containerd pulls all images as `hosts` says,
    /// also [`PAUSE`]. `settings` change the kubelet's configuration.
    pub(super) async fn start(
        scratch: &Scratch,
        plane: &ControlPlane,
        hosts: &HostsDir,
        settings: &Map<String, Value>,
    ) -> Self {
        let files = Files::new(scratch.folder("node"));
        let cage = Cage::new(&files.folder).await;
        let options = Containerd::options(RELEASE).cri(hosts).pause(PAUSE).entry(cage.entry());
        let containerd = options.start(scratch).await;
        files.allow_pods_without_network(&containerd);
        // Faults that a test gives to its registry must hit its own images and not this one.
        containerd.cri().await.pull(PAUSE, None).await.expect("the pause image to be pulled");
        let cgroup = Cgroup::new();
        files.write_crictl_config(&containerd.socket());
        files.write_kubelet_config(&containerd.socket(), &cgroup, settings);
        let kubelet = files.launch_kubelet(&cage, &plane.node_kubeconfig());
        let mut node = Self { cage, kubelet, containerd, cgroup, files };
        node.ready(plane).await;
        node
    }

    /// The containerd of the node.
    pub fn containerd(&self) -> &Containerd {
        &self.containerd
    }

    /// The log of the kubelet since its start.
    pub fn kubelet_log(&self) -> String {
        self.kubelet.log()
    }

    /// Runs `crictl` against containerd.
    pub async fn crictl(&self, arguments: &[&str]) -> Ran {
        let mut command = Command::new(parts::unpacked(FOLDER, "crictl"));
        command.arg("--config").arg(self.files.crictl_config());
        command.args(arguments);
        run(command).await
    }

    /// Restarts the kubelet.
    pub(super) async fn restart_kubelet(&mut self, plane: &ControlPlane) {
        cage::stop(&mut self.kubelet).await;
        self.kubelet = self.files.launch_kubelet(&self.cage, &plane.node_kubeconfig());
        self.ready(plane).await;
    }

    /// Stops containerd; shims and containers run on.
    pub(super) async fn stop_runtime(&mut self) {
        cage::stop(self.containerd.process()).await;
    }

    /// Starts containerd again.
    pub(super) async fn start_runtime(&mut self) {
        self.containerd.start_again().await;
        self.containerd.cri().await;
    }

    /// The ids of all processes of the node: daemons, shims and containers.
    pub fn processes(&self) -> Vec<u32> {
        self.cage.processes()
    }

    /// The control groups of the node's containers, for tests of their removal.
    pub fn control_groups(&self) -> Vec<PathBuf> {
        self.cgroup.folders()
    }

    async fn ready(&mut self, plane: &ControlPlane) {
        let started = |log: &str| log.contains("Started kubelet").then_some(());
        self.kubelet.says("that it has started", started).await;
        let ready = |node: &Value| (node["metadata"]["name"] == NODE && is_ready(node)).then_some(());
        plane.api().when("the node to be ready", ("/api/v1/nodes", ""), START_LIMIT, ready).await;
    }
}

fn is_ready(node: &Value) -> bool {
    let conditions = node["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let ready = conditions.iter().any(|is| is["type"] == "Ready" && is["status"] == "True");
    // The scheduler places no pod until the controllers have removed the taint of a new node.
    let taints = node["spec"]["taints"].as_array().map(Vec::as_slice).unwrap_or_default();
    ready && taints.is_empty()
}

/// The files and ports of a node.
#[derive(Debug)]
struct Files {
    folder: PathBuf,
    port: Port,
}

impl Files {
    fn new(folder: PathBuf) -> Self {
        for inner in ["root", "logs", "plugins"] {
            fs::create_dir(folder.join(inner)).expect("a folder of the kubelet");
        }
        // Pods ask no name server: all that they need is on loopback.
        fs::write(folder.join("resolv.conf"), "nameserver 127.0.0.1\n").expect("a file for pods");
        Self { folder, port: Port::lease() }
    }

    /// Writes a network configuration that containerd accepts as complete. It connects nothing: pods use `hostNetwork`.
    fn allow_pods_without_network(&self, containerd: &Containerd) {
        let folder = containerd.socket().with_file_name("cni");
        fs::create_dir_all(&folder).expect("a folder for the network");
        let network = json!({"cniVersion": "1.0.0", "name": "none", "plugins": [{"type": "loopback"}]});
        fs::write(folder.join("none.conflist"), network.to_string()).expect("a network");
    }

    fn crictl_config(&self) -> PathBuf {
        self.folder.join("crictl.yaml")
    }

    fn write_crictl_config(&self, runtime: &Path) {
        let endpoint = format!("unix://{}", runtime.display());
        let config = json!({"runtime-endpoint": endpoint, "image-endpoint": endpoint});
        fs::write(self.crictl_config(), config.to_string()).expect("a configuration");
    }

    fn write_kubelet_config(&self, runtime: &Path, cgroup: &Cgroup, settings: &Map<String, Value>) {
        let mut config = json!({
            "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
            "address": "127.0.0.1", "port": self.port.number(), "healthzPort": 0,
            "authentication": {"anonymous": {"enabled": true}, "webhook": {"enabled": false}},
            "authorization": {"mode": "AlwaysAllow"},
            "containerRuntimeEndpoint": format!("unix://{}", runtime.display()),
            "podLogsDir": self.folder.join("logs"),
            "volumePluginDir": self.folder.join("plugins"),
            "resolvConf": self.folder.join("resolv.conf"),
            // The machine may have control groups of version 1, and swap; the node gets one group of its own.
            "failCgroupV1": false, "failSwapOn": false, "cgroupDriver": "cgroupfs",
            "enforceNodeAllocatable": [], "cgroupRoot": cgroup.path(),
            // The firewall of the machine stays as it is.
            "makeIPTablesUtilChains": false,
            // A full disk of the machine is no reason to evict the pods of a test.
            "evictionHard": {"imagefs.available": "0%", "nodefs.available": "0%", "nodefs.inodesFree": "0%"},
            "imageGCHighThresholdPercent": 100,
            // A pull that a test holds up must not hold up the others.
            "serializeImagePulls": false, "maxParallelImagePulls": 20, "registryPullQPS": 0, "eventRecordQPS": 0,
        });
        config.as_object_mut().expect("invariant: an object").extend(settings.clone());
        fs::write(self.folder.join("kubelet.json"), config.to_string()).expect("a configuration");
    }

    fn launch_kubelet(&self, cage: &Cage, kubeconfig: &Path) -> Process {
        let mut command = cage.command(&parts::unpacked(FOLDER, "kubelet"));
        command.arg("--config").arg(self.folder.join("kubelet.json"));
        command.arg("--kubeconfig").arg(kubeconfig);
        command.arg("--root-dir").arg(self.folder.join("root"));
        command.arg("--cert-dir").arg(self.folder.join("root/pki"));
        command.args(["--hostname-override", NODE, "--v=2"]);
        Process::spawn("kubelet", &mut command, &self.folder)
    }
}

/// The image of the container that holds a pod's namespaces, in the registry of [`super::whole::Cluster`].
const PAUSE: &str = "registry.test/pause:1";
/// The kubelet of the pinned release asks for containerd 2.
const RELEASE: Release = Release::V2;
const START_LIMIT: Duration = Duration::from_secs(60);
