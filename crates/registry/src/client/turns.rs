//! Asks the endpoints of an upstream in order, with one deadline for all, and sends hedges.

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
    /// Asks the endpoints in turn until one gives an answer that `make` accepts, or a failure that is final.
    pub(crate) async fn walk<T>(
        &self,
        behalf: &Behalf,
        request: &UpstreamRequest<'_>,
        make: impl Fn(Given) -> Result<T, Error>,
    ) -> Result<Walked<T>, Error> {
        self.check_drill()?;
        let mut failures = Failures::of(&self.upstream);
        let mut left: Vec<usize> = self.order(request).rev().collect();
        let mut asked = FuturesUnordered::new();
        let mut hedge = self.hedge_at(request);
        let ask = |endpoint, left: &[usize]| self.turn(behalf, request, endpoint, left, &make);
        loop {
            if asked.is_empty() {
                let Some(endpoint) = left.pop() else { break };
                asked.push(ask(endpoint, &left));
            }
            tokio::select! {
                Some((endpoint, ended)) = asked.next() => match ended {
                    Ok(walked) => return Ok(walked),
                    Err(error) => {
                        log_failure(&self.upstream.registry, endpoint, &error);
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
        Err(failures.into_reported().unwrap_or_else(|| {
            let host = self.upstream.registry.as_str();
            let evidence = Evidence::host(host).because(Reason::EndpointsExhausted).saying("no endpoint");
            Error::new(Class::NotConfigured, request.stage, evidence)
        }))
    }

    /// Refuses a request to a registry that a drill treats as down. Clients with fresh connections, which probe, are
    /// never refused.
    fn check_drill(&self) -> Result<(), Error> {
        match self.connections {
            Connections::Pooled => self.outbound.drills.check(&self.upstream.registry, Instant::now()),
            Connections::Fresh => Ok(()),
        }
    }

    /// Checks that the counted request may be sent to at least one endpoint now.
    pub(crate) async fn afford(&self, behalf: &Behalf, request: &UpstreamRequest<'_>) -> Result<(), Error> {
        self.check_drill()?;
        let mut withheld = Ok(());
        let mut left: Vec<usize> = self.order(request).rev().collect();
        while let Some(endpoint) = left.pop() {
            let (pool, deadline, is_last) = (self.pool_for_call(), request.deadline, left.is_empty());
            let walk = Walk { inner: self, behalf, request, endpoint, pool, deadline, is_last };
            withheld = walk.afford(&QuotaLook).await;
            if withheld.is_ok() {
                break;
            }
        }
        withheld
    }

    /// The time of the hedge; `None` if there is none. Only HEADs of manifests are hedged, because no registry counts
    /// them.
    fn hedge_at(&self, request: &UpstreamRequest<'_>) -> Option<Instant> {
        let after = self.upstream.limits.hedge_after?;
        (request.kind == RequestKind::ManifestHead).then(|| Instant::now() + after)
    }

    fn may_hedge(&self, endpoint: usize) -> bool {
        !self.guards[endpoint].refuses(Instant::now()) && self.may_retry()
    }

    /// Asks one endpoint, while the `others` are still to be asked. Returns the endpoint and the result.
    fn turn<'a, T, M: Fn(Given) -> Result<T, Error>>(
        &'a self,
        behalf: &'a Behalf,
        request: &'a UpstreamRequest<'a>,
        endpoint: usize,
        others: &[usize],
        make: &'a M,
    ) -> impl Future<Output = (usize, Result<Walked<T>, Error>)> + use<'a, T, M> {
        let (pool, deadline) = (self.pool_for_call(), self.share(request.deadline, others));
        let walk =
            Walk { inner: self, behalf, request, endpoint, pool, deadline, is_last: others.is_empty() };
        async move { (endpoint, walk.held_turn(make).await) }
    }

    /// The endpoints in the order they are asked: from the first, or from the one whose transfer broke.
    fn order(&self, request: &UpstreamRequest<'_>) -> impl DoubleEndedIterator<Item = usize> + use<> {
        let count = self.upstream.endpoints.len();
        let first = request.rest.map_or(0, |rest| rest.first_endpoint);
        (0..count).map(move |turn| (first + turn) % count)
    }

    /// The deadline of one endpoint. The time until `deadline` is shared equally between this endpoint and those of the
    /// `others` that are not paused.
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
    /// Asks the endpoint. If it refuses because the quota is spent, and requests are held, asks again: the ledger then
    /// holds the request until there may be quota. Free requests are not repeated, because the ledger does not hold
    /// them.
    async fn held_turn<T>(&self, make: impl Fn(Given) -> Result<T, Error>) -> Result<Walked<T>, Error> {
        loop {
            match self.turn(&make).await {
                Err(error) if self.may_ask_again(&error) && Instant::now() < self.deadline => {}
                result => return result,
            }
        }
    }

    /// Asks the endpoint once, if its breaker and its quota allow it. The breaker is checked before the wait for quota,
    /// but admits only after it: a request that waits for quota is not the breaker's probe, and a request that the
    /// breaker refuses spends no quota.
    pub(crate) async fn turn<T>(&self, make: impl Fn(Given) -> Result<T, Error>) -> Result<Walked<T>, Error> {
        let Walk { request, deadline, .. } = *self;
        let guard = &self.inner.guards[self.endpoint];
        guard.check(request.stage, request.object(), Instant::now())?;
        let admitted = self.admit(&QuotaLook).await?;
        let ticket = match guard.admit(request.kind, request.stage, request.object(), Instant::now()) {
            Ok(ticket) => ticket,
            Err(paused) => {
                admitted.unsent();
                return Err(paused);
            }
        };
        self.inner.note_request();
        let walked = self.run(admitted, make).await;
        match &walked {
            Ok(_) => ticket.succeeded(farthest(request)),
            Err(error) => ticket.failed(error, deadline),
        }
        walked
    }
}

/// Reads the quota by an extra request.
struct QuotaLook;

impl Look for QuotaLook {
    async fn look(&self, walk: &Walk<'_>) -> Result<(), Error> {
        Box::pin(walk.turn(|_| Ok(()))).await.map(drop)
    }
}

/// Returns at `instant`; never if it is `None`.
async fn due(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

/// Logs that an endpoint failed. Only the field `evidence` can name an image, because it can quote the registry.
fn log_failure(registry: &RegistryHost, endpoint: usize, error: &Error) {
    tracing::debug!(
        %registry, endpoint, class = error.class.as_str(), stage = error.stage.as_str(), host = error.evidence.host,
        evidence = %error, "endpoint failed"
    );
}

/// The farthest stage of a pull that a good answer proves to work.
fn farthest(request: &UpstreamRequest<'_>) -> Stage {
    if request.kind == RequestKind::Ping { Stage::Challenge } else { Stage::BlobTransfer }
}
