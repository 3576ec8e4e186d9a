//! A workload as the prober needs it.

use std::fmt;

use oci::ImageName;

oci::labels! {
    /// The kind of a workload.
    WorkloadKind {
        /// A pod, whether it has an owner or not.
        Pod = "Pod";
        /// A Deployment, by its template.
        Deployment = "Deployment";
        /// A StatefulSet, by its template.
        StatefulSet = "StatefulSet";
        /// A DaemonSet, by its template.
        DaemonSet = "DaemonSet";
        /// A ReplicaSet, by its template.
        ReplicaSet = "ReplicaSet";
        /// A Job, by its template.
        Job = "Job";
        /// A CronJob, by the template of its jobs.
        CronJob = "CronJob";
    }
}

oci::labels! {
    /// The part of a pod that uses an image.
    Role {
        /// An init container, sidecars included.
        Init = "init";
        /// A container.
        App = "app";
        /// An ephemeral container, as `kubectl debug` adds them.
        Ephemeral = "ephemeral";
        /// A volume whose content is an image.
        Volume = "image_volume";
    }
}

oci::labels! {
    /// Whether a workload's images are in use.
    Standing {
        /// The workload runs, or will run by itself: its images must be pullable.
        Live = "live";
        /// The pod or the job ended; it pulls no more.
        Finished = "finished";
        /// The workload asks for no pod: zero replicas, or suspended.
        Idle = "idle";
        /// The owner names the same images and is a workload itself, so that this one does not count.
        Owned = "owned";
    }
}

/// The identity of a workload in its cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkloadId {
    /// The kind.
    pub kind: WorkloadKind,
    /// The namespace.
    pub namespace: Box<str>,
    /// The name.
    pub name: Box<str>,
}

/// The object that made a workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The kind as the API names it; it may be one of another project.
    pub kind: Box<str>,
    /// The name; the namespace is that of the workload.
    pub name: Box<str>,
}

/// A workload, without everything that the prober does not need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Its identity.
    pub id: WorkloadId,
    /// The object that made it. For a pod of a Deployment it is the Deployment, not the ReplicaSet between them.
    pub owner: Option<Owner>,
    /// Whether its images are in use.
    pub standing: Standing,
    /// The service account of its pods.
    pub service_account: Box<str>,
    /// The pull secrets in the pod or in the template. A pod has here what its service account had at its creation.
    pub pull_secrets: Box<[Box<str>]>,
    /// The images.
    pub uses: Box<[Use]>,
    /// The time of its creation, in seconds since 1970.
    pub created: Option<i64>,
    /// The node of a pod.
    pub node: Option<Box<str>>,
    /// The architecture that the node selector asks for; `None`: any.
    pub architecture: Option<Box<str>>,
}

/// The use of an image by a part of a pod.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Use {
    /// The name of the container or volume.
    pub part: Box<str>,
    /// The kind of the part.
    pub role: Role,
    /// The image, in the normal form of its name.
    pub image: Result<ImageName, BadReference>,
    /// True if the pull policy is `Never`, so that no node pulls this image.
    pub never_pulled: bool,
}

/// An image reference that no node can pull, as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BadReference {
    /// The text, shortened.
    pub written: Box<str>,
    /// The reason.
    pub reason: Box<str>,
}

impl Workload {
    /// The workload that people know: the owner where it is of a kind that we read, else the workload itself.
    pub fn top(&self) -> WorkloadId {
        let owner = self.owner.as_ref().and_then(|owner| {
            let kind = owner.kind.parse().ok()?;
            Some(WorkloadId { kind, namespace: self.id.namespace.clone(), name: owner.name.clone() })
        });
        owner.unwrap_or_else(|| self.id.clone())
    }

    /// The images that a node would pull for this workload.
    pub fn pulled(&self) -> impl Iterator<Item = &ImageName> {
        self.uses.iter().filter(|used| !used.never_pulled).filter_map(|used| used.image.as_ref().ok())
    }
}

impl fmt::Display for WorkloadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.kind.as_str().to_ascii_lowercase(), self.namespace, self.name)
    }
}
