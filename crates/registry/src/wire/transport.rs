//! Sends one HTTP/1.1 request over a pooled or a new connection, with stage times and classified failures.

use std::error::Error as _;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use oci::class::{Class, Stage};
use oci::mark;
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::error::{Error, Evidence, Reason};
use crate::observe::AnswerHead;
use crate::timings::{Peer, Timings};
use crate::wire::authorities::Authorities;
use crate::wire::dial::Dialer;
use crate::wire::pool::{Key, Live, Pool};
use crate::wire::target::Target;
use crate::wire::tls::TlsFailure;

/// Sends requests for one upstream.
pub(crate) struct Transport {
    dialer: Dialer,
    /// The authorities of each endpoint.
    authorities: Vec<Authorities>,
}

/// One HTTP request. It holds secrets, so it has no `Debug`.
pub(crate) struct HttpRequest {
    /// The endpoint whose authorities are trusted, as an index into the upstream's endpoints.
    pub(crate) endpoint: usize,
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The stage of a failure to answer.
    pub(crate) stage: Stage,
    pub(crate) deadline: Instant,
}

/// The head of an answer; its body is still on the wire.
pub(crate) struct Reply {
    pub(crate) response: Response<Incoming>,
    pub(crate) target: Target,
    pub(crate) peer: Option<Peer>,
    /// The time from sending the request to the head of the answer.
    pub(crate) waited: Duration,
}

impl Transport {
    pub(crate) fn new(dialer: Dialer, authorities: Vec<Authorities>) -> Self {
        Self { dialer, authorities }
    }

    /// Sends the request over a connection of `pool`, or a new one. If a pooled connection dies before its answer
    /// begins and the method is idempotent, the request is sent once more over a new connection. There is no other
    /// retry.
    ///
    /// `timings` gets the stages of a new connection. The wait for the answer is in [`Reply::waited`].
    pub(crate) async fn send(
        &self,
        outgoing: &HttpRequest,
        pool: &Arc<Pool>,
        timings: &mut Timings,
    ) -> Result<Reply, Error> {
        let reply = self.exchange(outgoing, pool, timings).await?;
        self.report(outgoing.stage, &reply);
        Ok(reply)
    }

    async fn exchange(
        &self,
        outgoing: &HttpRequest,
        pool: &Arc<Pool>,
        timings: &mut Timings,
    ) -> Result<Reply, Error> {
        let Some(target) = Target::of(&outgoing.url) else {
            let evidence =
                Evidence::host(outgoing.url.authority()).saying("the URL is neither http nor https");
            return Err(Error::new(Class::ProtocolGarbage, outgoing.stage, evidence));
        };
        let key = (outgoing.endpoint, target);
        if let Some(live) = pool.take(&key) {
            match exchange(outgoing, &key, live, pool, timings).await {
                Err(error) if outgoing.method.is_idempotent() && died_in_the_pool(&error) => {}
                ended => return ended,
            }
        }
        let authorities = &self.authorities[outgoing.endpoint];
        let dialled = self.dialer.dial(&key.1, authorities, outgoing.deadline, timings).await?;
        let handshake = http1::Builder::new()
            .max_headers(HEADERS_MAX)
            .max_header_size(HEAD_MAX)
            .handshake(TokioIo::new(dialled.stream))
            .await;
        let (sender, connection) =
            handshake.map_err(|error| request_failure(&error, outgoing.stage, &key.1, dialled.peer))?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                // A request that waits on the connection gets the error too. The error of an idle connection does not
                // matter.
                tracing::trace!(%error, "upstream connection ended");
            }
        });
        let live = Live { sender, peer: dialled.peer, relay: dialled.relay };
        exchange(outgoing, &key, live, pool, timings).await
    }

    fn report(&self, stage: Stage, reply: &Reply) {
        let text = |name: &str| reply.response.headers().get(name).and_then(|value| value.to_str().ok());
        let class = text(mark::CLASS).and_then(|class| class.parse().ok());
        let failed_stage = text(mark::STAGE).and_then(|stage| stage.parse().ok());
        self.dialer.answered(&AnswerHead {
            host: &reply.target.authority(),
            peer: reply.peer,
            stage,
            status: reply.response.status(),
            date: text(header::DATE.as_str()).and_then(|date| httpdate::parse_http_date(date).ok()),
            outcome: text(mark::OUTCOME),
            failure: class.map(|class| (class, failed_stage)),
        });
    }
}

async fn exchange(
    outgoing: &HttpRequest,
    key: &Key,
    mut live: Live,
    pool: &Arc<Pool>,
    timings: &mut Timings,
) -> Result<Reply, Error> {
    let target = &key.1;
    let request = request(outgoing, target, &live);
    let begun = Instant::now();
    let answer = timeout_at(outgoing.deadline, live.sender.send_request(request)).await;
    let waited = begun.elapsed();
    let peer = live.peer;
    let response = match answer {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => {
            timings.add(outgoing.stage, waited);
            return Err(request_failure(&error, outgoing.stage, target, peer));
        }
        Err(_) => {
            timings.add(outgoing.stage, waited);
            let evidence = Evidence { address: peer, ..Evidence::host(target.authority()) };
            let evidence = evidence.because(Reason::HeaderTimeout).saying("no answer within the deadline");
            return Err(Error::new(Class::Stalled, outgoing.stage, evidence));
        }
    };
    pool.give_back(key.clone(), live);
    Ok(Reply { response, target: target.clone(), peer, waited })
}

/// The request in origin form, or in absolute form to a plain forward proxy.
fn request(outgoing: &HttpRequest, target: &Target, live: &Live) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(outgoing.body.clone()));
    *request.method_mut() = outgoing.method.clone();
    *request.headers_mut() = outgoing.headers.clone();
    let (uri, host) = match &live.relay {
        Some(relay) => {
            if let Some(value) = &relay.authorization {
                request.headers_mut().insert(header::PROXY_AUTHORIZATION, value.clone());
            }
            (outgoing.url.as_str().split('#').next().unwrap_or_default(), target.authority())
        }
        None => (&outgoing.url[url::Position::BeforePath..url::Position::AfterQuery], target.authority()),
    };
    // A URL is a valid request target, and its authority a valid header value. If not, the peer refuses the request.
    *request.uri_mut() = uri.parse().unwrap_or_default();
    if let Ok(host) = HeaderValue::from_str(&host) {
        request.headers_mut().insert(header::HOST, host);
    }
    request
}

/// Classifies an error between sending a request and the end of the head of its answer.
fn request_failure(error: &hyper::Error, stage: Stage, target: &Target, peer: Option<Peer>) -> Error {
    let evidence = Evidence { address: peer, ..Evidence::host(target.authority()) };
    let io_error = io_cause(error);
    if let Some(tls) = io_error.filter(|it| it.get_ref().is_some_and(|inner| inner.is::<rustls::Error>())) {
        let failure = TlsFailure::of(tls);
        let mut evidence = evidence.saying(&failure.message);
        evidence.reason = failure.reason;
        return Error::new(failure.class, Stage::Tls, evidence);
    }
    let (class, reason) = match io_error.map(io::Error::kind) {
        Some(io::ErrorKind::TimedOut) => (Class::Stalled, Some(Reason::NoProgress)),
        Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => (Class::ConnectReset, None),
        _ if error.is_parse_too_large() => (Class::ProtocolGarbage, Some(Reason::TooLarge)),
        _ if error.is_parse() => (Class::ProtocolGarbage, Some(Reason::NotHttp)),
        _ => (Class::ConnectReset, Some(Reason::ClosedBeforeAnswer)),
    };
    let message = io_error.map_or_else(|| error.to_string(), ToString::to_string);
    Error::new(class, stage, Evidence { reason, ..evidence }.saying(&message))
}

/// The I/O error that caused a hyper error.
pub(crate) fn io_cause(error: &hyper::Error) -> Option<&io::Error> {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(io) = inner.downcast_ref() {
            return Some(io);
        }
        cause = inner.source();
    }
    None
}

fn died_in_the_pool(error: &Error) -> bool {
    error.class == Class::ConnectReset
}

/// Most header lines of an answer.
const HEADERS_MAX: usize = 100;
/// Largest head of an answer, in bytes.
const HEAD_MAX: usize = 64 * 1024;
