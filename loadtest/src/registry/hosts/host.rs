//! A listening address of the registry, which can change its greeting, stop and restart.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, atomic::Ordering},
};

use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

use super::{connection::Connection, greeting::Greeting};
use crate::{
    registry::{lock::lock, state::Shared},
    sockets::Port,
};

/// One listening address. Dropping it closes the listener and its connections.
#[derive(Debug)]
pub struct Host {
    port: Port,
    state: Arc<State>,
    accepting: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct State {
    shared: Arc<Shared>,
    base_url: Arc<str>,
    greeting: Mutex<Greeting>,
    connections: Mutex<JoinSet<()>>,
}

impl Host {
    /// Makes a host with this port that does not listen yet.
    pub(crate) fn reserve(port: Port, host: &str, greeting: Greeting, shared: Arc<Shared>) -> Self {
        let scheme = if matches!(greeting, Greeting::Http) { "http" } else { "https" };
        let base_url = format!("{scheme}://{host}:{}", port.addr().port()).into();
        let state = State {
            shared,
            base_url,
            greeting: Mutex::new(greeting),
            connections: Mutex::new(JoinSet::new()),
        };
        Self { port, state: Arc::new(state), accepting: Mutex::new(None) }
    }

    /// The address.
    pub fn addr(&self) -> SocketAddr {
        self.port.addr()
    }

    /// Scheme and authority, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.state.base_url
    }

    /// Changes the treatment of new connections. Open connections stay open.
    pub fn greet(&self, greeting: Greeting) {
        *lock(&self.state.greeting) = greeting;
    }

    /// Starts to listen; does nothing if the host listens already.
    ///
    /// # Errors
    /// If the port cannot be listened on.
    pub fn restart(&self) -> io::Result<()> {
        let mut accepting = lock(&self.accepting);
        if accepting.is_none() {
            let listener = self.port.listen()?;
            *accepting = Some(tokio::spawn(Arc::clone(&self.state).accept(Listening(listener))));
        }
        Ok(())
    }

    /// Stops listening and drops the open connections, and waits until both are done.
    pub async fn stop(&self) {
        let accepting = lock(&self.accepting).take();
        if let Some(accepting) = accepting {
            accepting.abort();
            // The error is the cancellation that was just requested.
            let _ = accepting.await;
        }
        self.drop_connections().await;
    }

    /// Drops the open connections, so that clients must connect again.
    pub async fn drop_connections(&self) {
        let mut connections = std::mem::take(&mut *lock(&self.state.connections));
        connections.shutdown().await;
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(accepting) = lock(&self.accepting).take() {
            accepting.abort();
        }
        lock(&self.state.connections).abort_all();
    }
}

/// A listener that is shut down before it is closed. Between fork and exec a child process holds a copy of every socket,
/// so that the port would still listen after a close alone.
struct Listening(TcpListener);

impl Drop for Listening {
    fn drop(&mut self) {
        if let Err(error) = rustix::net::shutdown(&self.0, rustix::net::Shutdown::Both) {
            tracing::debug!(%error, "a listener could not be shut down");
        }
    }
}

impl State {
    async fn accept(self: Arc<Self>, listener: Listening) {
        loop {
            match listener.0.accept().await {
                Ok((socket, _)) => self.spawn(socket),
                Err(error) => tracing::warn!(%error, "accept failed"),
            }
        }
    }

    fn spawn(&self, socket: TcpStream) {
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, "no TCP_NODELAY");
        }
        let greeting = lock(&self.greeting).clone();
        let rate = self.shared.rate.load(Ordering::Relaxed);
        let connection = Connection {
            connected: self.shared.journal.connect(),
            shared: Arc::clone(&self.shared),
            base_url: Arc::clone(&self.base_url),
        };
        let mut connections = lock(&self.connections);
        while connections.try_join_next().is_some() {}
        connections.spawn(async move {
            if let Some(wire) = greeting.meet(socket).await {
                connection.serve(wire.throttled(rate)).await;
            }
        });
    }
}
