//! The breakers of all endpoints, shared by every client of the process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use oci::name::RegistryHost;
use url::Url;

use crate::health::breaker::{Breaker, Paused};
use crate::health::callers::CallerPauses;
use crate::health::hosts::HostPauses;
use crate::health::objects::Objects;
use crate::health::state::State;

/// The breakers by registry and endpoint. A reload of the configuration keeps them.
#[derive(Default)]
pub struct Breakers {
    endpoints: Mutex<Table>,
    /// The failing objects, by registry and endpoint.
    objects: Mutex<ObjectTable>,
    /// The pauses of hosts that registries redirect to.
    pub(crate) hosts: HostPauses,
    /// The pauses of callers whose own quota is spent.
    pub(crate) callers: CallerPauses,
}

type Table = HashMap<(RegistryHost, Url), Arc<Mutex<Breaker>>>;
type ObjectTable = HashMap<(RegistryHost, Url), Arc<Objects>>;

impl Breakers {
    /// The state of the breaker of the endpoint at `url`, and its pause. An endpoint that was never asked is closed.
    pub fn state(&self, registry: &RegistryHost, url: &Url) -> (State, Option<Paused>) {
        let known = self.lock().get(&(registry.clone(), url.clone())).cloned();
        known.map_or((State::Closed, None), |breaker| {
            let breaker = breaker.lock().unwrap_or_else(PoisonError::into_inner);
            (breaker.state(), breaker.pause())
        })
    }

    /// The breaker of the endpoint at `url`. Makes it if there is none yet.
    pub(crate) fn of(&self, registry: &RegistryHost, url: &Url) -> Arc<Mutex<Breaker>> {
        self.lock().entry((registry.clone(), url.clone())).or_default().clone()
    }

    /// The failing objects of the endpoint at `url`.
    pub(crate) fn objects(&self, registry: &RegistryHost, url: &Url) -> Arc<Objects> {
        let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        objects.entry((registry.clone(), url.clone())).or_default().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.endpoints.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
