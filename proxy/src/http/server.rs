//! Accepts clients, limits the cost of each, and closes connections cleanly.
//!
//! A connection always ends with FIN, even if a body broke off or a request was refused unread. The write side is
//! closed first, and the client's further bytes are read for a moment. Closing a socket with unread bytes would send a
//! reset, and a reset makes containerd fail the pull instead of turning to the registry.

use std::fmt::Display;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::route::HEAD_MAX;
use super::tls::ServerTls;
use super::wire::{Heads, Wire};
use crate::endpoint::dispatch::Dispatch;
use crate::endpoint::exchange::Exchange;

/// A listening socket and its server.
pub struct Bound {
    listener: TcpListener,
    server: Arc<Server>,
}

pub(crate) struct Server {
    pub(crate) dispatch: Arc<Dispatch>,
    pub(crate) tls: Option<ServerTls>,
    pub(crate) max_connections: usize,
    pub(crate) drain: Duration,
}

/// The phase of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Serving.
    Open,
    /// No new requests are accepted. Running bodies continue.
    Draining,
    /// The grace time is over. Running bodies are cut short.
    Closing,
}

impl Bound {
    #[expect(clippy::disallowed_methods, reason = "one of the two places that accept")]
    pub(crate) async fn new(server: Arc<Server>, address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        // Accepted sockets inherit this option.
        if let Err(error) = SockRef::from(&listener).set_tcp_notsent_lowat(UNSENT_MAX) {
            tracing::warn!(%error, "no TCP_NOTSENT_LOWAT: slow clients can fill the kernel's send buffers");
        }
        Ok(Self { listener, server })
    }

    /// The address that the socket listens on.
    ///
    /// # Errors
    /// The system's error.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `shutdown` completes. Then stops accepting and lets running bodies finish within the grace time.
    pub async fn serve(self, shutdown: impl Future<Output = ()> + Send) {
        let Self { listener, server } = self;
        let (phase, watched) = watch::channel(Phase::Open);
        let slots = Arc::new(Semaphore::new(server.max_connections));
        let mut connections = JoinSet::new();
        let mut shutdown = pin!(shutdown);
        let mut tick = interval(PULLS_TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
                _ = tick.tick() => {
                    server.dispatch.pulls.end_quiet();
                    server.dispatch.store.tidy();
                    server.dispatch.fairness.tidy();
                    server.dispatch.telemetry.lines.turn();
                }
                (stream, peer, slot) = accept(&listener, &slots) => {
                    connections.spawn(connection(Arc::clone(&server), stream, peer, slot, watched.clone()));
                }
            }
        }
        drop(listener);
        end(connections, &phase, server.drain).await;
        server.dispatch.telemetry.lines.turn();
    }
}

/// Waits for a free slot before it accepts a connection. Connections that cannot be served yet stay in the kernel's
/// queue.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
    let slot =
        Arc::clone(slots).acquire_owned().await.expect("invariant: the semaphore of slots is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer, slot),
            Err(error) => {
                // The process has no free file descriptor, or the client has left already. An immediate retry helps
                // in neither case.
                tracing::warn!(%error, "cannot accept");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn end(mut connections: JoinSet<()>, phase: &watch::Sender<Phase>, grace: Duration) {
    phase.send_replace(Phase::Draining);
    let all = async |connections: &mut JoinSet<()>| while connections.join_next().await.is_some() {};
    if timeout(grace, all(&mut connections)).await.is_ok() {
        return;
    }
    tracing::warn!(connections = connections.len(), "grace time is over: cutting what still runs");
    phase.send_replace(Phase::Closing);
    if timeout(LINGER * 2, all(&mut connections)).await.is_err() {
        connections.shutdown().await;
    }
}

async fn connection(
    server: Arc<Server>,
    stream: TcpStream,
    peer: SocketAddr,
    slot: OwnedSemaphorePermit,
    phase: watch::Receiver<Phase>,
) {
    let _slot = slot;
    let _counted = server.dispatch.telemetry.connected();
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no TCP_NODELAY");
    }
    let Some(tls) = &server.tls else {
        return converse(&server, stream, peer, phase).await;
    };
    let failed =
        |step, error: &dyn Display| server.dispatch.telemetry.connection_failed(step, peer.ip(), error);
    match timeout(HANDSHAKE_MAX, TlsAcceptor::from(tls.current()).accept(stream)).await {
        Ok(Ok(mut stream)) => {
            stream.get_mut().1.set_buffer_limit(Some(TLS_UNSENT_MAX));
            converse(&server, stream, peer, phase).await;
        }
        Ok(Err(error)) => failed("handshake", &error),
        Err(_) => failed("handshake", &"it took too long"),
    }
}

/// Serves one connection until the client leaves, an error closes it, or the server ends.
async fn converse<T>(server: &Arc<Server>, stream: T, peer: SocketAddr, mut phase: watch::Receiver<Phase>)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let heads = Heads::default();
    let wire = Wire::new(stream, heads.clone());
    let dispatch = Arc::clone(&server.dispatch);
    let service = service_fn(move |request| {
        heads.completed();
        Exchange::new(Arc::clone(&dispatch), request, peer).answer()
    });
    let mut connection = http().serve_connection(TokioIo::new(wire), service);
    loop {
        let change = tokio::select! {
            biased;
            ended = std::future::poll_fn(|cx| connection.poll_without_shutdown(cx)) => {
                if let Err(error) = ended {
                    server.dispatch.telemetry.connection_failed("exchange", peer.ip(), &error);
                }
                None
            }
            Ok(()) = phase.changed() => Some(*phase.borrow_and_update()),
        };
        match change {
            Some(Phase::Open) => {}
            Some(Phase::Draining) => Pin::new(&mut connection).graceful_shutdown(),
            Some(Phase::Closing) | None => break,
        }
    }
    part(connection.into_parts().io.into_inner().into_inner()).await;
}

/// Closes the connection. It sends FIN first, and then reads the client's further bytes for a moment, because unread
/// bytes would turn the close into a reset.
async fn part<T: AsyncRead + AsyncWrite + Unpin>(mut stream: T) {
    let farewell = async {
        stream.shutdown().await?;
        let mut unread = (&mut stream).take(LINGER_BYTES);
        tokio::io::copy(&mut unread, &mut tokio::io::sink()).await
    };
    if let Ok(Err(error)) = timeout(LINGER, farewell).await {
        tracing::trace!(%error, "client was gone already");
    }
}

fn http() -> http1::Builder {
    let mut http = http1::Builder::new();
    // The buffer also bounds the unsent bytes, because a full buffer takes no more of a body.
    http.timer(TokioTimer::new())
        .header_read_timeout(IDLE_MAX)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_MAX)
        .keep_alive(true);
    http
}

/// The longest idle time of a connection. It must be longer than the 30 s for which containerd keeps idle connections.
const IDLE_MAX: Duration = Duration::from_secs(75);
/// The longest time of a TLS handshake.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// The most unsent bytes that the kernel takes for a client, see `TCP_NOTSENT_LOWAT` in `tcp(7)`. Without this limit it
/// takes 2 MB for each of a thousand slow clients, and then has no memory for the others. Bytes that are sent and not
/// yet acknowledged are not limited, so paths with a long delay stay as fast as before.
const UNSENT_MAX: u32 = 256 * 1024;
/// The most encrypted bytes that wait for one client: two TLS records. The limit is small, because there may be a
/// thousand slow clients.
const TLS_UNSENT_MAX: usize = 32 * 1024;
/// The most header lines of a request.
const HEADERS_MAX: usize = 64;
/// The time for which bytes of a closed connection are still read.
const LINGER: Duration = Duration::from_secs(1);
/// The most bytes of a closed connection that are still read.
const LINGER_BYTES: u64 = 256 * 1024;
/// The time between two rounds in which the server ends quiet pulls and tidies up.
const PULLS_TICK: Duration = Duration::from_secs(1);
/// The pause after a failed accept. It also bounds the log lines of such failures to ten a second.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
