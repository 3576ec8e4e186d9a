//! The observation of one request. It is reported at most once: when the request fails, when its last byte comes, or
//! when the reader of its body leaves.

use std::sync::Arc;

use oci::class::Class;
use oci::name::RegistryHost;

use crate::observe::{Observation, Observer, RequestKind};
use crate::quota::headers::Quota;
use crate::timings::Timings;
use crate::trail::Trail;

/// The observation of one request so far.
pub(crate) struct Account {
    observer: Arc<dyn Observer>,
    registry: RegistryHost,
    identity: String,
    kind: RequestKind,
    pub(crate) timings: Timings,
    /// The quota that the endpoint stated, not a host that it redirected to.
    pub(crate) quota: Option<Quota>,
    /// True if the answer came from another host than the endpoint's, after a redirect.
    pub(crate) redirected: bool,
    /// True if the request reached the endpoint, so that the registry may have counted it. False if the connection
    /// failed or the answer was a challenge.
    pub(crate) sent: bool,
    /// True if the answer is good. Dropping the rest of its body is then not a failure.
    pub(crate) good: bool,
    /// The trail of the caller, if there is one.
    trail: Option<Trail>,
    reported: bool,
}

impl Account {
    pub(crate) fn new(
        observer: Arc<dyn Observer>,
        registry: RegistryHost,
        identity: &str,
        kind: RequestKind,
        trail: Option<Trail>,
    ) -> Self {
        let identity = identity.to_owned();
        Self {
            observer,
            registry,
            identity,
            kind,
            timings: Timings::default(),
            quota: None,
            redirected: false,
            sent: false,
            good: false,
            trail,
            reported: false,
        }
    }

    /// Adds an answer to the trail.
    pub(crate) fn answered(&self, code: u16) {
        if let Some(trail) = &self.trail {
            trail.answered(code);
        }
    }

    /// Adds body bytes to the trail.
    pub(crate) fn received(&self, bytes: u64) {
        if let Some(trail) = &self.trail {
            trail.received(bytes);
        }
    }

    /// Notes the end of a body in the trail.
    pub(crate) fn body_ended(&self) {
        if let Some(trail) = &self.trail {
            trail.body_ended();
        }
    }

    /// Reports the end of the request to the observer. Only the first call has an effect.
    pub(crate) fn report(&mut self, class: Option<Class>) {
        if std::mem::replace(&mut self.reported, true) {
            return;
        }
        // The time of a token is part of the request that needed it.
        if let Some(trail) = self.trail.as_ref().filter(|_| self.kind != RequestKind::Token) {
            trail.took(&self.timings);
        }
        self.observer.observe(&Observation {
            registry: &self.registry,
            identity: &self.identity,
            kind: self.kind,
            class,
            timings: &self.timings,
            quota: self.quota.as_ref(),
        });
    }
}

impl Drop for Account {
    /// A request dropped before a good answer is not reported, because nothing is known about the upstream.
    fn drop(&mut self) {
        if self.good {
            self.report(None);
        }
    }
}
