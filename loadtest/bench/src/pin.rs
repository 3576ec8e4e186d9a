//! The assignment of clients and servers to cores.

use rustix::thread::{CpuSet, sched_setaffinity};

use crate::error::{Doing, Error};

/// The distribution of the cores between server and client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cores {
    /// The server runs on core 0 alone, the client on core 1.
    OneEach,
    /// Server and client share cores 0 and 1.
    Shared,
}

impl Cores {
    /// The server's cores in the form of `taskset`.
    pub(crate) fn of_servers(self) -> &'static str {
        match self {
            Self::OneEach => "0",
            Self::Shared => "0,1",
        }
    }

    /// The number of cores of a server.
    pub(crate) fn server_count(self) -> usize {
        match self {
            Self::OneEach => 1,
            Self::Shared => 2,
        }
    }

    /// The description in the table.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::OneEach => "server on core 0, client on core 1",
            Self::Shared => "server and client share cores 0 and 1",
        }
    }

    /// Moves the calling thread to the cores of clients.
    pub(crate) fn pin_client(self) -> Result<(), Error> {
        let mut set = CpuSet::new();
        set.set(1);
        if self == Self::Shared {
            set.set(0);
        }
        sched_setaffinity(None, &set).doing("pinning a client; this benchmark wants two cores")
    }
}
