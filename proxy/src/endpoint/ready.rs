//! Manifests as they were answered a moment ago, by the request's target.
//!
//! Nodes ask for the same few manifests in bursts. The answer to a target that was a hit is good for the next
//! [`READY_FOR`]: no name to parse, no path to hash, no record to find. It holds only while what it was made of does: the
//! upstream as it is configured, the tag's record still fresh, and nothing gone from the store meanwhile.

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

/// One answer.
pub(crate) struct Ready {
    /// The request of the target.
    pub(crate) request: Arc<Request>,
    /// The manifest.
    pub(crate) held: Held,
    /// The upstream as it was configured.
    pub(crate) served: Arc<Served>,
    /// The tag's record, if the target names one.
    pub(crate) record: Option<TagRecord>,
    /// What it names.
    pub(crate) names: Option<Names>,
    /// How many things had left the store.
    pub(crate) departures: u64,
    /// The headers it is answered with.
    pub(crate) headers: KnownHeaders,
}

impl ReadyAnswers {
    pub(crate) fn new() -> Self {
        Self(Cache::builder().max_capacity(READY_MAX).time_to_live(READY_FOR).build())
    }

    /// The answer to `target`, if there is one; [`Ready::holds`] says whether it may still be given.
    pub(crate) fn get(&self, target: &str) -> Option<Arc<Ready>> {
        self.0.get(target)
    }

    /// Remembers `held` as the answer, with the tag's record if a tag was asked for; `departures` as they were before
    /// the store was asked.
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
    /// True if it is still valid for an upstream configured as `served`, with `departures` from the store, at `now`.
    pub(crate) fn holds(&self, served: &Arc<Served>, departures: u64, now: SystemTime) -> bool {
        Arc::ptr_eq(&self.served, served)
            && self.departures == departures
            && self.record.as_ref().is_none_or(|record| served.freshness().is_fresh(record, now))
    }
}

/// How long the store's word is taken for what was asked a moment ago: also the longest that a file removed by hand,
/// and not through us, is answered still.
const READY_FOR: Duration = Duration::from_secs(1);
/// Answers remembered; each holds a manifest that is in memory anyway.
const READY_MAX: u64 = 1024;
/// Longest target remembered, bytes.
const TARGET_MAX: usize = 1024;
