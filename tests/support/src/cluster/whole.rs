//! A cluster whose node pulls through pullgate.

use loadtest::registry::Registry;
use serde_json::{Map, Value};

use super::control_plane::ControlPlane;
use super::namespace::Namespace;
use super::node::Node;
use super::workload;
use crate::clients::hosts::HostsDir;
use crate::host::ports::Port;
use crate::host::scratch::Scratch;
use crate::subject::pullgate::Pullgate;

/// A control plane, a node, and pullgate between the node and a registry. Dropping it ends and removes all of it.
#[derive(Debug)]
pub struct Cluster {
    // The order of the fields is the order in which they end.
    node: Node,
    plane: ControlPlane,
    pullgate: Pullgate,
    hosts: HostsDir,
    _port: Port,
    scratch: Scratch,
}

impl Cluster {
    /// The name of the registry in the names of images. No name server knows it.
    pub const REGISTRY: &str = "registry.test";

    /// Starts everything. `binary` is `env!("CARGO_BIN_EXE_pullgate")`; the images of the pods come from `registry`,
    /// under the name [`Self::REGISTRY`].
    pub async fn start(binary: &str, registry: &Registry) -> Self {
        Settings::default().start(binary, registry).await
    }

    /// Settings that differ from the usual ones, to start a cluster with.
    pub fn settings() -> Settings {
        Settings::default()
    }

    /// Creates a namespace.
    pub async fn namespace(&self, name: &str) -> Namespace {
        self.plane.namespace(name).await
    }

    /// The control plane.
    pub fn plane(&self) -> &ControlPlane {
        &self.plane
    }

    /// The control plane, to stop and start its API server.
    pub fn plane_mut(&mut self) -> &mut ControlPlane {
        &mut self.plane
    }

    /// The node.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Restarts the kubelet; the pods run on meanwhile.
    pub async fn restart_kubelet(&mut self) {
        self.node.restart_kubelet(&self.plane).await;
    }

    /// Stops containerd; the containers run on.
    pub async fn stop_runtime(&mut self) {
        self.node.stop_runtime().await;
    }

    /// Starts containerd again.
    pub async fn start_runtime(&mut self) {
        self.node.start_runtime().await;
    }

    /// The binary under test.
    pub fn pullgate(&self) -> &Pullgate {
        &self.pullgate
    }

    /// The binary under test, to stop and start it.
    pub fn pullgate_mut(&mut self) -> &mut Pullgate {
        &mut self.pullgate
    }

    /// The addresses of registries for the node, which reads them at every pull.
    pub fn hosts(&self) -> &HostsDir {
        &self.hosts
    }

    /// The scratch folder.
    pub fn scratch(&self) -> &Scratch {
        &self.scratch
    }
}

/// The settings of a cluster.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    pullgate: String,
    kubelet: Map<String, Value>,
}

impl Settings {
    /// Adds lines at the end of pullgate's configuration, for example further upstreams.
    #[must_use]
    pub fn pullgate(mut self, lines: &str) -> Self {
        self.pullgate += lines;
        self
    }

    /// Sets a field of the kubelet's configuration: `kubelet("serializeImagePulls", true)`.
    #[must_use]
    pub fn kubelet(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.kubelet.insert(field.to_owned(), value.into());
        self
    }

    /// Starts a cluster, as [`Cluster::start`] does.
    pub async fn start(self, binary: &str, registry: &Registry) -> Cluster {
        let (scratch, port) = (Scratch::new(), Port::lease());
        registry.add_image("pause", "1", &workload::image(PAUSE_SEED));
        let config = config(&scratch, &port, registry) + &self.pullgate;
        let pullgate = Pullgate::start(binary, &scratch, &config).await;
        let hosts = HostsDir::new(&scratch);
        hosts.only(Cluster::REGISTRY, &pullgate.url());
        let plane = ControlPlane::start(&scratch).await;
        let node = Node::start(&scratch, &plane, &hosts, &self.kubelet).await;
        Cluster { node, plane, pullgate, hosts, _port: port, scratch }
    }
}

/// pullgate keeps its address when it restarts, so that the node's files stay right.
fn config(scratch: &Scratch, port: &Port, registry: &Registry) -> String {
    format!(
        "builtin_upstreams = false\nadmin.listen = \"127.0.0.1:0\"\nprober.reach = false\n\
         [proxy]\nlisten = {address:?}\ncache.dir = {cache:?}\n\
         [upstreams.test]\nregistry = {name:?}\nendpoints = [{url:?}]\naddresses = [\"127.0.0.0/8\"]\n\
         tag_max_age = \"1ms\"\naccess = \"per-client\"\n",
        address = port.address(),
        cache = scratch.path().join("cache"),
        name = Cluster::REGISTRY,
        url = registry.url(),
    )
}

/// No test uses this seed for an image of its own.
const PAUSE_SEED: u64 = 0x70_6175_7365;
