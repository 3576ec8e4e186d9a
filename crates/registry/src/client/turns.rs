//! The turns of endpoints: they are asked in order, with one deadline over all, and a hedge beside the first.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use oci::RegistryHost;
use oci::class::{Class, Stage};
use tokio::time::{Instant, sleep_until};

use crate::client::connections::Connections;
use crate::client::failures::Failures;
use crate::client::inner::{Behalf, Inner};
use crate::client::request::UpstreamRequest;
use crate::client::walk::{Given, Walk, Walked};
use crate::error::{Error, Evidence, Reason};
use crate::observe::RequestKind;
use crate::quota::admission::Look;
use crate::wire::pool::Pool;

impl Inner {
    /// Asks the endpoints in turn until one gives what `make` accepts, or says no with authority.
    pub(crate) async fn walk<T>(
        &self,
        behalf: &Behalf,
        question: &UpstreamRequest<'_>,
        make: impl Fn(Given) -> Result<T, Error>,
    ) -> Result<Walked<T>, Error> {
        let mut failures = Failures::of(&self.upstream);
        let mut left: Vec<usize> = self.order(question).rev().collect();
        let mut asked = FuturesUnordered::new();
        let mut hedge = self.hedge_at(question);
        let ask = |endpoint, left: &[usize]| self.turn(behalf, question, endpoint, left, &make);
        loop {
            if asked.is_empty() {
                let Some(endpoint) = left.pop() else { break };
                asked.push(ask(endpoint, &left));
            }
            tokio::select! {
                Some((endpoint, ended)) = asked.next() => match ended {
                    Ok(walked) => return Ok(walked),
                    Err(error) => {
                        tell(&self.upstream.registry, endpoint, &error);
                        failures.add(endpoint, error)?;
                    }
                },
                () = due(hedge) => {
                    hedge = None;
                    let beside = left.pop_if(|next| self.may_hedge(*next));
                    asked.extend(beside.map(|endpoint| ask(endpoint, &left)));
                }
            }
        }
        Err(failures.into_told().unwrap_or_else(|| {
            let host = self.upstream.registry.as_str();
            let evidence = Evidence::host(host).because(Reason::EndpointsExhausted).saying("no endpoint");
            Error::new(Class::NotConfigured, question.stage, evidence)
        }))
    }

    /// Checks that the request, a counted one, could go to any endpoint.
    pub(crate) async fn afford(&self, behalf: &Behalf, question: &UpstreamRequest<'_>) -> Result<(), Error> {
        let mut withheld = Ok(());
        let mut left: Vec<usize> = self.order(question).rev().collect();
        while let Some(endpoint) = left.pop() {
            let (pool, deadline, is_last) = (self.pool_for_call(), question.deadline, left.is_empty());
            let walk = Walk { inner: self, behalf, question, endpoint, pool, deadline, is_last };
            withheld = walk.afford(&Turn).await;
            if withheld.is_ok() {
                break;
            }
        }
        withheld
    }

    /// When a further endpoint is asked beside the first: heads of manifests alone, which no registry counts.
    fn hedge_at(&self, question: &UpstreamRequest<'_>) -> Option<Instant> {
        let after = self.upstream.limits.hedge_after?;
        (question.kind == RequestKind::ManifestHead).then(|| Instant::now() + after)
    }

    fn may_hedge(&self, endpoint: usize) -> bool {
        !self.guards[endpoint].refuses(Instant::now()) && self.may_retry()
    }

    /// The turn of one endpoint, with the `others` still to be asked. Returns the result and the endpoint.
    fn turn<'a, T, M: Fn(Given) -> Result<T, Error>>(
        &'a self,
        behalf: &'a Behalf,
        question: &'a UpstreamRequest<'a>,
        endpoint: usize,
        others: &[usize],
        make: &'a M,
    ) -> impl Future<Output = (usize, Result<Walked<T>, Error>)> + use<'a, T, M> {
        let (pool, deadline) = (self.pool_for_call(), self.share(question.deadline, others));
        let walk =
            Walk { inner: self, behalf, question, endpoint, pool, deadline, is_last: others.is_empty() };
        async move { (endpoint, walk.held_turn(make).await) }
    }

    /// Endpoints as they are tried: from the first, or from the one a transfer broke off from.
    fn order(&self, question: &UpstreamRequest<'_>) -> impl DoubleEndedIterator<Item = usize> + use<> {
        let count = self.upstream.endpoints.len();
        let first = question.rest.map_or(0, |rest| rest.first_endpoint);
        (0..count).map(move |turn| (first + turn) % count)
    }

    /// The part of the time left for an endpoint when `others` are still to be asked. A paused endpoint needs no time.
    fn share(&self, deadline: Instant, others: &[usize]) -> Instant {
        let now = Instant::now();
        let others = others.iter().filter(|other| !self.guards[**other].refuses(now)).count();
        let parts = u32::try_from(others + 1).unwrap_or(u32::MAX);
        now + deadline.saturating_duration_since(now) / parts
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
        guard.check(question.stage, question.object(), Instant::now())?;
        let admitted = self.admit(&Turn).await?;
        let ticket = match guard.admit(question.kind, question.stage, question.object(), Instant::now()) {
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

/// Reads a quota by a turn of its own.
struct Turn;

impl Look for Turn {
    async fn look(&self, walk: &Walk<'_>) -> Result<(), Error> {
        Box::pin(walk.turn(|_| Ok(()))).await.map(drop)
    }
}

/// Returns at `instant`; never, when there is none.
async fn due(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

/// The field `evidence` can quote the registry, and so name an image; it is the only one.
fn tell(registry: &RegistryHost, endpoint: usize, error: &Error) {
    tracing::debug!(
        %registry, endpoint, class = error.class.as_str(), stage = error.stage.as_str(), host = error.evidence.host,
        evidence = %error, "endpoint failed"
    );
}

/// How far on a pull's way a good answer went.
fn farthest(question: &UpstreamRequest<'_>) -> Stage {
    if question.kind == RequestKind::Ping { Stage::Challenge } else { Stage::BlobTransfer }
}
