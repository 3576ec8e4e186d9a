//! Answers one request: finds the upstream, judges access, and asks the endpoint's module.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use config::Access;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, header};
use oci::{Class, Stage};
use registry::Trail;
use store::{Store, Touch};
use tokio::time::{Instant, timeout_at};

use super::arrived::Arrived;
use super::asking::Asking;
use super::fairness::Fairness;
use super::manifest::answer::Manifests;
use super::ready::Ready;
use super::served::{Served, Table};
use super::{blob, referrers, tags};
use crate::access::gate::Gate;
use crate::flight::flights::Flights;
use crate::flight::repeats::Repeats;
use crate::freshness::absent::Absences;
use crate::http::answer::Answer;
use crate::http::failure::{Failure, MIRRORS_MAX};
use crate::http::outcome::Outcome;
use crate::http::range::Asked;
use crate::http::request_id::RequestIds;
use crate::http::route::{Place, Request, Routed};
use crate::pull::open::OpenPulls;
use crate::telemetry::recorder::Telemetry;

/// The parts that answers are made with.
pub(crate) struct Dispatch {
    pub(crate) table: ArcSwap<Table>,
    pub(crate) store: Store,
    pub(crate) flights: Flights,
    /// Blobs that upstreams lately said they lack.
    pub(crate) absences: Absences,
    pub(crate) manifests: Manifests,
    pub(crate) gate: Gate,
    pub(crate) telemetry: Arc<Telemetry>,
    /// Pulls that have not ended.
    pub(crate) pulls: Arc<OpenPulls>,
    pub(crate) header_deadline: Duration,
    pub(crate) fairness: Fairness,
    pub(crate) instance: Arc<str>,
    pub(crate) request_ids: RequestIds,
    /// The side that reads the bytes of answers: the kernel alone, or this process too.
    pub(crate) touch: Touch,
    /// The whole blobs that each client lately received.
    pub(crate) repeats: Arc<Repeats>,
}

/// The sender of a request.
#[derive(Clone, Copy)]
pub(crate) struct Asker<'a> {
    /// Address of the client; `None` for a pull of the proxy itself.
    pub(crate) client: Option<IpAddr>,
    /// Adds up what the request causes upstream.
    pub(crate) trail: Option<&'a Trail>,
}

impl Dispatch {
    /// Answers `routed`, which came from `asker`. `ready` is the kept answer to the same target.
    pub(crate) async fn answer(
        &self,
        routed: &Routed,
        head: &Parts,
        asker: Asker<'_>,
        ready: Option<&Ready>,
    ) -> Result<Answer, Failure> {
        let era = self.gate.era();
        let table = self.table.load();
        let Some(place) = routed.request.place() else { return Ok(pong(&table, &routed.request)) };
        let served =
            table.get(&place.registry).ok_or_else(|| Failure::NotConfigured(place.registry.clone()))?;
        let via = self.via(&head.headers, place)?;
        let arrived = self.arrived(routed, head, asker, (served, place, &via));
        let admitted = self.gate.admit(&arrived, &head.headers, era).await?;
        if let Some(ready) = ready.filter(|ready| ready.holds(served, self.store.departures(), arrived.now)) {
            return ready.held.answer(routed.verb, arrived.range, Outcome::Hit, None);
        }
        let asking = Asking::new(arrived, admitted);
        // Every call below keeps the deadline by itself. This timeout ends a call that does not.
        match timeout_at(asking.deadline + OVERRUN, self.by_endpoint(&asking, &routed.request)).await {
            Ok(Err(failure)) => Err(self.gate.explained(&asking, asking.pass.as_ref(), failure)),
            Ok(result) => result,
            Err(_) => Err(asking.error(Class::Stalled, "no answer within the header deadline").into()),
        }
    }

    /// The mirrors that the request passed. An error if they are too many or if this mirror is among them.
    fn via(&self, headers: &HeaderMap, place: &Place) -> Result<String, Failure> {
        let via = via(headers);
        if passed(&via, &self.instance) || text(headers, header::USER_AGENT).contains(&*self.instance) {
            return Err(Failure::Loop(place.registry.clone()));
        }
        if via.split(',').count() > MIRRORS_MAX {
            return Err(Failure::TooManyMirrors(place.registry.clone()));
        }
        Ok(via)
    }

    fn arrived<'a>(
        &'a self,
        routed: &'a Routed,
        head: &'a Parts,
        Asker { client, trail }: Asker<'_>,
        (served, place, via): (&'a Arc<Served>, &'a Place, &str),
    ) -> Arrived<'a> {
        let (range, now) = (Asked::read(&head.headers), SystemTime::now());
        let on_behalf = served.client.on_behalf(via);
        Arrived {
            served,
            request: &routed.request,
            target: head.uri.path_and_query().map_or("", PathAndQuery::as_str),
            client: trail.map_or_else(|| on_behalf.clone(), |trail| on_behalf.on_trail(trail)),
            place,
            verb: routed.verb,
            range,
            user_agent: text(&head.headers, header::USER_AGENT),
            stage: match *routed.request {
                Request::Blob { .. } => Stage::BlobFirstByte,
                _ => Stage::ManifestGet,
            },
            deadline: Instant::now() + self.header_deadline,
            receipts: client.map(|client| (&self.repeats, client)),
            touch: self.touch,
            peer: client,
            fairness: &self.fairness,
            has_turn: AtomicBool::new(false),
            now,
        }
    }

    /// The kept answer of a moment ago, if all clients may have it and it is still valid. It is sent without waiting.
    pub(crate) fn again(
        &self,
        routed: &Routed,
        head: &Parts,
        ready: &Ready,
    ) -> Option<Result<Answer, Failure>> {
        let table = self.table.load();
        let served = table.get(&routed.request.place()?.registry)?;
        let is_for_all =
            served.access != Access::PerClient && !head.headers.contains_key(registry::client::VIA);
        let holds = is_for_all && ready.holds(served, self.store.departures(), SystemTime::now());
        holds.then(|| ready.held.answer(routed.verb, Asked::read(&head.headers), Outcome::Hit, None))
    }

    async fn by_endpoint(&self, asking: &Asking<'_>, request: &Request) -> Result<Answer, Failure> {
        match request {
            Request::Ping { .. } => Ok(Answer::Pong(None)),
            Request::Manifest { reference, .. } => self.manifests.answer(asking, reference).await,
            Request::Blob { digest, .. } => {
                blob::answer(&self.store, &self.flights, &self.absences, asking, digest).await
            }
            Request::Tags { n, page, .. } => tags::answer(asking, *n, page).await,
            Request::Referrers { digest, query, .. } => {
                referrers::answer(asking, digest, query.as_deref()).await
            }
        }
    }
}

/// The answer to a ping, with the registry that it asks about if that is configured.
fn pong(table: &Table, request: &Request) -> Answer {
    let Request::Ping { namespace: Some(registry) } = request else { return Answer::Pong(None) };
    Answer::Pong(table.contains_key(registry).then(|| registry.clone()))
}

/// The mirrors that this request passed, separated by commas, the nearest last.
fn via(headers: &HeaderMap) -> String {
    if !headers.contains_key(registry::client::VIA) {
        return String::new();
    }
    let lines: Vec<&str> =
        headers.get_all(registry::client::VIA).iter().filter_map(|line| line.to_str().ok()).collect();
    lines.join(", ")
}

/// True if the request passed this mirror before.
fn passed(via: &str, instance: &str) -> bool {
    via.split(',').any(|passed| passed.trim() == instance)
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The time after its deadline at which an answer is given up.
const OVERRUN: Duration = Duration::from_millis(500);
