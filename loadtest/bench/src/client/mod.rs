//! Clients: raw sockets and as little else as possible, so that the server is measured.
//!
//! - [`drive`] keeps many connections busy from one thread (epoll): downloads and small requests alike.
//! - [`fetch`] takes one answer and notes the time of its first byte.
//! - [`probe`] asks on a schedule and keeps the latencies.
//! - [`slow`] holds many answers open and hardly reads them.

mod connect;
mod drive;
mod fetch;
mod head;
mod probe;
mod slow;
mod target;
pub(crate) mod tls;

pub(crate) use connect::connect;
pub(crate) use drive::{Done, Load, Until, drive};
pub(crate) use fetch::{fetch, fetch_digest};
pub(crate) use probe::probe;
pub(crate) use slow::SlowReaders;
pub(crate) use target::{Reading, Target};
