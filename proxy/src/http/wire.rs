//! The connection below hyper. It limits the time for a request head and the time for which a client takes no bytes. It
//! also yields to other connections.
//!
//! hyper's own header timeout also runs while a connection is idle, so it serves as the idle limit. The time for one
//! head is limited here, from its first byte on. hyper writes until the socket is full, so a fast reader of a large
//! blob would starve small requests on its worker. A connection therefore yields after [`TURN`] bytes.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// The number of request heads of a connection that were read to their end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heads(Arc<AtomicU64>);

impl Heads {
    /// Notes that one more head was read.
    pub(crate) fn completed(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A connection with these limits.
#[derive(Debug)]
pub(crate) struct Wire<T> {
    inner: T,
    heads: Heads,
    pending_head: Option<PendingHead>,
    written: usize,
    stall: Stall,
}

/// The time for which a client has taken no bytes.
#[derive(Debug, Default)]
struct Stall {
    since: Option<Instant>,
    /// The timer. It is kept over many stalls, so that the short stalls between two windows cost no timer.
    timer: Option<Pin<Box<Sleep>>>,
}

#[derive(Debug)]
struct PendingHead {
    heads_before: u64,
    until: Instant,
    /// The timer. It is made only when the server must wait for the rest of a head, because most heads come whole.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<T> Wire<T> {
    pub(crate) fn new(inner: T, heads: Heads) -> Self {
        Self { inner, heads, pending_head: None, written: 0, stall: Stall::default() }
    }

    /// The connection without the limits.
    pub(crate) fn into_inner(self) -> T {
        self.inner
    }

    /// Notes that bytes arrived. If no head is pending, they begin one.
    fn arrived(&mut self) {
        let heads_before = self.heads.count();
        if self.pending_head.as_ref().is_none_or(|pending| pending.heads_before != heads_before) {
            let until = Instant::now() + HEAD_MAX;
            self.pending_head = Some(PendingHead { heads_before, until, deadline: None });
        }
    }

    fn poll_overdue(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.pending_head {
            Some(pending) if pending.heads_before == self.heads.count() => {
                let until = pending.until;
                pending.deadline.get_or_insert_with(|| Box::pin(sleep_until(until))).as_mut().poll(cx)
            }
            _ => {
                self.pending_head = None;
                Poll::Pending
            }
        }
    }

    /// Ready while the connection has written less than [`TURN`] bytes in this turn. At the end of the turn the task
    /// yields once.
    fn poll_turn(&mut self, cx: &Context<'_>) -> Poll<()> {
        if self.written < TURN {
            return Poll::Ready(());
        }
        self.written = 0;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Wire<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.inner).poll_read(cx, buffer) {
            Poll::Ready(result) => {
                if buffer.filled().len() > before {
                    self.arrived();
                }
                Poll::Ready(result)
            }
            Poll::Pending => {
                ready!(self.poll_overdue(cx));
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "request head took too long")))
            }
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Wire<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_turn(cx));
        let result = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.count(&result);
        self.stall.poll(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_turn(cx));
        let result = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.count(&result);
        self.stall.poll(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.inner).poll_flush(cx);
        self.stall.poll(cx, result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl<T> Wire<T> {
    /// Counts the bytes written in this turn. A full socket or an error ends the turn as well, because other tasks run
    /// meanwhile.
    fn count(&mut self, result: &Poll<io::Result<usize>>) {
        match result {
            Poll::Ready(Ok(written)) => self.written += written,
            Poll::Ready(Err(_)) | Poll::Pending => self.written = 0,
        }
    }
}

impl Stall {
    /// Passes the result of a write on, or returns an error if the client took no bytes for [`STALL_MAX`].
    fn poll<R>(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if result.is_ready() {
            self.since = None;
            return result;
        }
        let until = *self.since.get_or_insert_with(Instant::now) + STALL_MAX;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(until)));
        while timer.as_mut().poll(cx).is_ready() {
            if timer.deadline() >= until {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing")));
            }
            timer.as_mut().reset(until);
        }
        result
    }
}

/// The longest time for which a client may take no bytes. Pauses of minutes are normal while a node's disk is busy.
const STALL_MAX: Duration = Duration::from_secs(300);
/// The longest time from the first byte of a request head to its last.
const HEAD_MAX: Duration = Duration::from_secs(10);
/// The number of bytes that a connection writes before it yields to other connections.
const TURN: usize = 256 * 1024;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_head_that_dribbles_is_cut_and_an_idle_connection_is_not() {
        let (mut client, server) = duplex(64);
        let heads = Heads::default();
        let mut wire = Wire::new(server, heads.clone());
        let mut buffer = [0; 8];

        client.write_all(b"GET ").await.unwrap();
        assert_eq!(wire.read(&mut buffer).await.unwrap(), 4);
        heads.completed();
        let idle = tokio::time::timeout(HEAD_MAX * 3, wire.read(&mut buffer)).await;
        assert!(idle.is_err(), "idle after a complete head is no dribble");

        client.write_all(b"G").await.unwrap();
        assert_eq!(wire.read(&mut buffer).await.unwrap(), 1);
        let began = Instant::now();
        let cut = wire.read(&mut buffer).await.unwrap_err();
        assert_eq!((cut.kind(), began.elapsed()), (io::ErrorKind::TimedOut, HEAD_MAX));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_cut_and_a_slow_one_is_not() {
        let (mut client, server) = duplex(64);
        let mut wire = Wire::new(server, Heads::default());
        let body = [0; 64 * 4];
        let began = Instant::now();
        let reads = async {
            let mut taken = [0; 64];
            for _ in 0..3 {
                tokio::time::sleep(STALL_MAX - Duration::from_secs(1)).await;
                client.read_exact(&mut taken).await.unwrap();
            }
            client
        };
        let (written, _client) = tokio::join!(wire.write_all(&body), reads);
        written.unwrap();
        assert!(began.elapsed() > STALL_MAX * 2);

        let began = Instant::now();
        let cut = wire.write_all(b"x").await.unwrap_err();
        assert_eq!((cut.kind(), began.elapsed()), (io::ErrorKind::TimedOut, STALL_MAX));
    }

    #[tokio::test]
    async fn a_long_write_yields_after_its_turn() {
        let mut wire = Wire::new(tokio::io::sink(), Heads::default());
        wire.write_all(&vec![0; TURN]).await.unwrap();
        let mut next = tokio_test_poll(&mut wire);
        assert!(next.is_pending());
        next = tokio_test_poll(&mut wire);
        assert!(matches!(next, Poll::Ready(Ok(1))));
    }

    fn tokio_test_poll(wire: &mut Wire<tokio::io::Sink>) -> Poll<io::Result<usize>> {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        Pin::new(wire).poll_write(&mut cx, b"x")
    }
}
