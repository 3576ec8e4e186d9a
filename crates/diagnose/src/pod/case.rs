//! Everything that was seen about a failing pod.

use oci::{Class, ImageName, Platform};

use crate::image::Verdict;

/// A failing pod and what was seen around it.
#[derive(Clone, Debug)]
pub struct Case {
    /// The present.
    pub now: i64,
    /// The pod.
    pub pod: Pod,
    /// The container, or volume, whose image does not come.
    pub part: Part,
    /// The events of the pod, oldest first.
    pub events: Vec<Event>,
    /// The same pull, made again just now; `None` if it was not.
    pub replay: Option<Replay>,
    /// The faults of its pull secrets and of its service account.
    pub findings: Vec<Finding>,
    /// Recent changes in its namespace.
    pub changes: Vec<Change>,
    /// Its node, if it may be looked at.
    pub node: Option<Node>,
    /// Other pods.
    pub peers: Vec<Peer>,
    /// The newest pulls of the image through the mirror, newest first.
    pub pulls: Vec<Pull>,
    /// What a running prober says about the registry.
    pub probes: Option<String>,
}

/// A pod.
#[derive(Clone, Debug, Default)]
pub struct Pod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The workload that makes it anew if it is deleted.
    pub owner: Option<Owner>,
    /// Its node; `None` before it is scheduled.
    pub node: Option<String>,
    /// Its service account.
    pub service_account: String,
    /// The names of its pull secrets.
    pub pull_secrets: Vec<String>,
}

/// The workload that made a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The kind, as `kubectl` takes it: `deployment`.
    pub kind: String,
    /// The name.
    pub name: String,
}

/// A container, or an image volume.
#[derive(Clone, Debug)]
pub struct Part {
    /// The name.
    pub name: String,
    /// What it is: `container`, `init container`, `ephemeral container`, `image volume`.
    pub role: &'static str,
    /// The image as it is written.
    pub written: String,
    /// The image, if a node accepts its name.
    pub image: Option<ImageName>,
    /// The platform that the node pulls.
    pub platform: Platform,
    /// The reason for which it waits.
    pub reason: Option<String>,
    /// The text with the reason.
    pub message: Option<String>,
}

/// An event of the kubelet.
#[derive(Clone, Debug, Default)]
pub struct Event {
    /// The reason, such as `Failed`.
    pub reason: String,
    /// The text.
    pub message: String,
    /// The number of repetitions.
    pub count: u32,
    /// The first time.
    pub first: Option<i64>,
    /// The last time.
    pub last: Option<i64>,
}

/// The same pull, made again from the machine of the diagnosis.
#[derive(Clone, Debug)]
pub struct Replay {
    /// Its verdict.
    pub verdict: Verdict,
    /// The host at fault.
    pub host: Option<String>,
    /// False if a pull secret of the pod could not be read, so that the pod may have another identity.
    pub as_the_pod: bool,
}

/// A fault that shows without a failing pull.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The stable code.
    pub code: String,
    /// The observation.
    pub seen: String,
    /// The remedy.
    pub fix: String,
}

oci::labels! {
    /// The kind of a changed object, as far as a diagnosis tells them apart.
    ChangeKind {
        /// A pull secret of the pod.
        Secret = "secret";
        /// Its service account.
        ServiceAccount = "service_account";
        /// A network policy of its namespace.
        NetworkPolicy = "network_policy";
        /// The workload that made it: an image or rollout change.
        Rollout = "rollout";
        /// Another workload.
        Other = "other_workload";
    }
}

/// A change of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The kind.
    pub kind: ChangeKind,
    /// Kind and name, as people know them: `Secret regcred`.
    pub what: String,
    /// The time.
    pub at: i64,
    /// True if the object was created then.
    pub created: bool,
    /// The program that made the change.
    pub by: Option<String>,
}

/// A node.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// The name.
    pub name: String,
    /// The conditions that are not as they should be, each with its reason.
    pub troubles: Vec<(String, String)>,
    /// The taints.
    pub taints: Vec<String>,
    /// The events of the node: evictions, failures of the garbage collection.
    pub events: Vec<Event>,
    /// The pulls of other pods on this node that have begun and not ended: pod, image, begin; oldest first.
    pub pulling: Vec<(String, String, i64)>,
    /// The number of nodes of the cluster.
    pub of: usize,
}

/// Another pod.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Namespace and name.
    pub name: String,
    /// Its node.
    pub node: Option<String>,
    /// One of its images.
    pub image: ImageName,
    /// The class of its failure; `None` if the image came.
    pub fails: Option<Class>,
}

/// A pull through the mirror.
#[derive(Clone, Debug)]
pub struct Pull {
    /// The time of its begin, as it is shown.
    pub start: String,
    /// The node or address that pulled.
    pub client: String,
    /// The outcome, with the class of a failure.
    pub outcome: String,
    /// The time that it took.
    pub took: String,
}
