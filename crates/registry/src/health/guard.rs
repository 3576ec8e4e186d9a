//! A client's access to the breaker of one endpoint: the admission of requests, and the report of their ends.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use oci::class::{Class, Stage};
use oci::name::RegistryHost;
use tokio::time::Instant;

use crate::client::connections::Connections;
use crate::error::{Error, Evidence};
use crate::health::breaker::{Breaker, Health, Paused, Permit};
use crate::health::objects::Objects;
use crate::health::scope::{Scope, scope};
use crate::health::state::Pauses;
use crate::observe::{Observer, RequestKind};
use crate::upstream::{Endpoint, Outbound, Upstream};
use crate::wire::target::Target;

/// A client's access to the breaker of one endpoint.
pub(crate) struct Guard {
    breaker: Arc<Mutex<Breaker>>,
    objects: Arc<Objects>,
    registry: RegistryHost,
    /// The host, and the port unless it is the default of the scheme.
    endpoint: String,
    observer: Arc<dyn Observer>,
    pauses: Pauses,
    connections: Connections,
}

/// An admitted request to an endpoint. Its end must be reported by a method; if it is dropped, the end is unknown.
pub(crate) struct Ticket<'a> {
    guard: &'a Guard,
    /// The permit of the breaker; `None` for a client with fresh connections, which needs none.
    permit: Option<Permit>,
    /// The hash of the requested object, and the permit of the object's breaker.
    object: Option<(u64, Option<Permit>)>,
    kind: RequestKind,
    begun: Instant,
}

impl Guard {
    /// The guard of one endpoint of `upstream`. Reports the breaker's state to the observer.
    pub(crate) fn new(
        upstream: &Upstream,
        endpoint: &Endpoint,
        outbound: &Outbound,
        connections: Connections,
    ) -> Self {
        let registry = &upstream.registry;
        let guard = Self {
            breaker: outbound.breakers.of(registry, &endpoint.url),
            objects: outbound.breakers.objects(registry, &endpoint.url),
            registry: registry.clone(),
            endpoint: Target::of(&endpoint.url).map(|target| target.authority()).unwrap_or_default(),
            observer: Arc::clone(&outbound.observer),
            pauses: upstream.limits.pauses,
            connections,
        };
        if connections == Connections::Pooled {
            let breaker = guard.breaker.lock().unwrap_or_else(PoisonError::into_inner);
            guard.observer.breaker(registry, &guard.endpoint, breaker.state());
        }
        guard
    }

    /// True if a request would be refused.
    pub(crate) fn refuses(&self, now: Instant) -> bool {
        self.refusal(now).is_some()
    }

    /// Like [`Guard::admit`], for a request that may still wait for quota. It does not become the probe.
    pub(crate) fn check(&self, stage: Stage, object: Option<u64>, now: Instant) -> Result<(), Error> {
        let held = object.filter(|_| self.connections == Connections::Pooled);
        let held = held.and_then(|object| self.objects.refusal(object, now));
        self.refusal(now).or(held).map_or(Ok(()), |paused| Err(self.paused(stage, paused, now)))
    }

    fn refusal(&self, now: Instant) -> Option<Paused> {
        let breaker = self.breaker.lock().unwrap_or_else(PoisonError::into_inner);
        breaker.pause().filter(|_| self.connections == Connections::Pooled && breaker.refuses(now))
    }

    /// Admits a request to the endpoint. Clients with fresh connections, which probe, are never refused.
    ///
    /// # Errors
    /// `upstream_paused` in `stage`. The message states the time since the breaker opened, the failure, and the time of
    /// the next probe.
    pub(crate) fn admit(
        &self,
        kind: RequestKind,
        stage: Stage,
        object: Option<u64>,
        now: Instant,
    ) -> Result<Ticket<'_>, Error> {
        self.check(stage, object, now)?;
        let permit = match self.connections {
            Connections::Pooled => Some(self.change(|breaker| breaker.admit(now))),
            Connections::Fresh => None,
        };
        let permit = permit.transpose().map_err(|paused| self.paused(stage, paused, now))?;
        let mut ticket = Ticket { guard: self, permit, object: None, kind, begun: now };
        if let Some(object) = object {
            let pooled = self.connections == Connections::Pooled;
            let permit = pooled.then(|| self.objects.admit(object, now)).transpose();
            let permit = permit.map_err(|paused| self.paused(stage, paused, now))?;
            ticket.object = Some((object, permit));
        }
        Ok(ticket)
    }

    fn paused(&self, stage: Stage, paused: Paused, now: Instant) -> Error {
        let trouble = paused.trouble;
        let next = paused.next_probe.saturating_duration_since(now);
        let probe = match next {
            Duration::ZERO => "a probe is out now".to_owned(),
            next => format!("the next probe in {:.1} s", next.as_secs_f64()),
        };
        let message = format!(
            "not asked for {:.1} s because of {} at {}, {probe}",
            now.saturating_duration_since(trouble.since).as_secs_f64(),
            trouble.class,
            trouble.stage,
        );
        let evidence = Evidence {
            retry_after: Some(next),
            paused_after: Some((trouble.class, trouble.stage)),
            ..Evidence::host(&self.endpoint)
        };
        Error::new(Class::UpstreamPaused, stage, evidence.saying(&message))
    }

    /// Changes the breaker, and reports a new state while the lock is held, so that reports are in order.
    fn change<T>(&self, act: impl FnOnce(&mut Breaker) -> T) -> T {
        let mut breaker = self.breaker.lock().unwrap_or_else(PoisonError::into_inner);
        let before = breaker.state();
        let result = act(&mut breaker);
        let after = breaker.state();
        if before != after {
            self.observer.breaker(&self.registry, &self.endpoint, after);
            tracing::info!(registry = %self.registry, endpoint = self.endpoint, %before, %after, "breaker");
        }
        result
    }
}

impl Ticket<'_> {
    /// Reports a success; `farthest` is the farthest stage of a pull that it proves to work.
    pub(crate) fn succeeded(mut self, farthest: Stage) {
        if let Some((object, _)) = self.object.take() {
            self.guard.objects.forget(object);
        }
        if matches!(self.kind, RequestKind::Tags | RequestKind::Referrers) {
            // A good list proves that the endpoint can be reached and answers, but not that pulls work.
            self.settle(Health::Unknown);
            self.guard.change(|breaker| {
                if breaker.pause().is_some() {
                    breaker.note_unadmitted_success(Stage::Challenge);
                }
            });
        } else if self.permit.is_some() {
            self.settle(Health::Well);
        } else {
            self.guard.change(|breaker| breaker.note_unadmitted_success(farthest));
        }
    }

    /// Reports a failure or a refusal. `deadline` is the deadline that the request had.
    pub(crate) fn failed(mut self, error: &Error, deadline: Instant) {
        let given = deadline.saturating_duration_since(self.begun);
        let (class, stage) = (error.class, error.stage);
        let object = self.object.as_ref().map_or(0, |(object, _)| *object);
        let ill = Health::Ill(class, stage);
        let (endpoint, object) = match scope(self.kind, error, &self.guard.endpoint, given) {
            Scope::Well => (Health::Well, Health::Well),
            Scope::Nothing => (Health::Unknown, Health::Unknown),
            Scope::List => (Health::Unknown, ill),
            Scope::Object => (Health::IllFor(class, stage, object), ill),
            Scope::Endpoint => (ill, Health::Unknown),
            Scope::EndpointAtOnce => (Health::Hangs(class, stage), Health::Unknown),
        };
        self.settle_object(object);
        self.settle(endpoint);
    }

    /// Returns the permit for the object, if it was not returned yet.
    fn settle_object(&mut self, health: Health) {
        let Some((object, Some(permit))) = self.object.take() else { return };
        self.guard.objects.settle(object, permit, health, Instant::now(), self.guard.pauses);
    }

    /// Returns the permit for the endpoint, if it was not returned yet.
    fn settle(&mut self, health: Health) {
        let Some(permit) = self.permit.take() else { return };
        let Guard { pauses, .. } = *self.guard;
        self.guard.change(|breaker| breaker.settle(permit, health, Instant::now(), pauses, fastrand::f64()));
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.settle_object(Health::Unknown);
        self.settle(Health::Unknown);
    }
}
