//! The read-only endpoint for Prometheus, the kubelet and people.

mod api;
mod endpoint;
pub(crate) mod human;
mod page;
pub(crate) mod reading;
mod status;

pub(crate) use endpoint::{Admin, Sources};
pub(crate) use status::StatusView;
