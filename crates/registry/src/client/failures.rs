//! Which of several endpoints' failures is told, and which of them ends the question at once.

use http::StatusCode;
use oci::class::Class;

use crate::error::Error;
use crate::upstream::{Endpoint, Upstream};

/// The failures of the endpoints that one question was put to. The registry's own endpoint knows more than its mirrors:
/// its failure is told rather than theirs, and nobody else is asked once it says no.
#[derive(Debug)]
pub(crate) struct Failures {
    /// The registry's own endpoint.
    own: usize,
    told: Option<Error>,
}

impl Failures {
    /// None yet.
    pub(crate) fn of(upstream: &Upstream) -> Self {
        Self { own: own_endpoint(upstream), told: None }
    }

    /// Takes note of a failure.
    ///
    /// # Errors
    /// The failure itself, if no other endpoint can change it.
    pub(crate) fn add(&mut self, endpoint: usize, error: Error) -> Result<(), Error> {
        let own = endpoint == self.own;
        if own && is_final(&error) {
            return Err(error);
        }
        if own || self.told.is_none() {
            self.told = Some(error);
        }
        Ok(())
    }

    /// The one to tell, if any endpoint failed.
    pub(crate) fn into_told(self) -> Option<Error> {
        self.told
    }
}

/// The first endpoint within the registry's own domain, else the last.
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

/// True if the registry itself refuses us or lacks the object. An answer of its blob host does not count.
fn is_final(error: &Error) -> bool {
    let too_busy = [StatusCode::REQUEST_TIMEOUT.as_u16(), StatusCode::TOO_MANY_REQUESTS.as_u16()];
    let refused = |status: u16| (400..500).contains(&status) && !too_busy.contains(&status);
    error.class != Class::BlobHost && error.evidence.status.is_some_and(refused)
}
