//! The servers that are compared, each a pull-through cache of the same upstream.

mod docker_registry;
mod nginx;
mod pullgate;
mod server;
mod setting;
mod started;

pub(crate) use pullgate::{UPSTREAM, knows};
pub(crate) use server::Server;
pub(crate) use setting::{Kind, Setting};
