//! Images that were pulled through the proxy just now, from their registry: such a pull says more than a probe.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use oci::{ImageName, ObjectKind, ObjectOutcome};
use proxy::{PullOutcome, PullRecord};
use tokio::time::Instant;

/// The last pull of each image. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct FreshPulls(Arc<Mutex<HashMap<ImageName, Instant>>>);

impl FreshPulls {
    /// Notes a pull whose manifest and a layer came from the registry, with our own identity.
    pub(crate) fn note(&self, record: &PullRecord, upstreams: &[config::Upstream]) {
        let ours = upstreams.iter().any(|upstream| {
            upstream.registry == record.registry && upstream.access != config::Access::PerClient
        });
        let fetched = |kinds: &[ObjectKind]| {
            record
                .objects
                .iter()
                .any(|it| kinds.contains(&it.kind) && it.outcome == ObjectOutcome::Miss && it.fetched > 0)
        };
        let whole = record.outcome == PullOutcome::Miss && record.class.is_none();
        if ours
            && whole
            && fetched(&[ObjectKind::Manifest, ObjectKind::Index])
            && fetched(&[ObjectKind::Layer])
        {
            let mut pulls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if pulls.len() >= KEPT_MAX {
                pulls.retain(|_, at| at.elapsed() < KEPT_FOR);
            }
            if pulls.len() < KEPT_MAX {
                pulls.insert(record.image.clone(), Instant::now());
            }
        }
    }

    /// The time since the last pull of `image`.
    pub(crate) fn last(&self, image: &ImageName) -> Option<Duration> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(image).map(Instant::elapsed)
    }
}

/// The most images that are kept.
const KEPT_MAX: usize = 10_000;
/// Older pulls make room.
const KEPT_FOR: Duration = Duration::from_secs(600);
