//! The credentials that running workloads use. Equal credentials of several secrets are one, so that they are probed
//! once.

use std::sync::Arc;

use oci::credential::{CredentialFuture, CredentialSource};
use oci::{Credential, Repository};

use super::index::Name;
use crate::secret::{Login, Match};

/// A credential from one or more pull secrets.
#[derive(Debug)]
pub struct PullLogin {
    /// A number of its own. A secret with another password gets another number.
    pub number: u64,
    /// The first secret that holds it, as namespace and name.
    pub secret: (Box<str>, Box<str>),
    /// The version of that secret. It changes with every change of the object.
    pub version: Box<str>,
    /// The key of the entry, as it may be shown.
    pub key: Box<str>,
    login: Login,
}

impl PullLogin {
    /// The credential.
    pub fn credential(&self) -> Credential {
        self.login.credential()
    }
}

impl CredentialSource for PullLogin {
    fn credential<'a>(&'a self, _: Option<&'a Repository>) -> CredentialFuture<'a> {
        Box::pin(async { Ok(Some(self.login.credential())) })
    }
}

/// The credentials that were in use at the last look, so that each keeps its number.
#[derive(Debug, Default)]
pub(super) struct Logins {
    known: Vec<Arc<PullLogin>>,
    next: u64,
}

impl Logins {
    /// Begins a new look: credentials that are not found again are forgotten at its end.
    pub(super) fn look(&mut self) -> Look<'_> {
        Look { before: std::mem::take(&mut self.known), logins: self }
    }
}

/// One look at all credentials in use.
pub(super) struct Look<'a> {
    before: Vec<Arc<PullLogin>>,
    logins: &'a mut Logins,
}

impl Look<'_> {
    /// The credential of this entry. The caller passes the entries in a stable order, so that the first secret stays the
    /// same.
    pub(super) fn login(&mut self, found: Match<'_>) -> Arc<PullLogin> {
        let login = &found.entry.login;
        if let Some(known) = self.logins.known.iter().find(|known| known.login.same(login)) {
            return known.clone();
        }
        let secret: Name = (found.secret.namespace.clone(), found.secret.name.clone());
        let before = self.before.iter().find(|before| before.login.same(login));
        let same = before.filter(|it| it.secret == secret && it.version == found.secret.version);
        let now = same.cloned().unwrap_or_else(|| {
            let number = before.map_or(self.logins.next + 1, |before| before.number);
            let (version, key) = (found.secret.version.clone(), found.entry.shown.clone());
            Arc::new(PullLogin { number, secret, version, key, login: login.clone() })
        });
        self.logins.next = self.logins.next.max(now.number);
        self.logins.known.push(now.clone());
        now
    }
}
