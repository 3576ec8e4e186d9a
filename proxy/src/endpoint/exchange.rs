//! One request on a connection, from its head to its response.
//!
//! A kept answer is given again without waiting for anything: then there is no future to make, and
//! a future that can ask upstreams is several KiB, moved three times on its way to the connection.

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
use crate::http::body::ResponseBody;
use crate::http::failure::Failure;
use crate::http::meter::Metered;
use crate::http::respond::{respond, respond_again, wants_head_only};
use crate::http::route::{Refusal, Routed};
use crate::pull::puller::Caller;
use crate::pull::step::Step;
use crate::telemetry::endpoint::Endpoint;
use crate::telemetry::request::{Answered, RequestMeter};

/// A request whose head was read.
pub(crate) struct Exchange {
    dispatch: Arc<Dispatch>,
    peer: SocketAddr,
    began: Instant,
    head: Parts,
    routed: Result<Routed, Refusal>,
    /// The kept answer to the same target.
    ready: Option<Arc<Ready>>,
    /// Its part in a pull.
    step: Option<Step>,
}

/// As hyper wants it: failures are answers too.
type Response = Result<http::Response<Metered>, Infallible>;
type Later = Pin<Box<dyn Future<Output = Response> + Send>>;

impl Exchange {
    /// A request of `peer`. Its body, if there is one, is never read: requests that announce one are refused.
    pub(crate) fn new(dispatch: Arc<Dispatch>, request: Request<Incoming>, peer: SocketAddr) -> Self {
        let began = Instant::now();
        let (head, _) = request.into_parts();
        let mut ready = None;
        let routed = Routed::read(&head, |target| {
            ready = dispatch.manifests.ready(target);
            ready.as_ref().map(|ready| Arc::clone(&ready.request))
        });
        let step = routed.as_ref().ok().and_then(|routed| step(&dispatch, routed, &head, peer, began));
        Self { dispatch, peer, began, head, routed, ready, step }
    }

    /// The response: now, where nothing is to be waited for.
    pub(crate) fn answer(self) -> Either<AtOnce<Response>, Later> {
        match self.again() {
            Some((result, ready)) => Either::Left(at_once(Ok(self
                .finished(result, |routed, result, head_only| {
                    respond_again(&ready.headers, routed, result, head_only)
                })))),
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
        Ok(self.finished(result, respond))
    }

    /// The response to what was found, with its pull, its metrics and its line in the log.
    fn finished(
        mut self,
        result: Result<Answer, Failure>,
        respond: impl FnOnce(Option<&Routed>, Result<Answer, Failure>, bool) -> http::Response<ResponseBody>,
    ) -> http::Response<Metered> {
        let routed = self.routed.ok();
        if let (Some(step), Ok(answer)) = (&mut self.step, &result) {
            step.answered(answer, self.ready.and_then(|ready| ready.names.clone()));
        }
        let (outcome, class, stage) = match &result {
            Ok(answer) => (answer.outcome(), answer.class(), None),
            Err(failure) => (failure.outcome(), failure.class(), failure.stage()),
        };
        let response = respond(routed.as_ref(), result, wants_head_only(routed.as_ref(), &self.head.method));
        let request = routed.as_ref().map(|routed| &*routed.request);
        let answered = Answered {
            endpoint: Endpoint::of(request),
            outcome,
            class,
            stage,
            code: response.status().as_u16(),
            length: response.body().length(),
        };
        let place = request.and_then(|request| request.place());
        let series = self.dispatch.telemetry.series(place.map(|place| &place.registry));
        let meter = RequestMeter::new(series, answered, self.peer.ip(), self.began, self.step);
        response.map(|body| Metered::new(body, meter))
    }
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
