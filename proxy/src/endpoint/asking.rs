//! A request whose access is checked. Endpoints answer no other form of request.

use std::ops::Deref;

use registry::{Client, Error};

use super::arrived::Arrived;
use crate::access::pass::{Admitted, Pass};

/// A request that was admitted.
pub(crate) struct Asking<'a> {
    arrived: Arrived<'a>,
    /// The caller's pass, if the upstream's access is per client.
    pub(crate) pass: Option<Pass>,
    /// The upstream's client for this request. It uses the caller's token if access is per client.
    pub(crate) client: Client,
}

impl<'a> Asking<'a> {
    /// The request `arrived`, after it was admitted.
    pub(crate) fn new(arrived: Arrived<'a>, admitted: Admitted) -> Self {
        let pass = admitted.into_pass();
        let client = match &pass {
            Some(pass) => pass.client(&arrived.client),
            None => arrived.client.clone(),
        };
        Self { arrived, pass, client }
    }

    /// True if the error refuses this caller. A stale answer must not replace such an error.
    pub(crate) fn is_refused(&self, error: &Error) -> bool {
        self.pass.as_ref().is_some_and(|pass| pass.is_refused(error))
    }
}

impl<'a> Deref for Asking<'a> {
    type Target = Arrived<'a>;

    fn deref(&self) -> &Arrived<'a> {
        &self.arrived
    }
}
