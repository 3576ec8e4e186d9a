//! Client connections: blocking sockets without Nagle's algorithm and with a time limit on reads.

use std::{
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use rustix::net::{AddressFamily, SocketType, connect as connect_socket, socket, sockopt};

use crate::error::{Doing, Error};

/// Connects. A small receive buffer (bytes) stops the server early when the client does not read.
pub(crate) fn connect(addr: SocketAddr, receive_buffer: Option<usize>) -> Result<TcpStream, Error> {
    let what = format!("connecting to {addr}");
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).doing(what.as_str())?;
    if let Some(bytes) = receive_buffer {
        sockopt::set_socket_recv_buffer_size(&socket, bytes).doing("shrinking a receive buffer")?;
    }
    connect_socket(&socket, &addr).doing(what)?;
    let socket = TcpStream::from(socket);
    socket.set_nodelay(true).doing("setting TCP_NODELAY")?;
    socket.set_read_timeout(Some(SILENCE_LIMIT)).doing("setting a timeout")?;
    Ok(socket)
}

/// Longest wait for a byte, so that a benchmark that hangs fails.
const SILENCE_LIMIT: Duration = Duration::from_secs(60);
