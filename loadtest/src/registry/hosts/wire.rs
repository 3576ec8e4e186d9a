//! The connection below HTTP: plain or TLS, with an optional limit on its rate, closed cleanly or by reset.

use std::{
    io,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep},
};
use tokio_rustls::server::TlsStream;

/// A connection.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: Stream,
    throttle: Option<Throttle>,
}

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Wire {
    pub(crate) fn plain(socket: TcpStream) -> Self {
        Self { stream: Stream::Plain(socket), throttle: None }
    }

    pub(crate) fn tls(stream: TlsStream<TcpStream>) -> Self {
        Self { stream: Stream::Tls(Box::new(stream)), throttle: None }
    }

    /// Limits sending to `bytes_per_second`; 0 is no limit.
    pub(crate) fn throttled(self, bytes_per_second: u64) -> Self {
        let throttle = (bytes_per_second > 0).then(|| Throttle::new(bytes_per_second));
        Self { throttle, ..self }
    }

    /// Ends the connection with an RST. Bytes that the kernel has not delivered yet are lost.
    pub(crate) fn reset(self) {
        let socket = match &self.stream {
            Stream::Plain(socket) => socket,
            Stream::Tls(stream) => stream.get_ref().0,
        };
        if let Err(error) = socket.set_zero_linger() {
            tracing::warn!(%error, "this connection will close instead of reset");
        }
    }

    /// Ends the connection with a FIN (on TLS after a `close_notify`), and reads until the client has closed its side:
    /// closing a socket with unread bytes would turn the FIN into an RST.
    pub(crate) async fn finish(mut self) {
        if self.shutdown().await.is_ok() {
            self.closed().await;
        }
    }

    /// Waits until the client has closed the connection, and discards the bytes that it still sends.
    pub(crate) async fn closed(&mut self) {
        let mut scrap = [0; 4096];
        while matches!(self.read(&mut scrap).await, Ok(1..)) {}
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(socket) => pin!(socket).poll_read(context, buffer),
            Stream::Tls(stream) => pin!(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let allowed = match &mut self.throttle {
            Some(throttle) => ready!(throttle.poll_allowance(context)).min(bytes.len()),
            None => bytes.len(),
        };
        let written = ready!(self.stream.poll_write(context, &bytes[..allowed]))?;
        if let Some(throttle) = &mut self.throttle {
            throttle.spend(written);
        }
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wire = self.get_mut();
        match (&mut wire.stream, &wire.throttle) {
            (Stream::Plain(socket), None) => pin!(socket).poll_write_vectored(context, slices),
            _ => {
                let first = slices.iter().find(|slice| !slice.is_empty()).map_or(&[][..], |slice| slice);
                pin!(wire).poll_write(context, first)
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        matches!((&self.stream, &self.throttle), (Stream::Plain(_), None))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(socket) => pin!(socket).poll_flush(context),
            Stream::Tls(stream) => pin!(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(socket) => pin!(socket).poll_shutdown(context),
            Stream::Tls(stream) => pin!(stream).poll_shutdown(context),
        }
    }
}

impl Stream {
    fn poll_write(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(socket) => pin!(socket).poll_write(context, bytes),
            Self::Tls(stream) => pin!(stream).poll_write(context, bytes),
        }
    }
}

/// A token bucket. It holds at most the bytes that the rate allows in [`BURST`].
#[derive(Debug)]
struct Throttle {
    bytes_per_second: u64,
    allowance: u64,
    filled: Instant,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Throttle {
    fn new(bytes_per_second: u64) -> Self {
        Self { bytes_per_second, allowance: 0, filled: Instant::now(), sleep: None }
    }

    fn poll_allowance(&mut self, context: &mut Context<'_>) -> Poll<usize> {
        loop {
            if let Some(sleep) = &mut self.sleep {
                ready!(sleep.as_mut().poll(context));
                self.sleep = None;
            }
            self.fill();
            if self.allowance > 0 {
                return Poll::Ready(usize::try_from(self.allowance).unwrap_or(usize::MAX));
            }
            self.sleep = Some(Box::pin(tokio::time::sleep(BURST)));
        }
    }

    fn fill(&mut self) {
        let elapsed = self.filled.elapsed().min(BURST);
        let earned = u128::from(self.bytes_per_second) * elapsed.as_micros() / 1_000_000;
        if earned > 0 {
            self.filled = Instant::now();
            let most = u128::from(self.bytes_per_second) * BURST.as_micros() / 1_000_000;
            let allowance = (u128::from(self.allowance) + earned).min(most.max(1));
            self.allowance = u64::try_from(allowance).unwrap_or(u64::MAX);
        }
    }

    fn spend(&mut self, bytes: usize) {
        self.allowance = self.allowance.saturating_sub(bytes as u64);
    }
}

/// The time whose bytes a limited connection may send at once: long enough for timers to keep the rate, short enough
/// for an even stream.
const BURST: Duration = Duration::from_millis(20);
