//! The images that workloads name, read from the objects of the Kubernetes API. Pure.
//!
//! - [`workload`]: a workload as the prober needs it; everything else of the object is dropped.
//! - [`pod_spec`]: the images of a pod or of a pod template, of all kinds of containers and of image volumes.
//! - [`kinds`]: from a pod, Deployment, StatefulSet, DaemonSet, ReplicaSet, Job or CronJob to its [`Workload`].

mod kinds;
mod pod_spec;
mod workload;

pub use workload::{BadReference, Owner, Role, Standing, Use, Workload, WorkloadId, WorkloadKind};
