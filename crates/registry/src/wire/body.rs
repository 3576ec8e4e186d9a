//! A response body that enforces the announced length, the progress timeout and the minimum rate.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use oci::class::{Class, Stage};
use oci::name::RegistryHost;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};

use crate::client::account::Account;
use crate::error::{Error, Evidence, Reason};
use crate::observe::Observer;
use crate::timings::Timings;
use crate::upstream::Limits;
use crate::wire::transport::io_cause;

/// The body of an upstream's answer. It ends after the first error, which has a class and the stage of the request.
///
/// Only the time that it waits for the upstream counts against the limits, so a slow reader causes no error.
pub struct UpstreamBody {
    incoming: Option<Incoming>,
    promise: Promise,
    received: u64,
    begun: Instant,
    /// The progress timeout; set while the body waits for the upstream.
    silence: Option<Pin<Box<Sleep>>>,
    window: Window,
}

/// The limits of a body, and the parties that are notified of its bytes and its end.
pub(crate) struct Promise {
    /// The announced length, in bytes.
    pub(crate) length: Option<u64>,
    pub(crate) limits: Limits,
    pub(crate) registry: RegistryHost,
    pub(crate) observer: Arc<dyn Observer>,
    /// The observation of the request, which is reported when this body ends.
    pub(crate) account: Option<Account>,
    /// The permit for a blob connection, released after the last byte.
    pub(crate) slot: Option<OwnedSemaphorePermit>,
    /// The host and address that failures name.
    pub(crate) evidence: Evidence,
    /// The stage of failures.
    pub(crate) stage: Stage,
}

/// Bytes received over the time waited. The rate is checked each time that [`Limits::rate_window`] has been waited.
#[derive(Default)]
struct Window {
    bytes: u64,
    waited: Duration,
    waiting_since: Option<Instant>,
}

impl UpstreamBody {
    pub(crate) fn new(incoming: Incoming, promise: Promise) -> Self {
        Self {
            incoming: Some(incoming),
            promise,
            received: 0,
            begun: Instant::now(),
            silence: None,
            window: Window::default(),
        }
    }

    /// The next bytes; `None` at the end. Cancel safe.
    pub async fn next(&mut self) -> Option<Result<Bytes, Error>> {
        loop {
            let frame = std::future::poll_fn(|cx| Pin::new(&mut *self).poll_frame(cx)).await?;
            match frame.map(Frame::into_data) {
                Ok(Ok(bytes)) => return Some(Ok(bytes)),
                Ok(Err(_trailers)) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// The number of bytes received so far.
    pub fn received(&self) -> u64 {
        self.received
    }

    fn waiting(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        let limit = self.promise.limits.progress;
        self.window.waiting_since.get_or_insert_with(Instant::now);
        let silence = self.silence.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        ready!(silence.as_mut().poll(cx));
        let message = format!("no byte for {} s", limit.as_secs());
        Poll::Ready(self.failure(Class::Stalled, Some(Reason::NoProgress), &message))
    }

    fn take(&mut self, bytes: &Bytes) -> Result<(), Error> {
        let length = bytes.len() as u64;
        self.received += length;
        self.promise.observer.received(&self.promise.registry, length);
        if let Some(account) = &self.promise.account {
            account.received(length);
        }
        if let Some(announced) = self.promise.length.filter(|announced| self.received > *announced) {
            let message = format!("more than the {announced} bytes announced");
            return Err(self.failure(Class::Corrupt, Some(Reason::LongBody), &message));
        }
        self.silence = None;
        if self.window.is_too_slow(length, &self.promise.limits) {
            let message = format!("less than {} bytes a second", self.promise.limits.minimum_rate);
            return Err(self.failure(Class::Stalled, Some(Reason::SlowDrip), &message));
        }
        Ok(())
    }

    fn end(&self) -> Result<(), Error> {
        match self.promise.length {
            Some(announced) if self.received < announced => Err(self.short(announced)),
            _ => Ok(()),
        }
    }

    fn short(&self, announced: u64) -> Error {
        let message = format!("{} of {announced} bytes", self.received);
        self.failure(Class::Truncated, Some(Reason::ShortBody), &message)
    }

    fn broken(&self, error: &hyper::Error) -> Error {
        let io_error = io_cause(error);
        let message = io_error.map_or_else(|| error.to_string(), ToString::to_string);
        match io_error.map(io::Error::kind) {
            Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => {
                self.failure(Class::ConnectReset, None, &message)
            }
            Some(io::ErrorKind::TimedOut) => self.failure(Class::Stalled, Some(Reason::NoProgress), &message),
            _ if error.is_parse() => self.failure(Class::ProtocolGarbage, Some(Reason::NotHttp), &message),
            _ => match self.promise.length {
                Some(announced) => self.short(announced),
                None => self.failure(Class::Truncated, Some(Reason::ShortBody), &message),
            },
        }
    }

    fn close(&mut self, failure: Option<&Error>) {
        self.promise.slot = None;
        if let Some(account) = &mut self.promise.account {
            account.timings.add(self.promise.stage, self.begun.elapsed());
            account.body_ended();
            account.report(failure.map(|error| error.class));
        }
    }

    fn failure(&self, class: Class, reason: Option<Reason>, message: &str) -> Error {
        let mut evidence = self.promise.evidence.clone().saying(message);
        evidence.reason = reason;
        let mut timings = Timings::default();
        timings.add(self.promise.stage, self.begun.elapsed());
        Error::new(class, self.promise.stage, evidence).with_timings(timings)
    }
}

impl http_body::Body for UpstreamBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        let Some(incoming) = this.incoming.as_mut() else { return Poll::Ready(None) };
        let outcome = match Pin::new(incoming).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => match frame.data_ref() {
                Some(bytes) => this.take(bytes).map(|()| Some(frame)),
                None => Ok(Some(frame)),
            },
            Poll::Ready(Some(Err(error))) => Err(this.broken(&error)),
            Poll::Ready(None) => this.end().map(|()| None),
            Poll::Pending => Err(ready!(this.waiting(cx))),
        };
        if !matches!(outcome, Ok(Some(_))) {
            this.incoming = None;
            this.close(outcome.as_ref().err());
        }
        Poll::Ready(outcome.transpose())
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match self.promise.length {
            Some(announced) => SizeHint::with_exact(announced.saturating_sub(self.received)),
            None => SizeHint::default(),
        }
    }
}

impl fmt::Debug for UpstreamBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamBody")
            .field("from", &self.promise.evidence.host)
            .field("length", &self.promise.length)
            .field("received", &self.received)
            .finish_non_exhaustive()
    }
}

impl Window {
    fn is_too_slow(&mut self, bytes: u64, limits: &Limits) -> bool {
        self.bytes += bytes;
        if let Some(since) = self.waiting_since.take() {
            self.waited += since.elapsed();
        }
        if self.waited < limits.rate_window {
            return false;
        }
        let least = self.waited.as_secs_f64() * limits.minimum_rate as f64;
        let slow = (self.bytes as f64) < least;
        *self = Self::default();
        slow
    }
}
