//! The state that all clones of a client share, and the origin of the requests of one clone.

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

/// The origin of a request: the client that it is made for, and its demand.
#[derive(Clone)]
pub(crate) struct Behalf {
    /// The `VIA` header of the client's request: the mirrors that the request has passed.
    pub(crate) via: Arc<str>,
    /// The caller whose token is sent; `None` if our own identity is used.
    pub(crate) caller: Option<Caller>,
    /// The importance of the request.
    pub(crate) demand: Demand,
    /// Collects the upstream work that the request causes.
    pub(crate) trail: Option<Trail>,
}

pub(crate) struct Inner {
    pub(crate) upstream: Upstream,
    pub(crate) outbound: Outbound,
    pub(crate) connections: Connections,
    pub(crate) transport: Transport,
    /// Idle connections of all calls; unused with [`Connections::Fresh`].
    pub(crate) pool: Arc<Pool>,
    /// For each endpoint: true once it has asked for Basic.
    pub(crate) wants_basic: Vec<AtomicBool>,
    /// The last challenge of the first endpoint.
    pub(crate) challenged: Mutex<Option<Challenge>>,
    /// The breaker of each endpoint.
    pub(crate) guards: Vec<Guard>,
    pub(crate) retries: Mutex<RetryBudget>,
    /// The free connections for blobs (`blob_connections`).
    pub(crate) blob_slots: Arc<Semaphore>,
}

impl Inner {
    /// Takes a retry out of the upstream's budget; false if the budget is spent.
    pub(crate) fn may_retry(&self) -> bool {
        self.retries.lock().unwrap_or_else(PoisonError::into_inner).spend(Instant::now())
    }

    /// The permit for one blob connection. The wait for it ends at `deadline`.
    ///
    /// # Errors
    /// `overloaded` if no permit became free in time.
    pub(crate) async fn blob_slot(&self, deadline: Instant) -> Result<OwnedSemaphorePermit, Error> {
        let acquired = timeout_at(deadline, Arc::clone(&self.blob_slots).acquire_owned()).await;
        acquired.ok().and_then(Result::ok).ok_or_else(|| {
            let most = self.upstream.limits.blob_connections;
            let message =
                format!("{most} blobs are being fetched (blob_connections), and none ended in time");
            let evidence = Evidence::host(self.upstream.registry.as_str()).saying(&message);
            Error::new(Class::Overloaded, Stage::BlobFirstByte, evidence)
        })
    }

    /// Counts a request towards the retry budget.
    pub(crate) fn note_request(&self) {
        self.retries.lock().unwrap_or_else(PoisonError::into_inner).request(Instant::now());
    }
}
