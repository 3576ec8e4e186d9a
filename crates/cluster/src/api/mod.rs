//! The connection to the API server, and single questions to it.
//!
//! - [`mod@connect`]: the client, from the service account in a cluster, else from a kubeconfig.
//! - [`refusal`]: an error of the client, as what could not be looked at and why.
//! - [`reader`]: pods, their events, recent changes, nodes, secrets: for a diagnosis on demand.

mod connect;
mod reader;
mod recent;
mod refusal;

pub use connect::{ConnectError, Context, connect};
pub use reader::{NodeState, PodState, Reader, Waiting};
pub use recent::{Change, ChangeKind, EventLine};
pub use refusal::ReadError;
pub(crate) use refusal::{Question, refused};
