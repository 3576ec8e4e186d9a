//! The one client that leaves the cluster: typed questions to one upstream, each answered with stage times or one class.

mod values;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderMap, HeaderValue, Method, header};
use oci::class::{Class, Stage};
use oci::demand::Demand;
use oci::digest::Digest;
use oci::manifest::{ACCEPT, MANIFEST_MAX};
use oci::name::{Reference, RegistryHost, Repository};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::answer;
use crate::authorities::Authorities;
use crate::body::{Body, Promise};
use crate::call::{Question, Walked};
use crate::caller::Caller;
use crate::challenge::{Challenge, Wanted};
use crate::classify::Asked;
use crate::dial::Dialer;
use crate::error::{Error, Evidence, Reason};
use crate::guard::Guard;
use crate::judge::content_length;
use crate::observe::RequestKind;
use crate::pool::Pool;
use crate::retry::RetryBudget;
use crate::tls::Tls;
use crate::transport::Transport;
use crate::upstream::{Endpoint, Outbound, Upstream};

pub use values::{
    Answer, BlobStream, ByteRange, ManifestHead, RawManifest, ReferrersPage, Rest, TagsPage, Validator,
};

/// Asks one upstream. Clone freely: clones share connections.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
    behalf: Behalf,
}

/// For whom we ask.
#[derive(Clone)]
pub(crate) struct Behalf {
    /// Mirrors the request passed before us.
    pub(crate) via: Arc<str>,
    /// Who shows a token of their own; nobody: we ask as ourselves.
    pub(crate) caller: Option<Caller>,
    /// How much it matters.
    pub(crate) demand: Demand,
}

pub(crate) struct Inner {
    pub(crate) upstream: Upstream,
    pub(crate) outbound: Outbound,
    pub(crate) connections: Connections,
    pub(crate) transport: Transport,
    /// Idle connections of all calls; unused when connections are fresh.
    pub(crate) pool: Arc<Pool>,
    /// By endpoint: did it ask for Basic?
    pub(crate) wants_basic: Vec<AtomicBool>,
    /// What the first endpoint last asked clients for.
    pub(crate) challenged: Mutex<Option<Challenge>>,
    /// By endpoint: is it asked now?
    pub(crate) guards: Vec<Guard>,
    pub(crate) retries: Mutex<RetryBudget>,
    /// Connections that blobs may come by.
    pub(crate) blob_slots: Arc<Semaphore>,
}

/// Shall calls share connections, or each walk the whole way as a node would?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connections {
    /// Keep and reuse idle connections (the proxy).
    Pooled,
    /// A new connection and, where needed, a new token for each call (the prober).
    Fresh,
}

impl Client {
    /// A client for `upstream`. Opens no socket; fails when a CA file cannot be read.
    pub fn new(upstream: Upstream, outbound: Outbound, connections: Connections) -> Result<Self, BuildError> {
        let trusting = |endpoint: &Endpoint| {
            let files = [upstream.ca_file.as_deref(), endpoint.ca_file.as_deref()];
            Authorities::load(&outbound.roots, files.into_iter().flatten())
        };
        let authorities = upstream.endpoints.iter().map(trusting).collect::<Result<Vec<_>, _>>()?;
        let dialer = Dialer::new(&upstream, &outbound, Tls::new(&outbound.roots, &[])?);
        let transport = Transport::new(dialer, authorities);
        let wants_basic = upstream.endpoints.iter().map(|_| AtomicBool::new(false)).collect();
        let guards = upstream.endpoints.iter().map(|it| Guard::new(&upstream, it, &outbound, connections));
        let blob_connections = upstream.limits.blob_connections;
        let inner = Inner {
            guards: guards.collect(),
            upstream,
            outbound,
            connections,
            transport,
            pool: Arc::default(),
            wants_basic,
            challenged: Mutex::default(),
            retries: Mutex::default(),
            blob_slots: Arc::new(Semaphore::new(blob_connections)),
        };
        Ok(Self {
            inner: Arc::new(inner),
            behalf: Behalf { via: "".into(), caller: None, demand: Demand::NewPull },
        })
    }

    /// The same client, on behalf of a request that came with this [`VIA`] header.
    #[must_use]
    pub fn on_behalf(&self, via: &str) -> Self {
        Self { inner: Arc::clone(&self.inner), behalf: Behalf { via: via.into(), ..self.behalf.clone() } }
    }

    /// The same client, for requests that matter this much. A new client asks as for a new pull.
    #[must_use]
    pub fn for_demand(&self, demand: Demand) -> Self {
        Self { inner: Arc::clone(&self.inner), behalf: Behalf { demand, ..self.behalf.clone() } }
    }

    /// The same client, asking with a caller's own token in place of any identity of ours.
    ///
    /// The token goes to the first endpoint and nowhere else: not to the others, which are asked as nobody, and not
    /// along redirects. What we hold ourselves, credentials and cached tokens, is not used.
    #[must_use]
    pub fn as_caller(&self, caller: &Caller) -> Self {
        let caller = Some(caller.clone());
        Self { inner: Arc::clone(&self.inner), behalf: Behalf { caller, ..self.behalf.clone() } }
    }

    /// What the first endpoint wants of clients for `repository`, as of its last 401; `None` before there was one.
    ///
    /// # Errors
    /// `trust_refused`: it names a realm that this upstream's zone does not allow.
    pub fn wanted(&self, repository: &Repository) -> Result<Option<Wanted>, Error> {
        self.inner.wanted(repository)
    }

    /// The registry it asks.
    pub fn registry(&self) -> &RegistryHost {
        &self.inner.upstream.registry
    }

    /// May a request that failed be sent once more? Takes it out of the upstream's retry budget.
    pub fn may_retry(&self) -> bool {
        self.inner.may_retry()
    }

    /// `GET /v2/`: 200 and 401 with a readable challenge both mean reachable. Walks resolve to challenge, no token.
    pub async fn reach(&self, deadline: Instant) -> Result<Answer<()>, Error> {
        let question = Question {
            kind: RequestKind::Ping,
            stage: Stage::Challenge,
            asked: Asked::Ping,
            method: Method::GET,
            repository: None,
            path: String::new(),
            query: Vec::new(),
            headers: HeaderMap::new(),
            rest: None,
            read: Some(PING_MAX),
            deadline,
        };
        Ok(self.inner.walk(&self.behalf, &question, |_| Ok(())).await?.close())
    }

    /// Headers of a manifest. Free of quota where registries count GETs.
    ///
    /// A failure that HEAD alone may have is confirmed by GET (some registries refuse HEAD or answer it wrongly), and so is a
    /// manifest whose headers name no media type of a manifest.
    pub async fn manifest_head(
        &self,
        repository: &Repository,
        reference: &Reference,
        deadline: Instant,
    ) -> Result<Answer<ManifestHead>, Error> {
        let question =
            manifest_question(RequestKind::ManifestHead, Method::HEAD, repository, reference, deadline);
        let walked =
            self.inner.walk(&self.behalf, &question, |given| answer::manifest_head(&given, reference)).await;
        match walked {
            Err(error) if is_doubtful(&error) => match self.manifest(repository, reference, deadline).await {
                Ok(answer) => Ok(answer.map(answer::head_of)),
                Err(confirmed) if confirmed.evidence.reason == Some(Reason::OwnBudget) => Err(error),
                Err(confirmed) => Err(confirmed),
            },
            walked => Ok(walked?.close()),
        }
    }

    /// A manifest, verified against its digest.
    pub async fn manifest(
        &self,
        repository: &Repository,
        reference: &Reference,
        deadline: Instant,
    ) -> Result<Answer<RawManifest>, Error> {
        let mut question =
            manifest_question(RequestKind::ManifestGet, Method::GET, repository, reference, deadline);
        question.read = Some(MANIFEST_MAX);
        let walked =
            self.inner.walk(&self.behalf, &question, |given| answer::manifest(&given, reference)).await;
        Ok(walked?.close())
    }

    /// Would a manifest GET of this rank go out now? Spends nothing; waits as the GET would, where the policy is to hold.
    ///
    /// # Errors
    /// What the GET would fail with, reason `own_budget`.
    pub async fn afford(
        &self,
        repository: &Repository,
        reference: &Reference,
        deadline: Instant,
    ) -> Result<(), Error> {
        let question =
            manifest_question(RequestKind::ManifestGet, Method::GET, repository, reference, deadline);
        self.inner.afford(&self.behalf, &question).await
    }

    /// Size of a blob, if the upstream says; fails with 404's class when it is not there.
    ///
    /// A failure that HEAD alone may have is confirmed by a GET of the first byte.
    pub async fn blob_head(
        &self,
        repository: &Repository,
        digest: &Digest,
        deadline: Instant,
    ) -> Result<Answer<Option<u64>>, Error> {
        let question = blob_question(RequestKind::BlobHead, Method::HEAD, repository, digest, deadline);
        let walked =
            self.inner.walk(&self.behalf, &question, |given| Ok(content_length(&given.headers))).await;
        match walked {
            Err(error) if is_doubtful(&error) => {
                let first = Some(ByteRange { start: 0, end: Some(0) });
                Ok(self.blob(repository, digest, first, deadline).await?.map(|stream| stream.total))
            }
            walked => Ok(walked?.close()),
        }
    }

    /// A blob or a range of it. Returns when headers are judged; the deadline does not bind the body.
    pub async fn blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        range: Option<ByteRange>,
        deadline: Instant,
    ) -> Result<Answer<BlobStream>, Error> {
        self.blob_rest(repository, digest, range, &Rest::default(), deadline).await
    }

    /// As [`Client::blob`], after a transfer that broke off: content that changed meanwhile comes whole.
    pub async fn blob_rest(
        &self,
        repository: &Repository,
        digest: &Digest,
        range: Option<ByteRange>,
        rest: &Rest,
        deadline: Instant,
    ) -> Result<Answer<BlobStream>, Error> {
        let mut question = blob_question(RequestKind::BlobGet, Method::GET, repository, digest, deadline);
        question.rest = Some(rest).filter(|_| range.is_some());
        if let Some(range) = range {
            question.headers.insert(header::RANGE, range.header());
        }
        let slot = self.inner.blob_slot(deadline).await?;
        let walked =
            self.inner.walk(&self.behalf, &question, |given| answer::blob_head(given, range)).await?;
        let Walked { value: (head, incoming, evidence), endpoint, host, peer, account } = walked;
        let (timings, quota) = (account.timings, account.quota.clone());
        let promise = Promise {
            length: head.length,
            limits: self.inner.upstream.limits,
            registry: self.registry().clone(),
            observer: Arc::clone(&self.inner.outbound.observer),
            account: Some(account),
            slot: Some(slot),
            evidence,
            stage: Stage::BlobTransfer,
        };
        let value = head.streaming(Body::new(incoming, promise));
        Ok(Answer { value, timings, quota, endpoint, host, peer })
    }

    /// One page of tags; `query` as in the distribution specification (`n`, `last`), or what the page before gave as
    /// [`TagsPage::next`].
    pub async fn tags(
        &self,
        repository: &Repository,
        query: &[(String, String)],
        deadline: Instant,
    ) -> Result<Answer<TagsPage>, Error> {
        let mut question = list_question(RequestKind::Tags, repository, "tags/list".to_owned(), deadline);
        question.query.extend_from_slice(query);
        let walked = self.inner.walk(&self.behalf, &question, |given| answer::tags(&given)).await;
        let sized = |(name, _): &(String, String)| name == "n";
        match walked {
            // A page that is too long for this registry: its own length serves as well.
            Err(error)
                if matches!(error.evidence.status, Some(400 | 413 | 414 | 422))
                    && question.query.iter().any(sized) =>
            {
                question.query.retain(|pair| !sized(pair));
                Ok(self.inner.walk(&self.behalf, &question, |given| answer::tags(&given)).await?.close())
            }
            walked => Ok(walked?.close()),
        }
    }

    /// Referrers of a digest; `None` if the upstream has no such API.
    ///
    /// `query` is what the page before gave as [`ReferrersPage::next`], or a filter such as `artifactType=...`.
    pub async fn referrers(
        &self,
        repository: &Repository,
        digest: &Digest,
        query: Option<&str>,
        deadline: Instant,
    ) -> Result<Answer<Option<ReferrersPage>>, Error> {
        let path = format!("referrers/{digest}");
        let mut question = list_question(RequestKind::Referrers, repository, path, deadline);
        let pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        question.query.extend(pairs.map(|(name, value)| (name.into_owned(), value.into_owned())));
        Ok(self.inner.walk(&self.behalf, &question, |given| answer::referrers(&given)).await?.close())
    }
}

impl Inner {
    pub(crate) fn may_retry(&self) -> bool {
        self.retries.lock().unwrap_or_else(PoisonError::into_inner).spend(Instant::now())
    }

    /// A connection for a blob. Waiting for one is part of the deadline.
    ///
    /// # Errors
    /// `overloaded` when none came free.
    async fn blob_slot(&self, deadline: Instant) -> Result<OwnedSemaphorePermit, Error> {
        let acquired = timeout_at(deadline, Arc::clone(&self.blob_slots).acquire_owned()).await;
        acquired.ok().and_then(Result::ok).ok_or_else(|| {
            let most = self.upstream.limits.blob_connections;
            let message = format!("{most} blobs are under way (blob_connections) and none ended in time");
            let evidence = Evidence::host(self.upstream.registry.as_str()).saying(&message);
            Error::new(Class::Overloaded, Stage::BlobFirstByte, evidence)
        })
    }

    pub(crate) fn note_request(&self) {
        self.retries.lock().unwrap_or_else(PoisonError::into_inner).request(Instant::now());
    }
}

impl<T> Walked<T> {
    /// Nothing more comes: tells the observer.
    fn close(mut self) -> Answer<T> {
        self.account.tell(None);
        let Self { value, endpoint, host, peer, account } = self;
        Answer { value, timings: account.timings, quota: account.quota.clone(), endpoint, host, peer }
    }
}

/// True for a failure that HEAD may have where GET has none. A rate limit or an outage is none: both speak of GET too.
fn is_doubtful(error: &Error) -> bool {
    let head = matches!(error.stage, Stage::ManifestHead | Stage::BlobFirstByte);
    head && matches!(error.evidence.status, Some(400 | 403 | 404 | 405 | 410 | 501))
        && error.class != Class::GeoOrWafBlock
}

fn manifest_question<'a>(
    kind: RequestKind,
    method: Method,
    repository: &'a Repository,
    reference: &Reference,
    deadline: Instant,
) -> Question<'a> {
    let stage = if method == Method::HEAD { Stage::ManifestHead } else { Stage::ManifestGet };
    let asked = match reference {
        Reference::Tag(_) => Asked::ManifestByTag,
        Reference::Digest(_) => Asked::ManifestByDigest,
    };
    Question {
        kind,
        stage,
        asked,
        method,
        repository: Some(repository),
        path: format!("manifests/{reference}"),
        query: Vec::new(),
        headers: HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(ACCEPT))]),
        rest: None,
        read: None,
        deadline,
    }
}

fn blob_question<'a>(
    kind: RequestKind,
    method: Method,
    repository: &'a Repository,
    digest: &Digest,
    deadline: Instant,
) -> Question<'a> {
    Question {
        kind,
        stage: Stage::BlobFirstByte,
        asked: Asked::Blob,
        method,
        repository: Some(repository),
        path: format!("blobs/{digest}"),
        query: Vec::new(),
        headers: HeaderMap::new(),
        rest: None,
        read: None,
        deadline,
    }
}

fn list_question(
    kind: RequestKind,
    repository: &Repository,
    path: String,
    deadline: Instant,
) -> Question<'_> {
    Question {
        kind,
        stage: Stage::ManifestGet,
        asked: Asked::List,
        method: Method::GET,
        repository: Some(repository),
        path,
        query: Vec::new(),
        headers: HeaderMap::new(),
        rest: None,
        read: Some(LIST_MAX),
        deadline,
    }
}

/// Names the mirrors a request has passed, each by its instance, separated by commas: who finds itself in it has found
/// a loop.
pub const VIA: &str = "x-pullgate-via";
/// Largest body of an answer to `GET /v2/`, bytes.
const PING_MAX: usize = 64 * 1024;
/// Largest page of tags or referrers, bytes: as large as a manifest may be.
const LIST_MAX: usize = MANIFEST_MAX;

/// A client could not be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// An authority file cannot be read or holds no certificate.
    #[error("ca_file {path}: {reason}")]
    CaFile {
        /// As configured.
        path: std::path::PathBuf,
        /// What was wrong with it.
        reason: String,
    },
}
