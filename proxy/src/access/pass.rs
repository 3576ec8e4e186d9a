//! The proof that a request may see its repository.

use oci::{RegistryHost, Repository};
use registry::{Caller, Client, Error};

use super::identity::Identity;
use super::lease::Refused;
use super::subject::{AccessCheck, Era, Holder, Subject};
use crate::freshness::head::HeadAnswer;
use crate::http::route::Request;

/// The gate's consent to one request. Only the gate can make it.
pub(crate) struct Admitted(Option<Pass>);

impl Admitted {
    /// Consent with `pass`, or with `None` if the upstream's access is the same for all clients.
    pub(super) fn by(pass: Option<Pass>) -> Self {
        Self(pass)
    }

    /// The pass, if the upstream's access is per client.
    pub(crate) fn into_pass(self) -> Option<Pass> {
        self.0
    }
}

/// Permission to see a repository of a per-client upstream.
pub(crate) struct Pass {
    pub(super) holder: Holder,
    /// The caller. `None` for a request without a token.
    pub(super) caller: Option<Caller>,
    /// The upstream's answer for the manifest, if the check just asked for it.
    pub(crate) told: Option<HeadAnswer>,
}

impl Pass {
    pub(super) fn new(
        registry: &RegistryHost,
        repository: &Repository,
        caller: Option<Caller>,
        era: Era,
    ) -> Self {
        let identity = caller.as_ref().map_or(Identity::Anonymous, |caller| Identity::Caller(caller.id()));
        let holder = Holder { era, registry: registry.clone(), repository: repository.clone(), identity };
        Self { holder, caller, told: None }
    }

    /// `client`, asking as this caller.
    pub(crate) fn client(&self, client: &Client) -> Client {
        self.caller.as_ref().map_or_else(|| client.clone(), |caller| client.as_caller(caller))
    }

    /// The caller, if the request had a token.
    pub(crate) fn caller(&self) -> Option<&Caller> {
        self.caller.as_ref()
    }

    /// The identity of the request.
    pub(crate) fn identity(&self) -> Identity {
        self.holder.identity
    }

    /// True if the error refuses this caller, and does not concern the content or the upstream.
    pub(crate) fn is_refused(&self, error: &Error) -> bool {
        self.refused(error).is_some()
    }

    pub(super) fn refused(&self, error: &Error) -> Option<Refused> {
        Refused::of(error, self.identity())
    }

    /// The access check of the request. `None` if the request is of a kind for which no verdict is kept.
    pub(super) fn question(&self, request: &Request) -> Option<AccessCheck> {
        Some(AccessCheck { holder: self.holder.clone(), content: Subject::of(request)? })
    }
}
