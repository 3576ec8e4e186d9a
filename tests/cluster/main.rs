//! pullgate in a real cluster: the API server, the controllers, the scheduler and a kubelet of one Kubernetes release.

mod control_plane;
mod pods;
