//! The addresses at which this process listens. They must not be dialled, because a request would go to this process
//! itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, PoisonError, RwLock};

/// The bound listeners of this process. Clones share the list, because listeners are bound after it is made.
#[derive(Clone, Debug, Default)]
pub struct Listening(Arc<RwLock<Vec<SocketAddr>>>);

impl Listening {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a listener that is bound to `address`. A listener at an unspecified address accepts at every address of the
    /// machine.
    pub fn add(&self, address: SocketAddr) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).push(address);
    }

    /// True if a connection to `address` would reach one of the listeners.
    pub(crate) fn holds(&self, address: SocketAddr) -> bool {
        let own = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut same_port = own.iter().filter(|own| own.port() == address.port()).peekable();
        if same_port.peek().is_none() {
            return false;
        }
        let ip = dialled(address.ip());
        same_port
            .any(|own| own.ip().to_canonical() == ip || own.ip().is_unspecified() && is_of_this_machine(ip))
    }
}

/// The address that the kernel connects to: for an unspecified address, loopback (Linux `ip(7)`).
fn dialled(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(v4) if v4.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(v6) if v6.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    }
}

/// True if `ip` is an address of this machine. To reach an address of its own, the kernel uses that same address as the
/// source. A connected UDP socket shows its source address without sending a packet.
fn is_of_this_machine(ip: IpAddr) -> bool {
    let any: IpAddr = if ip.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let begin = || {
        let socket = UdpSocket::bind((any, 0))?;
        socket.connect((ip, DISCARD))?;
        socket.local_addr()
    };
    ip.is_loopback() || begin().is_ok_and(|begin| begin.ip() == ip)
}

/// The port of the UDP socket's peer. Its value does not matter.
const DISCARD: u16 = 9;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn holds(own: &str, address: &str) -> bool {
        let listening = Listening::new();
        listening.add(own.parse().unwrap());
        listening.holds(address.parse().unwrap())
    }

    #[test]
    fn own_addresses_are_recognised_in_every_spelling() {
        for (own, address, yes) in [
            ("127.0.0.1:5000", "127.0.0.1:5000", true),
            ("127.0.0.1:5000", "127.0.0.1:5001", false),
            ("127.0.0.1:5000", "127.0.0.2:5000", false),
            ("127.0.0.1:5000", "0.0.0.0:5000", true),
            ("127.0.0.1:5000", "[::ffff:127.0.0.1]:5000", true),
            ("127.0.0.1:5000", "[::1]:5000", false),
            ("0.0.0.0:5000", "127.0.0.1:5000", true),
            ("0.0.0.0:5000", "127.8.8.8:5000", true),
            ("0.0.0.0:5000", "192.0.2.1:5000", false),
            ("0.0.0.0:5000", "127.0.0.1:5001", false),
            ("[::]:5000", "127.0.0.1:5000", true),
            ("[::]:5000", "[::1]:5000", true),
            ("[::]:5000", "[2001:db8::1]:5000", false),
        ] {
            assert_eq!(holds(own, address), yes, "{own} {address}");
        }
    }
}
