//! The way commands reach a running instance: a unix socket in the cache folder, for this user alone. Nothing of this
//! is reachable over TCP.

mod answer;
mod client;
mod protocol;
mod server;

pub(crate) use answer::look;
pub(crate) use client::ask;
pub(crate) use protocol::{Reply, Request, socket};
pub(crate) use server::Control;
