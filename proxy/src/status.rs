//! The present state of the proxy, for the status page.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use store::{Scrubbed, Spell, Standing, Stopped, Store};

use crate::endpoint::served::{Served, Table};
use crate::flight::flights::Flights;
use crate::flight::state::Flight;
use crate::http::outcome::Outcome;
use crate::telemetry::evicted::Evictions;
use crate::telemetry::recorder::Telemetry;
use crate::telemetry::saved::Saved;
use crate::telemetry::series::Series;

/// The state of the proxy as a whole.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// Open client connections.
    pub connections: u64,
    /// The content of the store.
    pub cache: CacheStatus,
    /// Content that left the store since the start of the process, by the reason as in the label of
    /// `pullgate_cache_evictions_total`; reasons without any are absent.
    pub evicted: BTreeMap<&'static str, EvictedStatus>,
    /// Upstreams, by registry.
    pub upstreams: Vec<UpstreamStatus>,
    /// Running upstream transfers of blobs: those with the most bytes to come first, at most 50.
    pub fills: Vec<FillStatus>,
}

/// A running upstream transfer of one blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FillStatus {
    /// The registry.
    pub registry: String,
    /// The repository of the request that began the transfer; absent where names are not shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// The digest of the blob.
    pub digest: String,
    /// The size of the blob, bytes; absent until the upstream has stated it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length: Option<u64>,
    /// The bytes received so far.
    pub received: u64,
    /// The present speed, bytes a second; absent while no bytes arrive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_per_second: Option<u64>,
    /// The number of client requests that wait for the blob or read it.
    pub readers: usize,
}

/// The content of the store.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CacheStatus {
    /// The number of objects.
    pub objects: u64,
    /// The size of all objects, bytes.
    pub bytes: u64,
    /// True once the scan at the start has seen all objects.
    pub scanned: bool,
    /// The limit of the store, bytes.
    pub limit_bytes: u64,
    /// Size of the file system that holds the cache, bytes; absent if it cannot be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_system_bytes: Option<u64>,
    /// True if the limit is more than the cache may use of its file system.
    pub oversized: bool,
    /// Set while content cannot be stored; pulls pass through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<StoppedStatus>,
    /// Set while the disk is slow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slow: Option<SlowStatus>,
    /// Bytes that running fills have written or may still write.
    pub reserved_bytes: u64,
    /// Bytes of paused and failed fills, kept for the next request.
    pub partial_bytes: u64,
    /// Bytes of objects that were removed while clients read them. The space is free when the last reader is gone.
    pub unlinked_bytes: u64,
    /// The number of objects that belong to pinned images.
    pub pinned_objects: u64,
    /// The reason why content is not stored at present.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
    /// Folders in the cache folder that hold stores of other versions. Nothing here uses them; removing them frees
    /// their space.
    pub reclaimable: Vec<String>,
    /// The progress of the scrub.
    pub scrub: ScrubStatus,
}

/// The state of a store that cannot store.
#[derive(Clone, Debug, Serialize)]
pub struct StoppedStatus {
    /// The reason, as in the label of `pullgate_cache_storing_stopped`.
    pub reason: &'static str,
    /// The same for people, with its evidence.
    pub detail: String,
    /// The begin, in seconds since 1970.
    pub since: u64,
}

/// A disk that is slow.
#[derive(Clone, Debug, Serialize)]
pub struct SlowStatus {
    /// The operation that was slow last, or runs longest now.
    pub operation: &'static str,
    /// Its time so far, seconds.
    pub seconds: f64,
    /// True if it has ended.
    pub ended: bool,
    /// Slow operations that have ended since the beginning.
    pub operations: u64,
    /// The longest time of one operation, seconds.
    pub longest_seconds: f64,
    /// The begin, in seconds since 1970.
    pub since: u64,
    /// The same for people.
    pub detail: String,
}

/// The progress of the scrub, which slowly reads all content again while nobody pulls.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct ScrubStatus {
    /// Objects read in this round.
    pub objects: u64,
    /// The number of objects when this round began.
    pub of_objects: u64,
    /// Bytes read in this round.
    pub bytes: u64,
    /// Rounds since the start of the process.
    pub rounds: u64,
    /// Objects whose content did not match their digest, since the start of the process.
    pub wrong: u64,
}

/// Content that left the store for one reason.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct EvictedStatus {
    /// The number of objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The time of the newest eviction, in seconds since 1970.
    pub last: u64,
}

/// The state of one upstream. Its counts begin at the start of the process.
#[derive(Clone, Debug, Serialize)]
pub struct UpstreamStatus {
    /// The short id from the configuration.
    pub id: String,
    /// The registry host as in image names.
    pub registry: String,
    /// The access setting: the clients that may see pulled content.
    pub access: &'static str,
    /// Requests by outcome.
    pub answers: BTreeMap<&'static str, u64>,
    /// Body bytes sent to clients.
    pub sent_bytes: u64,
    /// Upstream transfers under way.
    pub fills_in_flight: u64,
    /// The number of times that an upstream transfer broke off and was continued.
    pub fill_resumes: u64,
    /// Savings through the cache.
    pub saved: SavedStatus,
}

/// The savings of one registry's pulls.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct SavedStatus {
    /// Bytes that clients got without an upstream transfer of their own.
    pub bytes: u64,
    /// Requests that the registry did not receive.
    pub requests: u64,
    /// Pulls that did not count against the registry's quota.
    pub counted_pulls: u64,
    /// Seconds that the registry would have needed for the bytes, at the median throughput of its transfers.
    pub seconds: f64,
    /// Pulls that ended well while the registry was failing.
    pub rescued_pulls: u64,
}

impl Status {
    pub(crate) fn of(store: &Store, table: &Table, telemetry: &Telemetry, flights: &Flights) -> Self {
        let cache = CacheStatus::of(store);
        let mut upstreams: Vec<_> = table
            .values()
            .map(|served| UpstreamStatus::of(served, &telemetry.series(Some(&served.registry))))
            .collect();
        upstreams.sort_by(|one, other| one.registry.cmp(&other.registry));
        let evicted = telemetry.evictions.so_far().into_iter();
        let evicted = evicted.map(|(reason, evictions)| (reason, evictions.into())).collect();
        Self { connections: telemetry.connections(), cache, evicted, upstreams, fills: fills(flights) }
    }
}

fn fills(flights: &Flights) -> Vec<FillStatus> {
    let mut fills = flights.map_running(FillStatus::of);
    fills.sort_by_key(|fill| Reverse(fill.left()));
    fills.truncate(FILLS_SHOWN);
    fills
}

impl FillStatus {
    fn of(flight: &Arc<Flight>) -> Self {
        let progress = flight.progress.borrow();
        Self {
            registry: flight.party.scope.registry.to_string(),
            repository: Some(flight.party.repository.to_string()),
            digest: flight.digest.to_string(),
            length: progress.length,
            received: progress.written + progress.ahead.total(),
            bytes_per_second: progress.pace.rate(),
            readers: flight.readers(),
        }
    }

    /// The bytes that are still missing. For a blob of unknown size this is the largest number.
    fn left(&self) -> u64 {
        self.length.map_or(u64::MAX, |length| length.saturating_sub(self.received))
    }
}

impl CacheStatus {
    /// Looks at `store`.
    pub fn of(store: &Store) -> Self {
        let (usage, standing) = (store.usage(), store.standing());
        let oversized = standing.is_oversized();
        let Standing { stopped, slow, .. } = standing;
        Self {
            objects: usage.objects,
            bytes: usage.bytes,
            scanned: usage.complete,
            limit_bytes: standing.limit_bytes,
            file_system_bytes: standing.file_system_bytes,
            oversized,
            stopped: stopped.map(StoppedStatus::from),
            slow: slow.map(SlowStatus::from),
            reserved_bytes: standing.reserved_bytes,
            partial_bytes: standing.partial_bytes,
            unlinked_bytes: standing.unlinked_bytes,
            pinned_objects: standing.pinned_objects,
            warning: standing.warning,
            reclaimable: standing.reclaimable,
            scrub: ScrubStatus::of(standing.scrubbed),
        }
    }
}

impl From<Stopped> for StoppedStatus {
    fn from(stopped: Stopped) -> Self {
        let Stopped { reason, detail, since } = stopped;
        Self { reason: reason.as_str(), detail, since: seconds(since) }
    }
}

impl From<Spell> for SlowStatus {
    fn from(spell: Spell) -> Self {
        let Spell { since, operations, longest, last } = spell;
        Self {
            operation: last.operation.as_str(),
            seconds: last.took.as_secs_f64(),
            ended: last.ended,
            operations,
            longest_seconds: longest.took.as_secs_f64(),
            since: seconds(since),
            detail: format!("the cache's disk is slow: {last}"),
        }
    }
}

impl ScrubStatus {
    fn of(scrubbed: Scrubbed) -> Self {
        let Scrubbed { objects, bytes, of_objects, rounds, wrong } = scrubbed;
        Self { objects, of_objects, bytes, rounds, wrong }
    }
}

impl From<Saved> for SavedStatus {
    fn from(saved: Saved) -> Self {
        let Saved { bytes, requests, counted_pulls, time, rescued_pulls } = saved;
        Self { bytes, requests, counted_pulls, seconds: time.as_secs_f64(), rescued_pulls }
    }
}

impl From<Evictions> for EvictedStatus {
    fn from(evictions: Evictions) -> Self {
        let Evictions { objects, bytes, last } = evictions;
        Self { objects, bytes, last: seconds(last) }
    }
}

impl UpstreamStatus {
    fn of(served: &Served, series: &Series) -> Self {
        let counts = &series.counts;
        let answers = Outcome::ALL
            .iter()
            .map(|outcome| (outcome.as_str(), counts.answers[*outcome as usize].load(Ordering::Relaxed)))
            .collect();
        Self {
            id: served.id.clone(),
            registry: served.registry.to_string(),
            access: served.access.as_str(),
            answers,
            sent_bytes: counts.sent_bytes.load(Ordering::Relaxed),
            fills_in_flight: counts.fills.load(Ordering::Relaxed),
            fill_resumes: counts.resumes.load(Ordering::Relaxed),
            saved: SavedStatus::from(series.saved_so_far()),
        }
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |age| age.as_secs())
}

/// The most running transfers that the status shows.
const FILLS_SHOWN: usize = 50;
