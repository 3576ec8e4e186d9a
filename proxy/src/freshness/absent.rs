//! Recent 404 answers of upstreams: a node that retries is answered here, not by the registry.
//!
//! Only a 404 is remembered, never a refusal, and only one that was given to an identity we ask with for everybody: what
//! one client may not see, another may.

use std::time::SystemTime;

use moka::sync::Cache;
use oci::{Reference, RegistryHost, Repository};
use registry::Error;

use super::policy::{Freshness, is_absence};

/// The name of a manifest or a blob at its upstream.
pub(crate) type ContentKey = (RegistryHost, Repository, Reference);

/// Absent manifests of all upstreams, by tag or digest, or absent blobs: not both, for a digest may be the one and not the
/// other.
#[derive(Clone)]
pub(crate) struct Absences(Cache<ContentKey, (Error, SystemTime)>);

impl Absences {
    pub(crate) fn new() -> Self {
        Self(Cache::new(ABSENCES_MAX))
    }

    /// The upstream's "no" to `key`, if it is young enough.
    pub(crate) fn get(&self, key: &ContentKey, freshness: Freshness, now: SystemTime) -> Option<Error> {
        let (error, at) = self.0.get(key)?;
        freshness.absence_holds(at, now).then_some(error)
    }

    /// Remembers or forgets, by the answer of an upstream to a request sent at `at`.
    pub(crate) fn note<T>(&self, key: &ContentKey, answered: &Result<T, Error>, at: SystemTime) {
        match answered {
            Err(error) if is_absence(error) => self.0.insert(key.clone(), (error.clone(), at)),
            Err(_) => {}
            Ok(_) => self.0.invalidate(key),
        }
    }
}

/// Absences remembered: some 500 bytes each. One forgotten too early costs a request.
const ABSENCES_MAX: u64 = 10_000;
