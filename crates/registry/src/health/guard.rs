//! One endpoint's breaker as one client uses it: it admits requests and hears how they end.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use oci::class::{Class, Stage};
use oci::name::RegistryHost;
use tokio::time::Instant;

use crate::client::connections::Connections;
use crate::error::{Error, Evidence};
use crate::health::breaker::{Breaker, Health, Leave, Paused};
use crate::health::objects::Objects;
use crate::health::scope::{Scope, scope};
use crate::health::state::Pauses;
use crate::observe::{Observer, RequestKind};
use crate::upstream::{Endpoint, Outbound, Upstream};
use crate::wire::target::Target;

/// One endpoint's breaker as one client uses it.
pub(crate) struct Guard {
    breaker: Arc<Mutex<Breaker>>,
    objects: Arc<Objects>,
    registry: RegistryHost,
    /// Host and, unless it is the scheme's, port.
    endpoint: String,
    observer: Arc<dyn Observer>,
    pauses: Pauses,
    connections: Connections,
}

/// A request to an endpoint, for its breaker to hear how it ended. Dropped: nothing was learnt.
pub(crate) struct Ticket<'a> {
    guard: &'a Guard,
    /// `None`: it needed none, and goes whatever the breaker says.
    leave: Option<Leave>,
    /// The hash of the object asked for, and leave to ask for it.
    object: Option<(u64, Option<Leave>)>,
    kind: RequestKind,
    begun: Instant,
}

impl Guard {
    /// The guard of one of `upstream`'s endpoints. The observer is told its state at once.
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

    /// As [`Guard::admit`], for a request that has yet to wait for quota: it does not become the probe.
    pub(crate) fn check(&self, stage: Stage, object: Option<u64>, now: Instant) -> Result<(), Error> {
        let held = object.filter(|_| self.connections == Connections::Pooled);
        let held = held.and_then(|object| self.objects.refusal(object, now));
        self.refusal(now).or(held).map_or(Ok(()), |paused| Err(self.paused(stage, paused, now)))
    }

    fn refusal(&self, now: Instant) -> Option<Paused> {
        let breaker = self.breaker.lock().unwrap_or_else(PoisonError::into_inner);
        breaker.pause().filter(|_| self.connections == Connections::Pooled && breaker.refuses(now))
    }

    /// Lets a request ask the endpoint. Clients with fresh connections walk the whole way each time, as probes do: they are
    /// never refused.
    ///
    /// # Errors
    /// `upstream_paused` in `stage`: since when, because of what, and when the next probe goes out.
    pub(crate) fn admit(
        &self,
        kind: RequestKind,
        stage: Stage,
        object: Option<u64>,
        now: Instant,
    ) -> Result<Ticket<'_>, Error> {
        self.check(stage, object, now)?;
        let leave = match self.connections {
            Connections::Pooled => Some(self.change(|breaker| breaker.admit(now))),
            Connections::Fresh => None,
        };
        let leave = leave.transpose().map_err(|paused| self.paused(stage, paused, now))?;
        let mut ticket = Ticket { guard: self, leave, object: None, kind, begun: now };
        if let Some(object) = object {
            let pooled = self.connections == Connections::Pooled;
            let leave = pooled.then(|| self.objects.admit(object, now)).transpose();
            let leave = leave.map_err(|paused| self.paused(stage, paused, now))?;
            ticket.object = Some((object, leave));
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

    /// Changes the breaker, and tells of it before anybody else can change it again.
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
    /// The endpoint answered well; `farthest` is the farthest stage that it reached.
    pub(crate) fn succeeded(mut self, farthest: Stage) {
        if let Some((object, _)) = self.object.take() {
            self.guard.objects.forget(object);
        }
        if matches!(self.kind, RequestKind::Tags | RequestKind::Referrers) {
            // A good list shows that the way is good; it says nothing of pulls.
            self.settle(Health::Unknown);
            self.guard.change(|breaker| {
                if breaker.pause().is_some() {
                    breaker.witness(Stage::Challenge);
                }
            });
        } else if self.leave.is_some() {
            self.settle(Health::Well);
        } else {
            self.guard.change(|breaker| breaker.witness(farthest));
        }
    }

    /// The endpoint failed, or said no. `deadline` is when its time was up.
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

    /// Gives the leave to ask for the object back, if there is one still.
    fn settle_object(&mut self, health: Health) {
        let Some((object, Some(leave))) = self.object.take() else { return };
        self.guard.objects.settle(object, leave, health, Instant::now(), self.guard.pauses);
    }

    /// Gives the leave back, if there is one still.
    fn settle(&mut self, health: Health) {
        let Some(leave) = self.leave.take() else { return };
        let Guard { pauses, .. } = *self.guard;
        self.guard.change(|breaker| breaker.settle(leave, health, Instant::now(), pauses, fastrand::f64()));
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.settle_object(Health::Unknown);
        self.settle(Health::Unknown);
    }
}
