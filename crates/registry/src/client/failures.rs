//! Chooses the failure that is reported when several endpoints fail, and the failures after which no other endpoint is
//! asked.

use http::StatusCode;
use oci::class::Class;

use crate::error::Error;
use crate::upstream::{Endpoint, Upstream};

/// The failures of the endpoints that one request was sent to. The registry's own endpoint is more authoritative than
/// its mirrors: its failure is reported rather than theirs, and no other endpoint is asked after its refusal.
#[derive(Debug)]
pub(crate) struct Failures {
    /// The registry's own endpoint, as an index into the upstream's endpoints.
    own: usize,
    reported: Option<Error>,
}

impl Failures {
    /// No failures yet.
    pub(crate) fn of(upstream: &Upstream) -> Self {
        Self { own: own_endpoint(upstream), reported: None }
    }

    /// Adds the failure of an endpoint.
    ///
    /// # Errors
    /// The failure itself, if no other endpoint can change it.
    pub(crate) fn add(&mut self, endpoint: usize, error: Error) -> Result<(), Error> {
        let own = endpoint == self.own;
        if own && is_final(&error) {
            return Err(error);
        }
        if own || self.reported.is_none() {
            self.reported = Some(error);
        }
        Ok(())
    }

    /// The failure to report; `None` if no endpoint failed.
    pub(crate) fn into_reported(self) -> Option<Error> {
        self.reported
    }
}

/// The index of the first endpoint within the registry's own domain, else of the last endpoint.
fn own_endpoint(upstream: &Upstream) -> usize {
    let registry = psl::domain_str(upstream.registry.host());
    let is_own = |endpoint: &Endpoint| {
        let host = endpoint.url.host_str();
        host == Some(upstream.registry.host())
            || registry.is_some() && host.and_then(psl::domain_str) == registry
    };
    let endpoints = &upstream.endpoints;
    endpoints.iter().position(is_own).unwrap_or(endpoints.len().saturating_sub(1))
}

/// True if the registry itself refuses the request or lacks the object. A refusal of its blob host does not count.
fn is_final(error: &Error) -> bool {
    let too_busy = [StatusCode::REQUEST_TIMEOUT.as_u16(), StatusCode::TOO_MANY_REQUESTS.as_u16()];
    let refused = |status: u16| (400..500).contains(&status) && !too_busy.contains(&status);
    error.class != Class::BlobHost && error.evidence.status.is_some_and(refused)
}
