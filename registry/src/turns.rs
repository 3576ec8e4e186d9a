//! Whom a question is put to: endpoints in their order, one deadline over all, and whose "no" counts.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http::StatusCode;
use tokio::time::{Instant, sleep_until};

use crate::call::{Given, Question, Walk, Walked};
use crate::class::{Class, Stage};
use crate::client::{Behalf, Connections, Inner};
use crate::error::{Error, Evidence, Reason};
use crate::observe::RequestKind;
use crate::pool::Pool;
use crate::upstream::Endpoint;

impl Inner {
    /// Asks the endpoints in turn until one gives what `make` accepts, or says no with authority.
    pub(crate) async fn walk<T>(
        &self,
        behalf: &Behalf,
        question: &Question<'_>,
        make: impl Fn(Given) -> Result<T, Error>,
    ) -> Result<Walked<T>, Error> {
        let own = self.own_endpoint();
        let mut told: Option<Error> = None;
        let mut left: Vec<usize> = self.order(question).rev().collect();
        let mut asked = FuturesUnordered::new();
        let mut hedge = self.hedge_at(question);
        loop {
            if asked.is_empty() {
                let Some(endpoint) = left.pop() else { break };
                let seat = (endpoint, self.share(question.deadline, &left), left.is_empty());
                asked.push(self.turn(behalf, question, seat, &make));
            }
            let (endpoint, error) = tokio::select! {
                Some((endpoint, ended)) = asked.next() => match ended {
                    Ok(walked) => return Ok(walked),
                    Err(error) => (endpoint, error),
                },
                () = due(hedge) => {
                    hedge = None;
                    let next = left.pop_if(|next| self.may_hedge(*next));
                    let seat = next.map(|next| (next, self.share(question.deadline, &left), left.is_empty()));
                    asked.extend(seat.map(|seat| self.turn(behalf, question, seat, &make)));
                    continue;
                }
            };
            tracing::debug!(registry = %self.upstream.registry, endpoint, %error, "endpoint failed");
            if endpoint == own && is_verdict(&error) {
                return Err(error);
            }
            // Of several failures the registry's own is told: a mirror knows less.
            if endpoint == own || told.is_none() {
                told = Some(error);
            }
        }
        Err(told.unwrap_or_else(|| {
            let host = self.upstream.registry.as_str();
            let evidence = Evidence::host(host).because(Reason::EndpointsExhausted).saying("no endpoint");
            Error::new(Class::NotConfigured, question.stage, evidence)
        }))
    }

    /// Could the question, a counted one, go to any endpoint?
    pub(crate) async fn afford(&self, behalf: &Behalf, question: &Question<'_>) -> Result<(), Error> {
        let mut withheld = Ok(());
        let mut left: Vec<usize> = self.order(question).rev().collect();
        while let Some(endpoint) = left.pop() {
            let (pool, deadline, is_last) = (self.pool_for_call(), question.deadline, left.is_empty());
            let walk = Walk { inner: self, behalf, question, endpoint, pool, deadline, is_last };
            withheld = walk.afford().await;
            if withheld.is_ok() {
                break;
            }
        }
        withheld
    }

    /// When a further endpoint is asked beside the first: heads of manifests alone, which no registry counts.
    fn hedge_at(&self, question: &Question<'_>) -> Option<Instant> {
        let after = self.upstream.limits.hedge_after?;
        (question.kind == RequestKind::ManifestHead).then(|| Instant::now() + after)
    }

    fn may_hedge(&self, endpoint: usize) -> bool {
        !self.guards[endpoint].refuses(Instant::now()) && self.may_retry()
    }

    /// One endpoint's turn and whose it was: an index, when its time is up, and whether nobody comes after it.
    async fn turn<T>(
        &self,
        behalf: &Behalf,
        question: &Question<'_>,
        (endpoint, deadline, is_last): (usize, Instant, bool),
        make: impl Fn(Given) -> Result<T, Error>,
    ) -> (usize, Result<Walked<T>, Error>) {
        let pool = self.pool_for_call();
        let walk = Walk { inner: self, behalf, question, endpoint, pool, deadline, is_last };
        (endpoint, walk.held_turn(make).await)
    }

    /// Endpoints as they are tried: from the first, or from the one a transfer broke off from.
    fn order(&self, question: &Question<'_>) -> impl DoubleEndedIterator<Item = usize> + use<> {
        let count = self.upstream.endpoints.len();
        let first = question.rest.map_or(0, |rest| rest.first_endpoint);
        (0..count).map(move |turn| (first + turn) % count)
    }

    /// The part of the time left for an endpoint when `others` are still to be asked; who is paused needs none.
    fn share(&self, deadline: Instant, others: &[usize]) -> Instant {
        let now = Instant::now();
        let others = others.iter().filter(|other| !self.guards[**other].refuses(now)).count();
        let parts = u32::try_from(others + 1).unwrap_or(u32::MAX);
        now + deadline.saturating_duration_since(now) / parts
    }

    /// The endpoint whose "no" counts: the first within the registry's own domain, else the last.
    fn own_endpoint(&self) -> usize {
        let registry = psl::domain_str(self.upstream.registry.host());
        let endpoints = &self.upstream.endpoints;
        let own = |endpoint: &Endpoint| {
            let host = endpoint.url.host_str();
            host == Some(self.upstream.registry.host())
                || registry.is_some() && host.and_then(psl::domain_str) == registry
        };
        endpoints.iter().position(own).unwrap_or(endpoints.len().saturating_sub(1))
    }

    fn pool_for_call(&self) -> Arc<Pool> {
        match self.connections {
            Connections::Pooled => Arc::clone(&self.pool),
            Connections::Fresh => Arc::default(),
        }
    }
}

impl Walk<'_> {
    /// One endpoint's turn. A pull that is refused for our quota, of which we knew nothing, is held as the others are, and
    /// asked for again when there may be quota again. Nothing else is: what no quota counts would not wait for it.
    async fn held_turn<T>(&self, make: impl Fn(Given) -> Result<T, Error>) -> Result<Walked<T>, Error> {
        loop {
            match self.turn(&make).await {
                Err(error) if self.may_ask_again(&error) && Instant::now() < self.deadline => {}
                result => return result,
            }
        }
    }

    /// One endpoint's turn, if its breaker and its quota let it have one. A request that waits for quota is not the breaker's
    /// probe, and one that the breaker refuses has spent nothing.
    pub(crate) async fn turn<T>(&self, make: impl Fn(Given) -> Result<T, Error>) -> Result<Walked<T>, Error> {
        let Walk { question, deadline, .. } = *self;
        let guard = &self.inner.guards[self.endpoint];
        guard.check(question.stage, Instant::now())?;
        let admitted = self.admit().await?;
        let ticket = match guard.admit(question.stage, Instant::now()) {
            Ok(ticket) => ticket,
            Err(paused) => {
                admitted.unsent();
                return Err(paused);
            }
        };
        self.inner.note_request();
        let walked = self.run(admitted, make).await;
        match &walked {
            Ok(_) => ticket.succeeded(farthest(question)),
            Err(error) => ticket.failed(error, deadline),
        }
        walked
    }
}

/// Returns at `instant`; never, when there is none.
async fn due(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

/// How far on a pull's way a good answer went.
fn farthest(question: &Question<'_>) -> Stage {
    if question.kind == RequestKind::Ping { Stage::Challenge } else { Stage::BlobTransfer }
}

/// An answer that stands whoever else is asked: the registry knows us and says no, or does not have it. What its blob
/// host says is no such answer.
fn is_verdict(error: &Error) -> bool {
    let too_busy = [StatusCode::REQUEST_TIMEOUT.as_u16(), StatusCode::TOO_MANY_REQUESTS.as_u16()];
    let refused = |status: u16| (400..500).contains(&status) && !too_busy.contains(&status);
    error.class != Class::BlobHost && error.evidence.status.is_some_and(refused)
}
