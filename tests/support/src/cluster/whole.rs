//! A cluster whose node pulls through pullgate.

use loadtest::registry::Registry;

use super::control_plane::ControlPlane;
use super::namespace::Namespace;
use super::node::Node;
use super::workload;
use crate::clients::hosts::HostsDir;
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
    scratch: Scratch,
}

impl Cluster {
    /// The name of the registry in the names of images. No name server knows it.
    pub const REGISTRY: &str = "registry.test";

    /// Starts everything. `binary` is `env!("CARGO_BIN_EXE_pullgate")`; the images of the pods come from `registry`,
    /// under the name [`Self::REGISTRY`].
    pub async fn start(binary: &str, registry: &Registry) -> Self {
        Self::start_with(binary, registry, "").await
    }

    /// Like [`Self::start`], with more lines of pullgate's configuration, for example further upstreams.
    pub async fn start_with(binary: &str, registry: &Registry, more: &str) -> Self {
        let scratch = Scratch::new();
        registry.add_image("pause", "1", &workload::image(PAUSE_SEED));
        let config = config(&scratch, registry) + more;
        let pullgate = Pullgate::start(binary, &scratch, &config).await;
        let hosts = HostsDir::new(&scratch);
        hosts.only(Self::REGISTRY, &pullgate.url());
        let plane = ControlPlane::start(&scratch).await;
        let pause = format!("{}/pause:1", Self::REGISTRY);
        let node = Node::start(&scratch, &plane, &hosts, &pause).await;
        Self { node, plane, pullgate, hosts, scratch }
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

    /// The addresses of registries for the node, which reads them at every pull.
    pub fn hosts(&self) -> &HostsDir {
        &self.hosts
    }

    /// The scratch folder.
    pub fn scratch(&self) -> &Scratch {
        &self.scratch
    }
}

fn config(scratch: &Scratch, registry: &Registry) -> String {
    format!(
        "builtin_upstreams = false\nadmin.listen = \"127.0.0.1:0\"\nprober.reach = false\n\
         [proxy]\nlisten = \"127.0.0.1:0\"\ncache.dir = {cache:?}\n\
         [upstreams.test]\nregistry = {name:?}\nendpoints = [{url:?}]\naddresses = [\"127.0.0.0/8\"]\n\
         tag_max_age = \"1ms\"\naccess = \"per-client\"\n",
        cache = scratch.path().join("cache"),
        name = Cluster::REGISTRY,
        url = registry.url(),
    )
}

/// No test uses this seed for an image of its own.
const PAUSE_SEED: u64 = 0x70_6175_7365;
