//! One request on a connection, from its head to its response.
//!
//! A kept answer is sent without waiting for anything, so it is made without a future. A future that can ask upstreams
//! has several KiB and is moved three times on its way to the connection.

use std::convert::Infallible;
use std::future::{Future, Ready as AtOnce, ready as at_once};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::future::Either;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Request, header};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::dispatch::{Asker, Dispatch};
use super::ready::Ready;
use crate::http::answer::Answer;
use crate::http::failure::Failure;
use crate::http::meter::Metered;
use crate::http::outcome::Outcome;
use crate::http::request_id::RequestId;
use crate::http::respond::{KnownHeaders, respond, respond_again, wants_head_only};
use crate::http::route::{Refusal, Routed};
use crate::pull::puller::Caller;
use crate::pull::step::Step;
use crate::telemetry::request::{Answered, Asked, Named, RequestMeter, logs_hits};
use crate::telemetry::shown::shown;

/// A request whose head was read.
pub(crate) struct Exchange {
    dispatch: Arc<Dispatch>,
    peer: SocketAddr,
    began: Instant,
    head: Parts,
    id: RequestId,
    routed: Result<Routed, Refusal>,
    /// The kept answer to the same target.
    ready: Option<Arc<Ready>>,
    /// The request's step in a pull.
    step: Option<Step>,
}

/// The result type that hyper expects. Failures are responses, too.
type Response = Result<http::Response<Metered>, Infallible>;
type Later = Pin<Box<dyn Future<Output = Response> + Send>>;

impl Exchange {
    /// A request of `peer`. Its body is never read, because a request that announces a body is refused.
    pub(crate) fn new(dispatch: Arc<Dispatch>, request: Request<Incoming>, peer: SocketAddr) -> Self {
        let began = Instant::now();
        let (head, _) = request.into_parts();
        let mut ready = None;
        let routed = Routed::read(&head, |target| {
            ready = dispatch.manifests.ready(target);
            ready.as_ref().map(|ready| Arc::clone(&ready.request))
        });
        let id = dispatch.request_ids.of(&head.headers);
        let step = routed.as_ref().ok().and_then(|routed| step(&dispatch, routed, &head, peer, began));
        Self { dispatch, peer, began, head, id, routed, ready, step }
    }

    /// The response. It is ready at once if there is a kept answer.
    pub(crate) fn answer(self) -> Either<AtOnce<Response>, Later> {
        match self.again() {
            Some((result, ready)) => Either::Left(at_once(Ok(self.finished(result, Some(&ready.headers))))),
            None => Either::Right(Box::pin(self.answer_later())),
        }
    }

    fn again(&self) -> Option<(Result<Answer, Failure>, Arc<Ready>)> {
        let (routed, ready) = (self.routed.as_ref().ok()?, self.ready.as_ref()?);
        Some((self.dispatch.again(routed, &self.head, ready)?, Arc::clone(ready)))
    }

    async fn answer_later(mut self) -> Response {
        let trail = self.step.as_mut().map(Step::trail);
        let result = match &self.routed {
            Ok(routed) => {
                let asker = Asker { client: Some(self.peer.ip()), trail: trail.as_ref() };
                self.dispatch.answer(routed, &self.head, asker, self.ready.as_deref()).await
            }
            Err(refusal) => Err(Failure::Request(*refusal)),
        };
        Ok(self.finished(result, None))
    }

    /// Makes the response to `result`, and reports the request to its pull, the metrics and the log.
    fn finished(
        mut self,
        result: Result<Answer, Failure>,
        known: Option<&KnownHeaders>,
    ) -> http::Response<Metered> {
        if let (Some(step), Ok(answer)) = (&mut self.step, &result) {
            step.answered(answer, self.ready.and_then(|ready| ready.names.clone()));
        }
        let named = named(self.id, &self.routed, &self.head, self.peer, &result);
        let routed = self.routed.ok();
        let mut answered = Answered::of(routed.as_ref().map(|routed| &*routed.request), &result);
        let head_only = wants_head_only(routed.as_ref(), &self.head.method);
        let response = match known {
            Some(known) => respond_again(known, &named.id, routed.as_ref(), result, head_only),
            None => respond(&named.id, routed.as_ref(), result, head_only),
        };
        (answered.code, answered.length) = (response.status().as_u16(), response.body().length());
        let place = routed.as_ref().and_then(|routed| routed.request.place());
        let series = self.dispatch.telemetry.series(place.map(|place| &place.registry));
        let meter = RequestMeter::new(series, answered, named, self.began, self.step);
        response.map(|body| Metered::new(body, meter))
    }
}

/// The names for the line in the log. The digest that a tag means is left out of a hit's, unless the line is written.
fn named(
    id: RequestId,
    routed: &Result<Routed, Refusal>,
    head: &Parts,
    peer: SocketAddr,
    result: &Result<Answer, Failure>,
) -> Named {
    let digest = match result {
        Ok(Answer::Content(content)) if content.outcome != Outcome::Hit || logs_hits() => {
            Some(content.digest.clone())
        }
        _ => None,
    };
    let asked = match routed {
        Ok(routed) => Asked::Routed(Arc::clone(&routed.request)),
        Err(_) => Asked::Unread { path: shown(head.uri.path()) },
    };
    Named { id, client: peer.ip(), asked, digest }
}

fn step(
    dispatch: &Dispatch,
    routed: &Routed,
    head: &Parts,
    peer: SocketAddr,
    began: Instant,
) -> Option<Step> {
    let agent = head.headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    let node = head.headers.get(NODE).map(HeaderValue::as_bytes);
    let caller = Caller { user_agent: agent.unwrap_or_default(), node: node.unwrap_or_default() };
    Step::begin(&dispatch.pulls, &routed.request, peer.ip(), caller, began)
}

/// The header in which a node tells its name, as its `hosts.toml` says. Everybody may send it: it is a hint.
const NODE: HeaderName = HeaderName::from_static("x-pullgate-node");
