//! Manifests that were answered a moment ago, by the target of the request.
//!
//! Nodes ask for the same few manifests in bursts. A hit is kept for [`READY_FOR`] as the answer to its target. The
//! next request then needs no parsing of names, no hashing of paths and no look-up of records. A kept answer is valid
//! only while its upstream is configured as before, the tag's record is fresh, and no content has left the store.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use moka::sync::Cache;
use store::TagRecord;

use super::asking::Asking;
use super::manifest::held::Held;
use super::served::Served;
use crate::http::respond::KnownHeaders;
use crate::http::route::Request;
use crate::pull::named::Names;

/// Answers by target.
#[derive(Clone)]
pub(crate) struct ReadyAnswers(Cache<String, Arc<Ready>>);

/// One kept answer.
pub(crate) struct Ready {
    /// The request of the target.
    pub(crate) request: Arc<Request>,
    /// The manifest.
    pub(crate) held: Held,
    /// The upstream as it was configured at that time.
    pub(crate) served: Arc<Served>,
    /// The tag's record, if the target names one.
    pub(crate) record: Option<TagRecord>,
    /// The objects that the manifest names.
    pub(crate) names: Option<Names>,
    /// The store's count of content that left it (`Store::departures`), from when the answer was kept.
    pub(crate) departures: u64,
    /// The headers of the answer.
    pub(crate) headers: KnownHeaders,
}

impl ReadyAnswers {
    pub(crate) fn new() -> Self {
        Self(Cache::builder().max_capacity(READY_MAX).time_to_live(READY_FOR).build())
    }

    /// The kept answer to `target`, if there is one. [`Ready::holds`] says whether it is still valid.
    pub(crate) fn get(&self, target: &str) -> Option<Arc<Ready>> {
        self.0.get(target)
    }

    /// Keeps `held` as the answer, with the tag's record if the request was for a tag. `departures` is the store's
    /// count from before the store was read.
    pub(crate) fn keep(&self, asking: &Asking<'_>, held: &Held, record: Option<&TagRecord>, departures: u64) {
        if asking.target.len() > TARGET_MAX {
            return;
        }
        let ready = Ready {
            request: Arc::clone(asking.request),
            held: held.clone(),
            served: Arc::clone(asking.served),
            record: record.cloned(),
            names: Names::of(&held.media_type, &held.bytes),
            departures,
            headers: KnownHeaders::default(),
        };
        self.0.insert(asking.target.to_owned(), Arc::new(ready));
    }
}

impl Ready {
    /// True if the answer is still valid for the upstream `served`, the store's count `departures` and the time `now`.
    pub(crate) fn holds(&self, served: &Arc<Served>, departures: u64, now: SystemTime) -> bool {
        Arc::ptr_eq(&self.served, served)
            && self.departures == departures
            && self.record.as_ref().is_none_or(|record| served.freshness().is_fresh(record, now))
    }
}

/// The time for which an answer is kept. If a manifest's file is removed by hand, and not through the store, the
/// manifest may still be answered for this time.
const READY_FOR: Duration = Duration::from_secs(1);
/// The most answers kept. Each holds a manifest that is in memory anyway.
const READY_MAX: u64 = 1024;
/// The longest target of a kept answer, bytes.
const TARGET_MAX: usize = 1024;
