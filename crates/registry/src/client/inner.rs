//! The state that all clones of a client share, and the party that one of them asks for.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use oci::class::{Class, Stage};
use oci::demand::Demand;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::auth::caller::Caller;
use crate::auth::challenge::Challenge;
use crate::client::connections::Connections;
use crate::error::{Error, Evidence};
use crate::health::guard::Guard;
use crate::health::retry::RetryBudget;
use crate::trail::Trail;
use crate::upstream::{Outbound, Upstream};
use crate::wire::pool::Pool;
use crate::wire::transport::Transport;

/// The identity that a request is made for.
#[derive(Clone)]
pub(crate) struct Behalf {
    /// Mirrors the request passed before us.
    pub(crate) via: Arc<str>,
    /// The caller whose own token is shown; `None`: the client shows its own identity.
    pub(crate) caller: Option<Caller>,
    /// How much it matters.
    pub(crate) demand: Demand,
    /// What it causes is added up here.
    pub(crate) trail: Option<Trail>,
}

pub(crate) struct Inner {
    pub(crate) upstream: Upstream,
    pub(crate) outbound: Outbound,
    pub(crate) connections: Connections,
    pub(crate) transport: Transport,
    /// Idle connections of all calls; unused when connections are fresh.
    pub(crate) pool: Arc<Pool>,
    /// By endpoint: did it ask for Basic?
    pub(crate) wants_basic: Vec<AtomicBool>,
    /// The last challenge of the first endpoint.
    pub(crate) challenged: Mutex<Option<Challenge>>,
    /// By endpoint: is it asked now?
    pub(crate) guards: Vec<Guard>,
    pub(crate) retries: Mutex<RetryBudget>,
    /// Connections that blobs may come by.
    pub(crate) blob_slots: Arc<Semaphore>,
}

impl Inner {
    /// Takes a retry out of the upstream's budget; false when it is spent.
    pub(crate) fn may_retry(&self) -> bool {
        self.retries.lock().unwrap_or_else(PoisonError::into_inner).spend(Instant::now())
    }

    /// A connection for a blob. Waiting for one is part of the deadline.
    ///
    /// # Errors
    /// `overloaded` when none came free.
    pub(crate) async fn blob_slot(&self, deadline: Instant) -> Result<OwnedSemaphorePermit, Error> {
        let acquired = timeout_at(deadline, Arc::clone(&self.blob_slots).acquire_owned()).await;
        acquired.ok().and_then(Result::ok).ok_or_else(|| {
            let most = self.upstream.limits.blob_connections;
            let message = format!("{most} blobs are under way (blob_connections) and none ended in time");
            let evidence = Evidence::host(self.upstream.registry.as_str()).saying(&message);
            Error::new(Class::Overloaded, Stage::BlobFirstByte, evidence)
        })
    }

    /// Counts a request towards the retry budget.
    pub(crate) fn note_request(&self) {
        self.retries.lock().unwrap_or_else(PoisonError::into_inner).request(Instant::now());
    }
}
