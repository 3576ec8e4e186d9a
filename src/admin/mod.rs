//! The read-only endpoint for Prometheus, the kubelet and people.

mod endpoint;
mod page;
mod page_proxy;
mod status;

pub(crate) use endpoint::{Admin, Sources};
pub(crate) use page_proxy::size;
pub(crate) use status::StatusView;
