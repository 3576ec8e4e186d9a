//! Decides whether an answer is a failure, with its class, or a success, with its body.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use http::response::Parts;
use http::{HeaderMap, Method, StatusCode};
use hyper::body::Incoming;
use oci::class::Class;
use oci::mark;
use tokio::time::{Instant, timeout_at};

use crate::auth::authorize::Authorization;
use crate::auth::credential::scrubbed;
use crate::classify::{self, Context};
use crate::client::account::Account;
use crate::client::walk::{Given, Landed, Walk};
use crate::error::{Error, Evidence, Reason};
use crate::observe::RequestKind;
use crate::quota::headers::Quota;
use crate::timings::Peer;
use crate::wire::body::{Promise, UpstreamBody};
use crate::wire::read::{content_length, is_encoded, prefix};

/// The body of an answer: already read, or not read yet.
enum Held {
    Read(Bytes),
    Wire(Incoming),
}

impl Walk<'_> {
    /// Decides whether an answer is a failure or a success. Reads the body if `request.read` is set, or if the body
    /// explains a failure.
    pub(crate) async fn verdict(
        &self,
        landed: Landed,
        authorization: Option<&Authorization>,
        account: &mut Account,
    ) -> Result<Given, Error> {
        let Landed { reply, redirected, signatures } = landed;
        let evidence = self.evidence(&reply);
        let (parts, incoming) = reply.response.into_parts();
        account.redirected = redirected;
        // Quota headers of a host that a redirect led to are not the registry's.
        account.quota = Quota::from_headers(&parts.headers).filter(|_| !redirected);
        let begun = Instant::now();
        let body = self.hold(&parts, incoming, &evidence).await;
        if self.request.read.is_some() {
            account.timings.add(self.request.stage, begun.elapsed());
        }
        let mut body = body?;
        account.received(body.bytes().len() as u64);
        let mut secrets = authorization.map(Authorization::secrets).unwrap_or_default();
        secrets.extend(signatures);
        if !parts.status.is_success() {
            body = Held::Read(scrubbed(body.into_bytes(), &secrets));
        }
        let context = Context {
            stage: self.request.stage,
            asked: self.request.asked,
            host: &evidence.host,
            address: reply.peer,
            identified: authorization.is_some() && (self.credentials().is_some() || self.caller().is_some()),
            redirected,
            now: SystemTime::now(),
        };
        match self.refusal(&parts, &context, &evidence, body.bytes()) {
            Some(error) => {
                self.refused(&error, authorization);
                if redirected && parts.status == StatusCode::TOO_MANY_REQUESTS {
                    let hosts = &self.inner.outbound.breakers.hosts;
                    hosts.pause(&error.evidence.host, error.evidence.retry_after, Instant::now());
                }
                Err(error.without(&secrets))
            }
            None => Ok(self.given(parts, evidence, reply.peer, body)),
        }
    }

    /// Notifies the credential source that its password was rejected. A source that caches the output of a program then
    /// runs the program again.
    fn refused(&self, error: &Error, authorization: Option<&Authorization>) {
        if error.class == Class::AuthRejected
            && let Some(Authorization::Basic(..)) = authorization
            && let Some(source) = self.credentials()
        {
            source.refused(self.request.repository);
        }
    }

    async fn hold(&self, parts: &Parts, incoming: Incoming, evidence: &Evidence) -> Result<Held, Error> {
        match self.request.read {
            _ if !parts.status.is_success() => Ok(Held::Read(prefix(incoming, self.deadline).await)),
            Some(limit) => self.read(incoming, &parts.headers, limit, evidence).await.map(Held::Read),
            None => Ok(Held::Wire(incoming)),
        }
    }

    fn refusal(
        &self,
        parts: &Parts,
        context: &Context<'_>,
        evidence: &Evidence,
        body: &[u8],
    ) -> Option<Error> {
        let failed = |class, evidence| Some(Error::new(class, self.request.stage, evidence));
        if parts.headers.get(mark::CLASS).is_some_and(|class| class == Class::Loop.as_str()) {
            let message = format!(
                "{} leads back to a mirror that the request had passed, or through too many: correct `endpoints` of the upstream {}",
                evidence.host, self.inner.upstream.registry
            );
            return failed(Class::Loop, evidence.clone().saying(&message));
        }
        if parts.status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
            let message = "the forward proxy requires other credentials";
            return failed(Class::HttpProxy, evidence.clone().saying(message));
        }
        let is_ping = self.request.kind == RequestKind::Ping;
        if is_ping && parts.status == StatusCode::UNAUTHORIZED && self.challenge(&parts.headers).is_some() {
            return None;
        }
        if self.request.kind == RequestKind::Referrers && classify::lacks_referrers(context, parts, body) {
            return None;
        }
        let mut error = classify::answer(context, parts.status, &parts.headers, body);
        if let Some(error) = &mut error
            && error.class == Class::Registry5xx
            && parts.headers.contains_key(mark::CLASS)
        {
            error.evidence.reason = Some(Reason::MirrorFailed);
        }
        // For content, which a digest checks, the header is ignored: some registries set it for gzip layers.
        if error.is_none() && !self.request.asked.is_content() && is_encoded(&parts.headers) {
            let message = "a Content-Encoding that was not asked for";
            let evidence = evidence.clone().because(Reason::Encoded).saying(message);
            return failed(Class::ProtocolGarbage, evidence);
        }
        error
    }

    fn given(&self, parts: Parts, evidence: Evidence, peer: Option<Peer>, body: Held) -> Given {
        let (body, incoming) = match body {
            Held::Read(bytes) => (bytes, None),
            Held::Wire(incoming) => (Bytes::new(), Some(incoming)),
        };
        let stage = self.request.stage;
        Given { status: parts.status, headers: parts.headers, evidence, peer, body, incoming, stage }
    }

    /// Reads the whole body, at most `limit` bytes, by the deadline.
    async fn read(
        &self,
        incoming: Incoming,
        headers: &HeaderMap,
        limit: usize,
        evidence: &Evidence,
    ) -> Result<Bytes, Error> {
        let upstream = &self.inner.upstream;
        let promise = Promise {
            length: (self.request.method != Method::HEAD).then(|| content_length(headers)).flatten(),
            limits: upstream.limits,
            registry: upstream.registry.clone(),
            observer: Arc::clone(&self.inner.outbound.observer),
            account: None,
            slot: None,
            evidence: Evidence { status: None, ..evidence.clone() },
            stage: self.request.stage,
        };
        let failed = |class, reason, message: &str| {
            let evidence = evidence.clone().because(reason).saying(message);
            Err(Error::new(class, self.request.stage, evidence))
        };
        let mut body = UpstreamBody::new(incoming, promise);
        let mut whole = BytesMut::new();
        loop {
            let Ok(next) = timeout_at(self.deadline, body.next()).await else {
                return failed(Class::Stalled, Reason::NoProgress, "the body did not end by the deadline");
            };
            match next {
                None => return Ok(whole.freeze()),
                Some(bytes) => whole.extend_from_slice(&bytes?),
            }
            if whole.len() > limit {
                let message = format!("the body is larger than {limit} bytes");
                let class = match self.request.kind {
                    RequestKind::ManifestGet => Class::MediaType,
                    _ => Class::ProtocolGarbage,
                };
                return failed(class, Reason::TooLarge, &message);
            }
        }
    }
}

impl Held {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Read(bytes) => bytes,
            Self::Wire(_) => &[],
        }
    }

    fn into_bytes(self) -> Bytes {
        match self {
            Self::Read(bytes) => bytes,
            Self::Wire(_) => Bytes::new(),
        }
    }
}
