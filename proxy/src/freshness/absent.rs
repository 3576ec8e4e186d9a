//! Recent 404 answers of upstreams. When a node asks again, it gets the remembered 404 and the registry is not asked.
//!
//! Only a 404 is remembered, never a refusal, because another client may have access to content that one client may not
//! see. For the same reason, only a 404 to the identity that we use for all clients is remembered.

use std::time::SystemTime;

use moka::sync::Cache;
use oci::{Reference, RegistryHost, Repository};
use registry::Error;

use super::policy::{Freshness, is_absence};

/// The name of a manifest or a blob at its upstream.
pub(crate) type ContentKey = (RegistryHost, Repository, Reference);

/// Absent manifests of all upstreams, by tag or digest, or absent blobs. One value never holds both, because a digest
/// may be absent as a manifest and present as a blob.
#[derive(Clone)]
pub(crate) struct Absences(Cache<ContentKey, (Error, SystemTime)>);

impl Absences {
    pub(crate) fn new() -> Self {
        Self(Cache::new(ABSENCES_MAX))
    }

    /// The upstream's 404 for `key`, if it is young enough.
    pub(crate) fn get(&self, key: &ContentKey, freshness: Freshness, now: SystemTime) -> Option<Error> {
        let (error, at) = self.0.get(key)?;
        freshness.absence_holds(at, now).then_some(error)
    }

    /// Remembers or forgets an absence, according to the upstream's answer to a request sent at `at`.
    pub(crate) fn note<T>(&self, key: &ContentKey, answered: &Result<T, Error>, at: SystemTime) {
        match answered {
            Err(error) if is_absence(error) => self.0.insert(key.clone(), (error.clone(), at)),
            Err(_) => {}
            Ok(_) => self.0.invalidate(key),
        }
    }
}

/// The most absences remembered, some 500 bytes each. An absence that is forgotten too early costs one request.
const ABSENCES_MAX: u64 = 10_000;
