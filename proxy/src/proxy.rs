//! The proxy as a whole: its parts, put together from settings.

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use config::Access;
use oci::{ImageName, Platform};
use store::{Store, Touch};

use crate::access::gate::Gate;
use crate::endpoint::completion;
use crate::endpoint::dispatch::Dispatch;
use crate::endpoint::fairness::Fairness;
use crate::endpoint::manifest::answer::Manifests;
use crate::endpoint::served::{Served, Table};
use crate::endpoint::warm::{self, Warmed};
use crate::flight::flights::Flights;
use crate::flight::repeats::Repeats;
use crate::freshness::absent::Absences;
use crate::freshness::incomplete::Incomplete;
use crate::freshness::standby::{Outage, Standby};
use crate::http::request_id::RequestIds;
use crate::http::server::{Bound, Server};
use crate::http::tls::ServerTls;
use crate::pull::open::OpenPulls;
use crate::pull::record::Records;
use crate::status::Status;
use crate::telemetry::recorder::Telemetry;

/// The proxy with all its parts, not yet listening. Clones share it.
#[derive(Clone)]
pub struct Proxy(Arc<Server>);

/// Settings for serving clients.
#[derive(Clone)]
pub struct Settings {
    /// The longest time that a client waits for response headers; at most 25 s.
    pub header_deadline: Duration,
    /// The time for which running bodies may continue after the signal to stop.
    pub drain: Duration,
    /// The most upstream requests a second that one client may cause by asking for content that is not in the store.
    pub client_rate: NonZeroU32,
    /// The most client connections served at a time.
    pub max_connections: usize,
    /// The time from the answer of a manifest to the fetch of its image's missing objects, for upstreams with
    /// [`Served::complete`].
    pub complete_after: Duration,
    /// The TLS setup for clients. `None`: plain HTTP.
    pub tls: Option<ServerTls>,
    /// The mark that our own upstream requests carry (`registry::Outbound::instance`). A client request with this mark
    /// is one of ours that came back.
    pub instance: Arc<str>,
}

impl Proxy {
    /// Puts the parts together and opens nothing. Must be called in a runtime, because it spawns a task. `telemetry`
    /// takes the events of `store`, which must have been opened with it. `records` takes the record of each pull.
    pub fn new(
        settings: Settings,
        upstreams: Vec<Served>,
        store: Store,
        telemetry: Arc<Telemetry>,
        records: Arc<dyn Records>,
    ) -> Self {
        telemetry.cache_limit(store.standing().limit_bytes);
        let (incomplete, noted) = Incomplete::new();
        let dispatch = Arc::new(Dispatch {
            table: ArcSwap::from_pointee(table(upstreams, &telemetry)),
            flights: Flights::new(store.clone(), Arc::<Telemetry>::clone(&telemetry)),
            absences: Absences::new(),
            manifests: Manifests::new(store.clone(), incomplete),
            gate: Gate::new(store.clone()),
            store,
            pulls: OpenPulls::new(records),
            telemetry,
            header_deadline: settings.header_deadline,
            fairness: Fairness::new(settings.client_rate),
            instance: settings.instance,
            request_ids: RequestIds::new(),
            repeats: Repeats::new(),
            touch: if settings.tls.is_some() { Touch::Process } else { Touch::Kernel },
        });
        tokio::spawn(completion::run(Arc::downgrade(&dispatch), noted, settings.complete_after));
        let Settings { tls, max_connections, drain, .. } = settings;
        Self(Arc::new(Server { dispatch, tls, max_connections, drain }))
    }

    /// Serves these upstreams from now on. Requests under way keep the upstreams that they began with.
    pub fn replace_upstreams(&self, upstreams: Vec<Served>) {
        let dispatch = &self.0.dispatch;
        dispatch.table.store(Arc::new(table(upstreams, &dispatch.telemetry)));
        dispatch.gate.forget();
    }

    /// Sets the size limit of the store in bytes (`None`: 80 % of the file system) and the pinned images, which are
    /// kept in any case. Content beyond the limit is removed soon.
    pub async fn allow(&self, max_size: Option<u64>, pinned: Vec<ImageName>) {
        let dispatch = &self.0.dispatch;
        dispatch.store.allow(max_size, pinned).await;
        dispatch.telemetry.cache_limit(dispatch.store.standing().limit_bytes);
    }

    /// Listens on `address`; port 0 lets the system choose.
    ///
    /// # Errors
    /// The system's error, for example that the address is in use or belongs to another machine.
    pub async fn bind(&self, address: SocketAddr) -> io::Result<Bound> {
        Bound::new(Arc::clone(&self.0), address).await
    }

    /// Ends every pull that is open, as if its client had gone quiet: at the end of the process, so that its record is
    /// not lost.
    pub fn end_pulls(&self) {
        self.0.dispatch.pulls.end_all();
    }

    /// The store, for inspection and cleaning.
    pub fn store(&self) -> &Store {
        &self.0.dispatch.store
    }

    /// Pulls an image as a node would and discards the bytes, so that missing content comes into the store. Of an
    /// index, this pulls `platforms` (for example `linux/arm64`), or the platform we run on if none is named.
    ///
    /// # Errors
    /// The reason why the image could not be pulled, in words.
    pub async fn warm(&self, image: &ImageName, platforms: &[String]) -> Result<Warmed, String> {
        warm::pull(&self.0.dispatch, image, platforms).await
    }

    /// What the store could serve of `image` to nodes of `platforms` at `now`, if its registry did not answer.
    pub async fn standby(&self, image: &ImageName, platforms: &[Platform], now: SystemTime) -> Standby {
        let Dispatch { store, table, .. } = &*self.0.dispatch;
        let Some(served) = table.load().get(&image.registry).cloned() else { return Standby::NotConfigured };
        if served.access == Access::PerClient {
            return Standby::PerClient;
        }
        let (scope, freshness) = (served.scope(&image.repository), served.freshness());
        Outage { store, scope, freshness, now }.standby(image, platforms).await
    }

    /// The present state.
    pub fn status(&self) -> Status {
        let Dispatch { store, table, telemetry, flights, .. } = &*self.0.dispatch;
        Status::of(store, &table.load(), telemetry, flights)
    }
}

fn table(upstreams: Vec<Served>, telemetry: &Telemetry) -> Table {
    telemetry.admit(upstreams.iter().map(|served| &served.registry));
    upstreams.into_iter().map(|served| (served.registry.clone(), Arc::new(served))).collect()
}
