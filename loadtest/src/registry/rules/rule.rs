//! A rule selects requests and gives their fault. Its methods chain, so that a rule is one expression in a test.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};

use super::{
    gate::Gate,
    script::{At, Break, Edit, Framing, Pace, Script, Start},
};
use crate::registry::message::{Answer, Kind, Request};

/// A matcher and a fault. The first half of the methods narrows the set of requests, the second half sets their fault.
/// The newest matching rule applies; a rule that has reached its number of uses no longer matches.
#[derive(Debug, Clone, Default)]
#[must_use = "give the rule to Registry::fault"]
pub struct Rule {
    pub(crate) matcher: Matcher,
    pub(crate) script: Script,
}

/// The condition on requests to which a rule applies. Unset fields match every request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Matcher {
    kind: Option<Kind>,
    method: Option<Method>,
    repository: Option<String>,
    reference: Option<String>,
    with_header: Option<HeaderName>,
    without_header: Option<HeaderName>,
    pub(crate) skip: usize,
    pub(crate) times: Option<usize>,
}

/// Selection of requests.
impl Rule {
    /// Every request.
    pub fn any() -> Self {
        Self::default()
    }

    /// Requests of this kind.
    pub fn on(kind: Kind) -> Self {
        Self { matcher: Matcher { kind: Some(kind), ..Matcher::default() }, script: Script::default() }
    }

    /// `GET /v2/`.
    pub fn ping() -> Self {
        Self::on(Kind::Ping)
    }

    /// Requests to the token endpoint.
    pub fn token() -> Self {
        Self::on(Kind::Token)
    }

    /// Manifests, by tag or digest.
    pub fn manifest() -> Self {
        Self::on(Kind::Manifest)
    }

    /// Blobs, at the registry itself.
    pub fn blob() -> Self {
        Self::on(Kind::Blob)
    }

    /// Blobs, at the second host.
    pub fn cdn() -> Self {
        Self::on(Kind::Cdn)
    }

    /// Tag lists.
    pub fn tags() -> Self {
        Self::on(Kind::Tags)
    }

    /// Referrers lists.
    pub fn referrers() -> Self {
        Self::on(Kind::Referrers)
    }

    /// Only this method.
    pub fn method(mut self, method: Method) -> Self {
        self.matcher.method = Some(method);
        self
    }

    /// Only GET.
    pub fn get(self) -> Self {
        self.method(Method::GET)
    }

    /// Only HEAD.
    pub fn head(self) -> Self {
        self.method(Method::HEAD)
    }

    /// Only this repository.
    pub fn repository(mut self, repository: &str) -> Self {
        self.matcher.repository = Some(repository.to_owned());
        self
    }

    /// Only this tag or digest.
    pub fn reference(mut self, reference: &str) -> Self {
        self.matcher.reference = Some(reference.to_owned());
        self
    }

    /// Only requests with this header, for example `range`. Panics if it is not a header name.
    pub fn with_header(mut self, name: &str) -> Self {
        self.matcher.with_header = Some(header_name(name));
        self
    }

    /// Only requests without this header. Panics if it is not a header name.
    pub fn without_header(mut self, name: &str) -> Self {
        self.matcher.without_header = Some(header_name(name));
        self
    }

    /// Does not apply to the first `count` matching requests.
    pub fn after(mut self, count: usize) -> Self {
        self.matcher.skip = count;
        self
    }

    /// Only `count` requests, then never again.
    pub fn times(mut self, count: usize) -> Self {
        self.matcher.times = Some(count);
        self
    }

    /// Only one request.
    pub fn once(self) -> Self {
        self.times(1)
    }
}

/// Faults before the answer.
impl Rule {
    /// Delays the start of the answer.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.script.delay = Some(delay);
        self
    }

    /// Starts the answer when the gate is opened.
    pub fn hold(mut self, gate: &Gate) -> Self {
        self.script.hold = Some(gate.clone());
        self
    }

    /// Reads the request and never answers; the connection stays open until the client leaves.
    pub fn never_answer(self) -> Self {
        self.start(Start::Never)
    }

    /// Closes the connection (FIN) without sending a byte.
    pub fn close(self) -> Self {
        self.start(Start::Close)
    }

    /// Resets the connection (RST) without sending a byte.
    pub fn reset(self) -> Self {
        self.start(Start::Reset)
    }

    /// Sends these bytes instead of an HTTP answer, and closes the connection.
    pub fn garbage(self, bytes: impl Into<Bytes>) -> Self {
        self.start(Start::Garbage(bytes.into()))
    }
}

/// The content of the answer.
impl Rule {
    /// Sends this answer to every matching request.
    pub fn answer(self, answer: Answer) -> Self {
        self.answer_with(move |_| answer.clone())
    }

    /// Sends the answer that the function makes from the request.
    pub fn answer_with(mut self, answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        self.script.replace = Some(Arc::new(answer));
        self
    }

    /// Answers this status without a body. Panics if it is not a status.
    pub fn status(self, status: u16) -> Self {
        self.answer(Answer::status(status))
    }

    /// Changes the status and keeps the rest. Panics if it is not a status.
    pub fn claim_status(self, status: u16) -> Self {
        let status = StatusCode::from_u16(status).expect("a status has three digits");
        self.edit(Edit::Status(status))
    }

    /// Sets a header of the answer. Panics if name or value is not allowed in HTTP.
    pub fn header(self, name: &str, value: &str) -> Self {
        let value = HeaderValue::from_str(value).expect("a header value");
        self.edit(Edit::Header(header_name(name), value))
    }

    /// Omits a header. Panics if it is not a header name.
    pub fn no_header(self, name: &str) -> Self {
        self.edit(Edit::NoHeader(header_name(name)))
    }

    /// Sends this digest in `Docker-Content-Digest`.
    pub fn claim_digest(self, digest: &str) -> Self {
        self.header("docker-content-digest", digest)
    }

    /// Omits `Docker-Content-Digest`.
    pub fn no_digest(self) -> Self {
        self.no_header("docker-content-digest")
    }

    /// Sends this `Content-Type`.
    pub fn content_type(self, content_type: &str) -> Self {
        self.header(header::CONTENT_TYPE.as_str(), content_type)
    }

    /// Answers a range request with 200 and the whole body.
    pub fn ignore_range(mut self) -> Self {
        self.script.ignore_range = true;
        self
    }

    /// Sends this `Content-Range`.
    pub fn claim_range(self, content_range: &str) -> Self {
        self.header(header::CONTENT_RANGE.as_str(), content_range)
    }

    /// Flips one bit of one byte.
    pub fn flip(self, at: At) -> Self {
        self.edit(Edit::Flip(at))
    }

    /// Omits the last bytes, and sends the shorter `Content-Length`; `usize::MAX` gives an empty body.
    pub fn shorten(self, bytes: usize) -> Self {
        self.edit(Edit::Shorten(bytes))
    }

    /// Appends bytes, and sends the longer `Content-Length`.
    pub fn lengthen(self, bytes: usize) -> Self {
        self.edit(Edit::Lengthen(bytes))
    }

    /// Encodes the body with gzip, even if the client did not request it.
    pub fn gzip(self) -> Self {
        self.edit(Edit::Gzip)
    }
}

/// The delivery of the answer.
impl Rule {
    /// Sends this `Content-Length` and the unchanged body. The extra bytes of a longer body follow on the connection; after
    /// a shorter body the connection is closed.
    pub fn claim_length(mut self, bytes: u64) -> Self {
        self.script.delivery.framing = Framing::Claim(bytes);
        self
    }

    /// Sends the body chunked, without `Content-Length`.
    pub fn chunked(mut self) -> Self {
        self.script.delivery.framing = Framing::Chunked;
        self
    }

    /// Sends no length; the end of the connection ends the body.
    pub fn until_close(mut self) -> Self {
        self.script.delivery.framing = Framing::UntilClose;
        self
    }

    /// Closes the connection (clean FIN) at this place; `Content-Length` stays the full length.
    pub fn end_at(self, at: At) -> Self {
        self.break_at(at, Break::Fin)
    }

    /// Resets the connection (RST) at this place. The bytes before it have reached the client's socket, but a reset can
    /// discard the bytes that the client has not read yet.
    pub fn reset_at(self, at: At) -> Self {
        self.break_at(at, Break::Reset)
    }

    /// Stops sending at this place until the gate is opened.
    pub fn stall_at(self, at: At, gate: &Gate) -> Self {
        self.break_at(at, Break::Hold(gate.clone()))
    }

    /// Stops sending at this place for ever.
    pub fn stall_forever_at(self, at: At) -> Self {
        self.break_at(at, Break::Hold(Gate::new()))
    }

    /// Sends `bytes` bytes, pauses for `every`, and repeats this.
    pub fn drip(mut self, bytes: usize, every: Duration) -> Self {
        self.script.delivery.pace = Some(Pace { bytes: bytes.max(1), every });
        self
    }

    /// Sends at most this many bytes per second.
    pub fn rate(self, bytes_per_second: u64) -> Self {
        let paces = bytes_per_second.clamp(1, PACES_PER_SECOND);
        let bytes = usize::try_from(bytes_per_second / paces).unwrap_or(usize::MAX);
        self.drip(bytes, Duration::from_micros(1_000_000 / paces))
    }

    fn start(mut self, start: Start) -> Self {
        self.script.delivery.start = start;
        self
    }

    fn edit(mut self, edit: Edit) -> Self {
        self.script.edits.push(edit);
        self
    }

    fn break_at(mut self, at: At, kind: Break) -> Self {
        self.script.delivery.breaks.push((at, kind));
        self
    }
}

impl Matcher {
    pub(crate) fn matches(&self, request: &Request) -> bool {
        fits(&self.kind, |kind| request.kind == *kind)
            && fits(&self.method, |method| request.method == *method)
            && fits(&self.repository, |name| request.repository.as_ref() == Some(name))
            && fits(&self.reference, |reference| request.reference.as_ref() == Some(reference))
            && fits(&self.with_header, |name| request.headers.contains_key(name))
            && fits(&self.without_header, |name| !request.headers.contains_key(name))
    }
}

fn fits<T>(wanted: &Option<T>, test: impl FnOnce(&T) -> bool) -> bool {
    wanted.as_ref().is_none_or(test)
}

fn header_name(name: &str) -> HeaderName {
    name.parse().expect("a header name")
}

/// The number of pieces a second in which a body with a limited rate is sent: enough for an even stream.
const PACES_PER_SECOND: u64 = 50;
