//! Faults below HTTP: a port that refuses connections, and a port that drops packets.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    time::timeout,
};

/// A reserved loopback port without a listener: connections are refused at once.
///
/// The socket is bound and never listens, so the system gives the port to no other process while this value lives. A
/// second socket can still listen on the same port, because both have `SO_REUSEADDR`. A registry uses this to listen on
/// its old address again after an outage. It relies on Linux's implementation of `SO_REUSEADDR`.
#[derive(Debug)]
pub struct Port {
    addr: SocketAddr,
    _held: TcpSocket,
}

impl Port {
    /// Reserves a free port of 127.0.0.1.
    ///
    /// # Errors
    /// If no port can be bound.
    pub fn reserve() -> io::Result<Self> {
        let held = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        Ok(Self { addr: held.local_addr()?, _held: held })
    }

    /// Reserves this address.
    ///
    /// # Errors
    /// If another process has it.
    pub fn at(addr: SocketAddr) -> io::Result<Self> {
        let held = bind(addr)?;
        Ok(Self { addr: held.local_addr()?, _held: held })
    }

    /// The address, which refuses connections.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn listen(&self) -> io::Result<TcpListener> {
        bind(self.addr)?.listen(BACKLOG)
    }
}

/// A loopback port that does not answer connection attempts, as behind a firewall that drops packets.
///
/// The queue of a listener that never accepts is full; Linux then drops further SYNs.
#[derive(Debug)]
pub struct Blackhole {
    addr: SocketAddr,
    _listener: TcpListener,
    _queued: Vec<TcpStream>,
}

impl Blackhole {
    /// Binds a port of 127.0.0.1 and fills its queue.
    ///
    /// # Errors
    /// If no port can be bound, or if the system keeps accepting.
    pub async fn start() -> io::Result<Self> {
        let listener = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?.listen(1)?;
        let addr = listener.local_addr()?;
        let mut queued = Vec::new();
        while queued.len() < QUEUE_LIMIT {
            match timeout(UNANSWERED_AFTER, TcpStream::connect(addr)).await {
                Ok(stream) => queued.push(stream?),
                Err(_elapsed) => return Ok(Self { addr, _listener: listener, _queued: queued }),
            }
        }
        Err(io::Error::other("this system keeps accepting connections beyond the queue of the listener"))
    }

    /// The address that does not answer.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

fn bind(addr: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    Ok(socket)
}

const BACKLOG: u32 = 4096;
/// Most connections to try: a queue of one takes two or three before the kernel drops the next SYN.
const QUEUE_LIMIT: usize = 16;
/// The time after which a SYN counts as dropped; loopback answers in microseconds.
const UNANSWERED_AFTER: Duration = Duration::from_millis(300);
