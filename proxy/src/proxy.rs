//! The proxy as a whole: its parts, put together from settings.

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use oci::ImageName;
use store::{Store, Touch};

use crate::access::gate::Gate;
use crate::endpoint::dispatch::Dispatch;
use crate::endpoint::fairness::Fairness;
use crate::endpoint::manifest::answer::Manifests;
use crate::endpoint::served::{Served, Table};
use crate::endpoint::warm::{self, Warmed};
use crate::flight::flights::Flights;
use crate::flight::repeats::Repeats;
use crate::freshness::absent::Absences;
use crate::http::server::{Bound, Server};
use crate::http::tls::ServerTls;
use crate::pull::open::OpenPulls;
use crate::pull::record::Records;
use crate::status::Status;
use crate::telemetry::recorder::Telemetry;

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
    /// Puts the parts together; opens nothing. `telemetry` takes the events of `store`, which was opened with
    /// it, and `records` the record of each pull.
    pub fn new(
        settings: Settings,
        upstreams: Vec<Served>,
        store: Store,
        telemetry: Arc<Telemetry>,
        records: Arc<dyn Records>,
    ) -> Self {
        telemetry.cache_limit(store.standing().limit_bytes);
        let dispatch = Dispatch {
            table: ArcSwap::from_pointee(table(upstreams, &telemetry)),
            flights: Flights::new(store.clone(), Arc::<Telemetry>::clone(&telemetry)),
            absences: Absences::new(),
            manifests: Manifests::new(store.clone()),
            gate: Gate::new(store.clone()),
            store,
            pulls: OpenPulls::new(records),
            telemetry,
            header_deadline: settings.header_deadline,
            fairness: Fairness::new(settings.client_rate),
            instance: settings.instance,
            repeats: Repeats::new(),
            touch: if settings.tls.is_some() { Touch::Process } else { Touch::Kernel },
        };
        let Settings { tls, max_connections, drain, .. } = settings;
        Self(Arc::new(Server { dispatch: Arc::new(dispatch), tls, max_connections, drain }))
    }

    /// Serves these upstreams from now on; requests under way keep those they began with.
    pub fn replace_upstreams(&self, upstreams: Vec<Served>) {
        let dispatch = &self.0.dispatch;
        dispatch.table.store(Arc::new(table(upstreams, &dispatch.telemetry)));
        dispatch.gate.forget();
    }

    /// Keeps content to this budget, and these images whatever comes, from now on; what is too much leaves soon.
    /// Without a budget: 80 % of the file system.
    pub async fn allow(&self, max_size: Option<u64>, pinned: Vec<ImageName>) {
        let dispatch = &self.0.dispatch;
        dispatch.store.allow(max_size, pinned).await;
        dispatch.telemetry.cache_limit(dispatch.store.standing().limit_bytes);
    }

    /// Listens on `address`; port 0 lets the system choose.
    ///
    /// # Errors
    /// The system's: the address is taken, or not ours.
    pub async fn bind(&self, address: SocketAddr) -> io::Result<Bound> {
        Bound::new(Arc::clone(&self.0), address).await
    }

    /// Ends every pull that is open, as if its client had gone quiet: at the end of the process, so that its record is
    /// not lost.
    pub fn end_pulls(&self) {
        self.0.dispatch.pulls.end_all();
    }

    /// The store, to look into and to clean.
    pub fn store(&self) -> &Store {
        &self.0.dispatch.store
    }

    /// Pulls an image as a node would, and throws the bytes away: what is missing comes into the store. Of an index,
    /// `platforms` (`linux/arm64`); when none is named, the one we run on.
    ///
    /// # Errors
    /// In words: why it could not be pulled.
    pub async fn warm(&self, image: &ImageName, platforms: &[String]) -> Result<Warmed, String> {
        warm::pull(&self.0.dispatch, image, platforms).await
    }

    /// The present state.
    pub fn status(&self) -> Status {
        let Dispatch { store, table, telemetry, .. } = &*self.0.dispatch;
        Status::of(store, &table.load(), telemetry)
    }
}

fn table(upstreams: Vec<Served>, telemetry: &Telemetry) -> Table {
    telemetry.admit(upstreams.iter().map(|served| &served.registry));
    upstreams.into_iter().map(|served| (served.registry.clone(), Arc::new(served))).collect()
}
