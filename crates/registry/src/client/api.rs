//! The client of one upstream. Each method returns a typed answer with stage times, or a failure with one class.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use http::{HeaderMap, Method, header};
use oci::class::{Class, Stage};
use oci::demand::Demand;
use oci::digest::Digest;
use oci::manifest::MANIFEST_MAX;
use oci::name::{Reference, RegistryHost, Repository};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::auth::caller::Caller;
use crate::auth::challenge::Wanted;
use crate::classify::Asked;
use crate::client::answer;
use crate::client::connections::Connections;
use crate::client::inner::{Behalf, Inner};
use crate::client::request::{UpstreamRequest, blob_request, list_request, manifest_request};
use crate::client::values::{
    Answer, BlobStream, ByteRange, ManifestHead, RawManifest, ReferrersPage, Rest, TagsPage,
};
use crate::client::walk::Walked;
use crate::error::{Error, Reason};
use crate::health::guard::Guard;
use crate::observe::RequestKind;
use crate::trail::Trail;
use crate::upstream::{Endpoint, Outbound, Upstream};
use crate::wire::authorities::Authorities;
use crate::wire::body::{Promise, UpstreamBody};
use crate::wire::build::BuildError;
use crate::wire::dial::Dialer;
use crate::wire::read::content_length;
use crate::wire::tls::Tls;
use crate::wire::transport::Transport;

/// The client of one upstream. Clones share connections.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
    behalf: Behalf,
}

impl Client {
    /// A client for `upstream`. Opens no socket; fails if a CA file cannot be read.
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
            behalf: Behalf { via: "".into(), caller: None, demand: Demand::NewPull, trail: None },
        })
    }

    /// The same client, for requests on behalf of a pulling client whose own request had this [`oci::mark::VIA`]
    /// header.
    #[must_use]
    pub fn on_behalf(&self, via: &str) -> Self {
        Self { inner: Arc::clone(&self.inner), behalf: Behalf { via: via.into(), ..self.behalf.clone() } }
    }

    /// The same client, for requests of this demand. The demand of a new client is [`Demand::NewPull`].
    #[must_use]
    pub fn for_demand(&self, demand: Demand) -> Self {
        Self { inner: Arc::clone(&self.inner), behalf: Behalf { demand, ..self.behalf.clone() } }
    }

    /// The same client, which adds up on this trail what its calls cause.
    #[must_use]
    pub fn on_trail(&self, trail: &Trail) -> Self {
        let trail = Some(trail.clone());
        Self { inner: Arc::clone(&self.inner), behalf: Behalf { trail, ..self.behalf.clone() } }
    }

    /// The trail that its calls are added up on.
    pub fn trail(&self) -> Option<&Trail> {
        self.behalf.trail.as_ref()
    }

    /// The same client, with a caller's own token in place of our identity.
    ///
    /// The token is sent only to the first endpoint. The other endpoints are asked anonymously, and redirects are
    /// followed without the token. Our own credentials and cached tokens are not used.
    #[must_use]
    pub fn as_caller(&self, caller: &Caller) -> Self {
        let caller = Some(caller.clone());
        Self { inner: Arc::clone(&self.inner), behalf: Behalf { caller, ..self.behalf.clone() } }
    }

    /// The challenge of the first endpoint's last 401, for `repository`; `None` if there was none yet.
    ///
    /// # Errors
    /// `trust_refused` if the challenge names a realm that this upstream's zone does not allow.
    pub fn wanted(&self, repository: &Repository) -> Result<Option<Wanted>, Error> {
        self.inner.wanted(repository)
    }

    /// The registry of the upstream.
    pub fn registry(&self) -> &RegistryHost {
        &self.inner.upstream.registry
    }

    /// True if a failed request may be sent once more. Takes one retry out of the upstream's budget.
    pub fn may_retry(&self) -> bool {
        self.inner.may_retry()
    }

    /// `GET /v2/`. Both 200 and 401 with a readable challenge mean that the registry is reachable. Goes through the
    /// stages from resolve to challenge, without a token.
    pub async fn reach(&self, deadline: Instant) -> Result<Answer<()>, Error> {
        let request = UpstreamRequest {
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
        Ok(self.inner.walk(&self.behalf, &request, |_| Ok(())).await?.close())
    }

    /// The headers of a manifest, requested by HEAD. HEAD spends no quota at registries that count only GETs.
    ///
    /// Some registries refuse HEAD or answer it wrongly. So after a failure that may concern only HEAD, the manifest is
    /// requested by GET, and the result of the GET counts. GET is also used if the headers name no media type of a
    /// manifest.
    pub async fn manifest_head(
        &self,
        repository: &Repository,
        reference: &Reference,
        deadline: Instant,
    ) -> Result<Answer<ManifestHead>, Error> {
        let request =
            manifest_request(RequestKind::ManifestHead, Method::HEAD, repository, reference, deadline);
        let walked =
            self.inner.walk(&self.behalf, &request, |given| answer::manifest_head(&given, reference)).await;
        match walked {
            Err(error) if is_doubtful(&error) => match self.manifest(repository, reference, deadline).await {
                Ok(answer) => Ok(answer.map(answer::head_of)),
                Err(confirmed) if confirmed.evidence.reason == Some(Reason::OwnBudget) => Err(error),
                Err(confirmed) => Err(confirmed),
            },
            Ok(walked) if !names_a_kind(&walked.value) => {
                let head = walked.close();
                let got = self.manifest(repository, reference, deadline).await;
                Ok(got.map_or(head, |got| got.map(answer::head_of)))
            }
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
        let mut request =
            manifest_request(RequestKind::ManifestGet, Method::GET, repository, reference, deadline);
        request.read = Some(MANIFEST_MAX);
        let walked =
            self.inner.walk(&self.behalf, &request, |given| answer::manifest(&given, reference)).await;
        Ok(walked?.close())
    }

    /// Checks that a manifest GET of this demand would be sent now. Spends nothing; waits as the GET would if the
    /// policy is to hold.
    ///
    /// # Errors
    /// The failure of such a GET, with reason `own_budget`.
    pub async fn afford(
        &self,
        repository: &Repository,
        reference: &Reference,
        deadline: Instant,
    ) -> Result<(), Error> {
        let request =
            manifest_request(RequestKind::ManifestGet, Method::GET, repository, reference, deadline);
        self.inner.afford(&self.behalf, &request).await
    }

    /// The size of a blob, if the upstream states it. Fails with the class of a 404 if the blob is missing.
    ///
    /// After a failure that may concern only HEAD, the first byte is requested by GET, and the result of the GET
    /// counts.
    pub async fn blob_head(
        &self,
        repository: &Repository,
        digest: &Digest,
        deadline: Instant,
    ) -> Result<Answer<Option<u64>>, Error> {
        let request = blob_request(RequestKind::BlobHead, Method::HEAD, repository, digest, deadline);
        let walked =
            self.inner.walk(&self.behalf, &request, |given| Ok(content_length(&given.headers))).await;
        match walked {
            Err(error) if is_doubtful(&error) => {
                let first = Some(ByteRange { start: 0, end: Some(0) });
                Ok(self.blob(repository, digest, first, deadline).await?.map(|stream| stream.total))
            }
            walked => Ok(walked?.close()),
        }
    }

    /// A blob or a range of it. Returns when the headers are checked; the deadline does not apply to the body.
    pub async fn blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        range: Option<ByteRange>,
        deadline: Instant,
    ) -> Result<Answer<BlobStream>, Error> {
        self.blob_rest(repository, digest, range, &Rest::default(), deadline).await
    }

    /// Like [`Client::blob`], after a broken transfer. If the content has changed meanwhile, the answer is
    /// the whole blob.
    pub async fn blob_rest(
        &self,
        repository: &Repository,
        digest: &Digest,
        range: Option<ByteRange>,
        rest: &Rest,
        deadline: Instant,
    ) -> Result<Answer<BlobStream>, Error> {
        let mut request = blob_request(RequestKind::BlobGet, Method::GET, repository, digest, deadline);
        request.rest = Some(rest).filter(|_| range.is_some());
        if let Some(range) = range {
            request.headers.insert(header::RANGE, range.header());
        }
        let slot = self.blob_slot(deadline).await?;
        let walked = self.inner.walk(&self.behalf, &request, |given| answer::blob_head(given, range)).await?;
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
        let value = head.streaming(UpstreamBody::new(incoming, promise));
        Ok(Answer { value, timings, quota, endpoint, host, peer })
    }

    /// A connection for a blob, and the wait for it on the trail.
    async fn blob_slot(&self, deadline: Instant) -> Result<OwnedSemaphorePermit, Error> {
        let asked = Instant::now();
        let slot = self.inner.blob_slot(deadline).await;
        if let Some(trail) = self.trail() {
            trail.slot(asked.elapsed());
        }
        slot
    }

    /// One page of tags. `query` is as in the distribution specification (`n`, `last`), or [`TagsPage::next`] of the
    /// previous page.
    pub async fn tags(
        &self,
        repository: &Repository,
        query: &[(String, String)],
        deadline: Instant,
    ) -> Result<Answer<TagsPage>, Error> {
        let mut request = list_request(RequestKind::Tags, repository, "tags/list".to_owned(), deadline);
        request.query.extend_from_slice(query);
        let walked = self.inner.walk(&self.behalf, &request, |given| answer::tags(&given)).await;
        let sized = |(name, _): &(String, String)| name == "n";
        match walked {
            // The page may be too long for this registry, so ask for its default length.
            Err(error)
                if matches!(error.evidence.status, Some(400 | 413 | 414 | 422))
                    && request.query.iter().any(sized) =>
            {
                request.query.retain(|pair| !sized(pair));
                Ok(self.inner.walk(&self.behalf, &request, |given| answer::tags(&given)).await?.close())
            }
            walked => Ok(walked?.close()),
        }
    }

    /// The referrers of a digest; `None` if the upstream has no such API.
    ///
    /// `query` is [`ReferrersPage::next`] of the previous page, or a filter such as `artifactType=...`.
    pub async fn referrers(
        &self,
        repository: &Repository,
        digest: &Digest,
        query: Option<&str>,
        deadline: Instant,
    ) -> Result<Answer<Option<ReferrersPage>>, Error> {
        let path = format!("referrers/{digest}");
        let mut request = list_request(RequestKind::Referrers, repository, path, deadline);
        let pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        request.query.extend(pairs.map(|(name, value)| (name.into_owned(), value.into_owned())));
        Ok(self.inner.walk(&self.behalf, &request, |given| answer::referrers(&given)).await?.close())
    }
}

impl<T> Walked<T> {
    /// Ends a request whose body is read: reports it to the observer.
    fn close(mut self) -> Answer<T> {
        self.account.report(None);
        let Self { value, endpoint, host, peer, account } = self;
        Answer { value, timings: account.timings, quota: account.quota.clone(), endpoint, host, peer }
    }
}

/// True for a failure that may concern only HEAD, so that a GET may succeed. Rate limits and outages affect GET as
/// well.
fn is_doubtful(error: &Error) -> bool {
    let head = matches!(error.stage, Stage::ManifestHead | Stage::BlobFirstByte);
    head && matches!(error.evidence.status, Some(400 | 403 | 404 | 405 | 410 | 501))
        && error.class != Class::GeoOrWafBlock
}

/// True if the media type in the headers names the kind of manifest. If not, only the document tells it.
fn names_a_kind(head: &ManifestHead) -> bool {
    head.media_type.as_deref().is_some_and(|media_type| !oci::media_type::is_generic(media_type))
}

/// Largest body of an answer to `GET /v2/`, in bytes.
const PING_MAX: usize = 64 * 1024;
