//! Ports for daemons that must keep an address across a restart, or whose logs do not show it.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};

use rustix::fs::{FlockOperation, flock};

/// A loopback port that is reserved until this value is dropped.
///
/// The port lies below the range that the kernel assigns, so that no outgoing connection takes it while its daemon
/// restarts. A locked file keeps other test processes from using the port.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _lock: File,
}

impl Port {
    /// Reserves a free port.
    pub fn lease() -> Self {
        let range = FIRST..first_ephemeral();
        let start = fastrand::u16(range.clone());
        let from_start = (start..range.end).chain(range.start..start);
        from_start.filter_map(Self::claim).next().expect("a free loopback port")
    }

    /// The port number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// `127.0.0.1:<number>`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.number)
    }

    fn claim(number: u16) -> Option<Self> {
        let folder = std::env::temp_dir().join("pullgate-ports");
        fs::create_dir_all(&folder).expect("a folder for port locks");
        let lock = File::create(folder.join(number.to_string())).ok()?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).ok()?;
        TcpListener::bind((Ipv4Addr::LOCALHOST, number)).ok()?;
        Some(Self { number, _lock: lock })
    }
}

/// The first port of the range that the kernel assigns.
fn first_ephemeral() -> u16 {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let first = range.split_whitespace().next().and_then(|first| first.parse().ok());
    first.filter(|first| *first > FIRST + 1000).unwrap_or(USUAL_FIRST_EPHEMERAL)
}

/// The first port to try, above those of well-known services.
const FIRST: u16 = 15_000;
const USUAL_FIRST_EPHEMERAL: u16 = 32_768;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_leases_never_share_a_number() {
        let leases: Vec<Port> = (0..50).map(|_| Port::lease()).collect();
        let numbers: std::collections::BTreeSet<u16> = leases.iter().map(Port::number).collect();
        assert_eq!(numbers.len(), leases.len());
    }

    #[test]
    fn a_leased_port_can_be_bound_by_a_daemon() {
        let port = Port::lease();
        assert!(TcpListener::bind(port.address()).is_ok());
    }
}
