//! A request whose access is checked: the only form that endpoints answer.

use std::ops::Deref;

use registry::{Client, Error};

use super::arrived::Arrived;
use crate::access::pass::{Admitted, Pass};

/// A request on its way to an answer.
pub(crate) struct Asking<'a> {
    arrived: Arrived<'a>,
    /// The caller's pass, if the upstream's access is per client.
    pub(crate) pass: Option<Pass>,
    /// Asks the upstream on behalf of this request, as its caller where access is per client.
    pub(crate) client: Client,
}

impl<'a> Asking<'a> {
    /// The request, let in.
    pub(crate) fn new(arrived: Arrived<'a>, admitted: Admitted) -> Self {
        let pass = admitted.into_pass();
        let client = match &pass {
            Some(pass) => pass.client(&arrived.client),
            None => arrived.client.clone(),
        };
        Self { arrived, pass, client }
    }

    /// True if the error refuses this caller; then no stale answer excuses it.
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
