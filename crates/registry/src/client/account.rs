//! One request's observation, reported at most once: when it failed, when its last byte came, or when its reader left.

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
    /// The quota that the endpoint itself stated.
    pub(crate) quota: Option<Quota>,
    /// True if another host than the endpoint's gave the answer, after a redirect.
    pub(crate) redirected: bool,
    /// True if the request itself went out, so that the registry may have counted it. One that failed on the way there, or was answered with
    /// a challenge, has not.
    pub(crate) sent: bool,
    /// True if the answer is good, so that dropping the rest of its body is not a failure.
    pub(crate) good: bool,
    /// The trail of the caller, if it has one.
    trail: Option<Trail>,
    told: bool,
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
            told: false,
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

    /// Tells the observer how it ended; only the first call counts.
    pub(crate) fn tell(&mut self, class: Option<Class>) {
        if std::mem::replace(&mut self.told, true) {
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
    /// A call given up before its answer learnt nothing and tells nothing.
    fn drop(&mut self) {
        if self.good {
            self.tell(None);
        }
    }
}
