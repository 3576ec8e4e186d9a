//! The mirror nodes pull from: each layer once from the registry, then from disk, and still when the registry is gone.
//!
//! A connection ([`server`]) brings requests, each a [`visit`]; [`route`] turns each into one typed value or refuses it; [`mirror`] finds
//! the upstream and asks the module of the endpoint; [`respond`] alone turns what was found, or why not, into HTTP.
//!
//! ```text
//!   server ── wire, tls          respond ── body
//!      │                            ▲
//!      ▼                            │
//!   route ──► mirror ── access ──► manifest, blob, tags, referrers
//!                                   │         │
//!               absent, ready, policy, complete     ▼
//!                      coalesce     │      flight ── fill ── origin (the upstream)
//!                                   ▼         │       │
//!                                 store ◄─────┴───────┘
//! ```
//!
//! Content is stored by digest and seen by link: [`store`] knows no HTTP, and what it holds hashes to its name. One
//! [`flight`] fetches a digest for all who ask, whoever leaves; readers follow it from disk at their own pace. What a
//! tag means is decided by [`policy`], which does nothing else. [`telemetry`] alone names metrics; [`pull`] stitches the
//! requests of one client's pull into one record.

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use oci::ImageName;

mod absent;
mod access;
mod blob;
mod body;
mod coalesce;
mod complete;
mod demand;
mod fairness;
mod fill;
pub mod flight;
mod manifest;
mod mirror;
pub mod origin;
mod policy;
mod portion;
mod pull;
mod range;
pub mod reader;
mod ready;
mod referrers;
mod repeats;
mod respond;
mod route;
mod server;
mod status;
mod tags;
mod telemetry;
mod tls;
mod visit;
mod warm;
mod wire;

pub use mirror::Served;
pub use server::Bound;
pub use status::{CacheStatus, Status, UpstreamStatus};
pub use telemetry::Telemetry;
pub use tls::{ServerTls, TlsError};
pub use warm::Warmed;

use ::store::{Store, Touch};

use absent::Absences;
use access::Gate;
use fairness::Fairness;
use flight::Flights;
use manifest::Manifests;
use mirror::{Mirror, Table};
use repeats::Repeats;
use server::Server;

/// The mirror, built and not yet listening. Clones share it.
#[derive(Clone)]
pub struct Proxy(Arc<Server>);

/// How to serve clients.
#[derive(Clone)]
pub struct Settings {
    /// Longest wait of a client for response headers; at most 25 s.
    pub header_deadline: Duration,
    /// How long running bodies may go on after the signal to stop.
    pub drain: Duration,
    /// Requests of one client for what is not here that may go upstream a second.
    pub client_rate: NonZeroU32,
    /// Client connections served at once.
    pub max_connections: usize,
    /// Serve TLS; plain HTTP without.
    pub tls: Option<ServerTls>,
    /// The mark our own requests carry (`registry::Outbound::instance`), to know one that comes back.
    pub instance: Arc<str>,
}

impl Proxy {
    /// Puts the parts together; opens nothing. `telemetry` is the watch that `store` was opened with.
    pub fn new(settings: Settings, upstreams: Vec<Served>, store: Store, telemetry: Arc<Telemetry>) -> Self {
        telemetry.cache_limit(store.standing().limit_bytes);
        let mirror = Mirror {
            table: ArcSwap::from_pointee(table(upstreams, &telemetry)),
            flights: Flights::new(store.clone(), Arc::<Telemetry>::clone(&telemetry)),
            absences: Absences::new(),
            manifests: Manifests::new(store.clone()),
            gate: Gate::new(store.clone()),
            store,
            telemetry,
            header_deadline: settings.header_deadline,
            fairness: Fairness::new(settings.client_rate),
            instance: settings.instance,
            repeats: Repeats::new(),
            touch: if settings.tls.is_some() { Touch::Process } else { Touch::Kernel },
        };
        let Settings { tls, max_connections, drain, .. } = settings;
        Self(Arc::new(Server { mirror: Arc::new(mirror), tls, max_connections, drain }))
    }

    /// Serves these upstreams from now on; requests under way keep those they began with.
    pub fn replace_upstreams(&self, upstreams: Vec<Served>) {
        let mirror = &self.0.mirror;
        mirror.table.store(Arc::new(table(upstreams, &mirror.telemetry)));
        mirror.gate.forget();
    }

    /// Keeps content to this budget, and these images whatever comes, from now on; what is too much leaves soon.
    /// Without a budget: 80 % of the file system.
    pub async fn allow(&self, max_size: Option<u64>, pinned: Vec<ImageName>) {
        let mirror = &self.0.mirror;
        mirror.store.allow(max_size, pinned).await;
        mirror.telemetry.cache_limit(mirror.store.standing().limit_bytes);
    }

    /// Listens on `address`; port 0 lets the system choose.
    ///
    /// # Errors
    /// The system's: the address is taken, or not ours.
    pub async fn bind(&self, address: SocketAddr) -> io::Result<Bound> {
        Bound::new(Arc::clone(&self.0), address).await
    }

    /// The store, to look into and to clean.
    pub fn store(&self) -> &Store {
        &self.0.mirror.store
    }

    /// Pulls an image as a node would, and throws the bytes away: what is missing comes into the store. Of an index,
    /// `platforms` (`linux/arm64`); when none is named, the one we run on.
    ///
    /// # Errors
    /// In words: why it could not be pulled.
    pub async fn warm(&self, image: &ImageName, platforms: &[String]) -> Result<Warmed, String> {
        warm::pull(&self.0.mirror, image, platforms).await
    }

    /// What it is doing now.
    pub fn status(&self) -> Status {
        Status::of(&self.0.mirror)
    }
}

fn table(upstreams: Vec<Served>, telemetry: &Telemetry) -> Table {
    telemetry.admit(upstreams.iter().map(|served| &served.registry));
    upstreams.into_iter().map(|served| (served.registry.clone(), Arc::new(served))).collect()
}
