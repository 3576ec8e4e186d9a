//! Answers one request: finds the upstream, judges access, and asks the endpoint's module.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use config::Access;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, header};
use oci::{Class, Digest, RegistryHost, Stage};
use registry::{Client, Error, Evidence};
use store::{Scope, Store, Touch};
use tokio::time::{Instant, timeout_at};

use crate::absent::Absences;
use crate::access::{self, Gate, Pass};
use crate::fairness::Fairness;
use crate::flight::Flights;
use crate::manifest::Manifests;
use crate::policy::Freshness;
use crate::range::Asked;
use crate::ready::Ready;
use crate::repeats::{Receipt, Repeats};
use crate::respond::{Answer, Failure, Outcome};
use crate::route::{Place, Request, Routed, Verb};
use crate::telemetry::Telemetry;
use crate::{blob, referrers, tags};

/// An upstream as the proxy serves it.
pub struct Served {
    /// Short id of the configuration.
    pub id: String,
    /// The registry as in image names; what requests name.
    pub registry: RegistryHost,
    /// Who may see what was pulled.
    pub access: Access,
    /// For how long a tag's meaning is believed without asking.
    pub tag_max_age: Duration,
    /// For how long it is believed when asking fails.
    pub stale_limit: Duration,
    /// Is a tag's last meaning served on, as stale, when the upstream no longer has it?
    pub keep_removed: bool,
    /// For how long an upstream's "no such manifest" is believed without asking.
    pub absent_max_age: Duration,
    /// Connections one layer may be fetched by at a time.
    pub parallel: usize,
    /// Asks it.
    pub client: Client,
}

impl Served {
    /// How long this upstream's word on tags holds.
    pub(crate) fn freshness(&self) -> Freshness {
        let Self { tag_max_age, stale_limit, keep_removed, absent_max_age, .. } = *self;
        Freshness { tag_max_age, stale_limit, keep_removed, absent_max_age }
    }
}

/// Upstreams by registry.
pub(crate) type Table = HashMap<RegistryHost, Arc<Served>>;

/// Everything an answer needs.
pub(crate) struct Mirror {
    pub(crate) table: ArcSwap<Table>,
    pub(crate) store: Store,
    pub(crate) flights: Flights,
    /// Blobs that upstreams just said they do not have.
    pub(crate) absences: Absences,
    pub(crate) manifests: Manifests,
    pub(crate) gate: Gate,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) header_deadline: Duration,
    pub(crate) fairness: Fairness,
    pub(crate) instance: Arc<str>,
    /// Who touches what is answered.
    pub(crate) touch: Touch,
    /// Who had what lately.
    pub(crate) repeats: Arc<Repeats>,
}

/// A request on its way to an answer.
pub(crate) struct Asking<'a> {
    /// Whom to ask.
    pub(crate) served: &'a Arc<Served>,
    /// Asks it on behalf of this request, as its caller where access is per client.
    pub(crate) client: Client,
    /// Its leave to see the repository, where not everybody has it.
    pub(crate) pass: Option<Pass>,
    /// What for.
    pub(crate) request: &'a Arc<Request>,
    /// The same as the client wrote it: path and query.
    pub(crate) target: &'a str,
    /// The repository.
    pub(crate) place: &'a Place,
    /// With or without a body.
    pub(crate) verb: Verb,
    /// The part asked for.
    pub(crate) range: Asked,
    /// The client's program, to know how it falls back.
    pub(crate) user_agent: &'a str,
    /// What a failure that only we could see is a failure of.
    pub(crate) stage: Stage,
    /// When headers must be out.
    pub(crate) deadline: Instant,
    /// Notes that the client had all of a blob; `None` when we ask ourselves.
    pub(crate) receipts: Option<(&'a Arc<Repeats>, IpAddr)>,
    /// Who touches the answer's bytes.
    pub(crate) touch: Touch,
    /// The client; `None` when we pull for ourselves and nobody waits.
    pub(crate) peer: Option<IpAddr>,
    /// How much of the upstream each client may have.
    pub(crate) fairness: &'a Fairness,
    /// Was its client's turn taken?
    pub(crate) has_turn: AtomicBool,
    /// Wall time of the request, for ages of records.
    pub(crate) now: SystemTime,
}

impl Mirror {
    /// Answers a request of `client`, if it is not ours, that could be read; `ready` is what its target was answered a
    /// moment ago.
    pub(crate) async fn answer(
        &self,
        routed: &Routed,
        head: &Parts,
        client: Option<IpAddr>,
        ready: Option<&Ready>,
    ) -> Result<Answer, Failure> {
        let Some(place) = routed.request.place() else { return Ok(Answer::Pong) };
        let era = self.gate.era();
        let table = self.table.load();
        let served =
            table.get(&place.registry).ok_or_else(|| Failure::NotConfigured(place.registry.clone()))?;
        let via = via(&head.headers);
        let agent = text(&head.headers, header::USER_AGENT);
        if passed(&via, &self.instance) || agent.contains(&*self.instance) {
            return Err(Failure::Loop(place.registry.clone()));
        }
        if via.split(',').count() > MIRRORS_MAX {
            return Err(Failure::TooManyMirrors(place.registry.clone()));
        }
        let (range, now) = (Asked::read(&head.headers), SystemTime::now());
        let deadline = Instant::now() + self.header_deadline;
        let mut asking = Asking {
            served,
            request: &routed.request,
            target: head.uri.path_and_query().map_or("", PathAndQuery::as_str),
            client: served.client.on_behalf(&via),
            pass: None,
            place,
            verb: routed.verb,
            range,
            user_agent: agent,
            stage: match *routed.request {
                Request::Blob { .. } => Stage::BlobFirstByte,
                _ => Stage::ManifestGet,
            },
            deadline,
            receipts: client.map(|client| (&self.repeats, client)),
            touch: self.touch,
            peer: client,
            fairness: &self.fairness,
            has_turn: AtomicBool::new(false),
            now,
        };
        asking.pass = self.gate.admit(&asking, &head.headers, era).await?;
        if let Some(ready) = ready.filter(|ready| ready.holds(served, self.store.departures(), now)) {
            return ready.held.answer(routed.verb, range, Outcome::Hit, None);
        }
        if let Some(client) = asking.pass.as_ref().map(|pass| pass.client(&asking.client)) {
            asking.client = client;
        }
        // Every call below keeps the deadline by itself; this one only keeps the promise when one does not.
        match timeout_at(asking.deadline + OVERRUN, self.dispatch(&asking, &routed.request)).await {
            Ok(Err(failure)) => Err(self.gate.judged(&asking, failure)),
            Ok(result) => result,
            Err(_) => Err(asking.error(Class::Stalled, "no answer within the header deadline").into()),
        }
    }

    /// The answer of a moment ago, where everybody may have it and it still holds; then nothing is waited for.
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

    async fn dispatch(&self, asking: &Asking<'_>, request: &Request) -> Result<Answer, Failure> {
        match request {
            Request::Ping => Ok(Answer::Pong),
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

impl Asking<'_> {
    /// Where links are looked for and earned.
    pub(crate) fn scope(&self) -> Scope {
        access::scope(self.served, &self.place.repository)
    }

    /// How long this upstream's word on tags holds.
    pub(crate) fn freshness(&self) -> Freshness {
        self.served.freshness()
    }

    /// To be signed when all of `digest` has left for the client.
    pub(crate) fn receipt(&self, digest: &Digest) -> Option<Receipt> {
        let (repeats, client) = self.receipts?;
        Some(repeats.receipt(client, digest))
    }

    /// Does the error refuse the caller, where access is per client? Then nothing kept excuses it.
    pub(crate) fn is_refused(&self, error: &Error) -> bool {
        self.pass.as_ref().is_some_and(|pass| pass.is_refused(error))
    }

    /// A failure of ours, or one only we could see.
    pub(crate) fn error(&self, class: Class, message: &str) -> Error {
        let evidence = Evidence::host(self.place.registry.as_str()).saying(message);
        Error::new(class, self.stage, evidence)
    }
}

/// The mirrors this request passed, comma separated, nearest last.
fn via(headers: &HeaderMap) -> String {
    if !headers.contains_key(registry::client::VIA) {
        return String::new();
    }
    let lines: Vec<&str> =
        headers.get_all(registry::client::VIA).iter().filter_map(|line| line.to_str().ok()).collect();
    lines.join(", ")
}

/// Has the request passed us before?
fn passed(via: &str, instance: &str) -> bool {
    via.split(',').any(|passed| passed.trim() == instance)
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Most mirrors one request may pass before us: more than anybody would put in a row.
pub(crate) const MIRRORS_MAX: usize = 8;
/// How far an answer may overrun its deadline before it is given up.
const OVERRUN: Duration = Duration::from_millis(500);
