//! The control socket, by which commands reach a running instance: a unix socket in the cache folder that only this user
//! can open. It is not reachable over TCP.

mod answer;
mod client;
pub(crate) mod protocol;
mod server;

pub(crate) use answer::look;
pub(crate) use client::ask;
pub(crate) use protocol::{Reply, Request, socket};
pub(crate) use server::Control;
