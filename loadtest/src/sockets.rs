//! Faults before any HTTP: a port that refuses, a port where packets vanish.

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
/// The socket is bound and never listens, so no other process is given the port while this lives; listening on the
/// same port beside it is still possible (both sockets carry `SO_REUSEADDR`), which is how a registry comes back on
/// its own address after an outage. Relies on Linux's reading of `SO_REUSEADDR`.
#[derive(Debug)]
pub struct Port {
    addr: SocketAddr,
    _held: TcpSocket,
}

impl Port {
    /// Takes a free port of 127.0.0.1.
    ///
    /// # Errors
    /// If no port can be bound.
    pub fn reserve() -> io::Result<Self> {
        let held = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        Ok(Self { addr: held.local_addr()?, _held: held })
    }

    /// Takes exactly this address.
    ///
    /// # Errors
    /// If another process has it.
    pub fn at(addr: SocketAddr) -> io::Result<Self> {
        let held = bind(addr)?;
        Ok(Self { addr: held.local_addr()?, _held: held })
    }

    /// The address that refuses.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn listen(&self) -> io::Result<TcpListener> {
        bind(self.addr)?.listen(BACKLOG)
    }
}

/// A loopback port where a connection attempt gets no answer at all, as behind a firewall that drops packets.
///
/// The queue of a listener that never accepts is filled up; Linux then drops further SYNs.
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
/// A queue of one takes two or three connections before the kernel drops the next SYN.
const QUEUE_LIMIT: usize = 16;
/// Loopback answers in microseconds; what took this long was dropped.
const UNANSWERED_AFTER: Duration = Duration::from_millis(300);
