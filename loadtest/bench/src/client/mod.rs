//! Clients on raw sockets with little work of their own, so that the figures are those of the server.
//!
//! - [`drive`] keeps many connections busy from one thread (epoll): downloads and small requests alike.
//! - [`fetch`] fetches one answer and notes the time of its first byte.
//! - [`probe`] sends requests on a schedule and keeps the latencies.
//! - [`slow`] keeps many answers open and reads them very slowly.

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
