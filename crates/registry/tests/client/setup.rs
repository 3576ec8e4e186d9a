//! An upstream in a loopback zone, a client for it, and an observer that records its calls.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use hyper_util::client::proxy::matcher::Matcher;
use loadtest::image::Image;
use loadtest::registry::Registry;
use oci::RepositoryPattern;
use oci::credential::{Credential, CredentialError, CredentialFuture, CredentialSource};
use oci::zone::{Addresses, Zone};
use oci::{Class, OnExhausted, RegistryHost, Reserve, Secret, Stage};
use registry::breaker::{Pauses, State};
use registry::client::{Answer, Connections};
use registry::dns::Resolver;
use registry::listening::Listening;
use registry::observe::{AnswerHead, Certificate, Observation, Observer};
use registry::tls::Roots;
use registry::upstream::Limits;
use registry::{Client, Endpoint, Error, Outbound, Reason, RequestKind, Timings, Upstream};
use tokio::time::Instant;

/// The repository that all tests pull from.
pub(crate) const REPOSITORY: &str = "library/alpine";

/// Pauses longer than any test, so that an open breaker stays open.
pub(crate) const LONG: Pauses =
    Pauses { failures: 5, first: Duration::from_secs(600), longest: Duration::from_secs(600) };
/// Pauses short enough to wait for.
pub(crate) const SHORT: Pauses =
    Pauses { failures: 5, first: Duration::from_millis(20), longest: Duration::from_millis(20) };

/// An upstream that a test adjusts before it makes a client by [`Setup::client`].
pub(crate) struct Setup {
    pub(crate) upstream: Upstream,
    pub(crate) outbound: Outbound,
    pub(crate) recorder: Arc<Recorder>,
}

/// An observer that records its calls.
#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) observations: Mutex<Vec<Observed>>,
    pub(crate) certificates: Mutex<Vec<Certificate>>,
    pub(crate) received: Mutex<u64>,
    pub(crate) breakers: Mutex<Vec<(String, State)>>,
    /// Resolved names with their addresses.
    pub(crate) resolved: Mutex<Vec<(String, Vec<IpAddr>)>>,
    /// Status, clock and stated failure of each answer.
    pub(crate) answers: Mutex<Vec<Head>>,
}

/// Status, clock and stated failure of an answer.
pub(crate) type Head = (u16, Option<SystemTime>, Option<(Class, Option<Stage>)>);

#[derive(Clone, Debug)]
pub(crate) struct Observed {
    pub(crate) kind: RequestKind,
    pub(crate) class: Option<Class>,
    pub(crate) identity: String,
    pub(crate) timings: Timings,
    pub(crate) remaining: Option<u64>,
}

/// A user name and password.
pub(crate) struct Account(pub(crate) &'static str, pub(crate) &'static str);

impl Setup {
    /// The upstream `registry.test` with endpoints at `urls` and loopback in its zone.
    pub(crate) fn at<U: AsRef<str>>(urls: &[U]) -> Self {
        let recorder = Arc::new(Recorder::default());
        let addresses = Addresses { public: false, ranges: vec!["127.0.0.0/8".parse().expect("a range")] };
        let upstream = Upstream {
            id: "test".to_owned(),
            registry: "registry.test".parse::<RegistryHost>().expect("a registry"),
            endpoints: urls.iter().map(|url| endpoint(url.as_ref())).collect(),
            credentials: None,
            repositories: vec![RepositoryPattern("*".to_owned())],
            zone: Zone { addresses, ..Zone::default() },
            ca_file: None,
            limits: Limits::default(),
            quota_reserve: Reserve::default(),
            on_exhausted: OnExhausted::Release,
        };
        let outbound = Outbound {
            resolver: Arc::new(Resolver::fixed::<String>([])),
            tokens: Arc::default(),
            drills: Arc::default(),
            breakers: Arc::default(),
            ledger: Arc::new(registry::MemoryLedger::default()),
            observer: Arc::<Recorder>::clone(&recorder),
            forward_proxy: Arc::new(Matcher::builder().build()),
            roots: Roots::none(),
            instance: "here".into(),
            listening: Listening::new(),
        };
        Self { upstream, outbound, recorder }
    }

    pub(crate) fn of(registry: &Registry) -> Self {
        Self::at(&[registry.url()])
    }

    pub(crate) fn resolving(mut self, name: &str, answers: Vec<Vec<IpAddr>>) -> Self {
        self.outbound.resolver = Arc::new(Resolver::fixed([(name, answers)]));
        self
    }

    pub(crate) fn trusting(mut self, authority: PathBuf) -> Self {
        self.upstream.ca_file = Some(authority);
        self
    }

    pub(crate) fn with_user(mut self, user: &'static str, password: &'static str) -> Self {
        self.upstream.credentials = Some(Arc::new(Account(user, password)));
        self
    }

    /// A client that keeps its connections.
    pub(crate) fn client(&self) -> Client {
        self.built(Connections::Pooled)
    }

    /// A client that opens a new connection for each call.
    pub(crate) fn fresh(&self) -> Client {
        self.built(Connections::Fresh)
    }

    fn built(&self, connections: Connections) -> Client {
        let Upstream { id, registry, endpoints, credentials, repositories, zone, .. } = &self.upstream;
        let upstream = Upstream {
            id: id.clone(),
            registry: registry.clone(),
            endpoints: endpoints
                .iter()
                .map(|it| Endpoint {
                    url: it.url.clone(),
                    prefix: it.prefix.clone(),
                    send_ns: it.send_ns,
                    credentials: it.credentials.clone(),
                    ca_file: it.ca_file.clone(),
                })
                .collect(),
            credentials: credentials.clone(),
            repositories: repositories.clone(),
            zone: zone.clone(),
            ca_file: self.upstream.ca_file.clone(),
            limits: self.upstream.limits,
            quota_reserve: self.upstream.quota_reserve,
            on_exhausted: self.upstream.on_exhausted,
        };
        Client::new(upstream, self.outbound.clone(), connections).expect("a client")
    }
}

impl Recorder {
    pub(crate) fn observed(&self) -> Vec<Observed> {
        self.observations.lock().expect("the lock").clone()
    }

    /// The reported states of breakers, in order.
    pub(crate) fn states(&self) -> Vec<State> {
        self.breakers.lock().expect("the lock").iter().map(|(_, state)| *state).collect()
    }

    pub(crate) fn certificate(&self) -> Certificate {
        self.certificates.lock().expect("the lock").last().cloned().expect("a certificate was seen")
    }
}

impl Observer for Recorder {
    fn observe(&self, observation: &Observation<'_>) {
        self.observations.lock().expect("the lock").push(Observed {
            kind: observation.kind,
            class: observation.class,
            identity: observation.identity.to_owned(),
            timings: *observation.timings,
            remaining: observation.quota.and_then(|quota| quota.remaining),
        });
    }

    fn certificate(&self, _: &RegistryHost, certificate: &Certificate) {
        self.certificates.lock().expect("the lock").push(certificate.clone());
    }

    fn received(&self, _: &RegistryHost, bytes: u64) {
        *self.received.lock().expect("the lock") += bytes;
    }

    fn breaker(&self, _: &RegistryHost, endpoint: &str, state: State) {
        self.breakers.lock().expect("the lock").push((endpoint.to_owned(), state));
    }

    fn resolved(&self, _: &RegistryHost, host: &str, addresses: &[IpAddr]) {
        self.resolved.lock().expect("the lock").push((host.to_owned(), addresses.to_vec()));
    }

    fn answered(&self, _: &RegistryHost, head: &AnswerHead<'_>) {
        self.answers.lock().expect("the lock").push((head.status.as_u16(), head.date, head.failure));
    }
}

impl CredentialSource for Account {
    fn credential<'a>(&'a self, _: Option<&'a oci::Repository>) -> CredentialFuture<'a> {
        let credential = Credential::Basic { username: self.0.to_owned(), password: Secret::new(self.1) };
        Box::pin(async { Ok::<_, CredentialError>(Some(credential)) })
    }
}

pub(crate) fn endpoint(url: &str) -> Endpoint {
    let url = url.parse().expect("a URL");
    Endpoint { url, prefix: None, send_ns: false, credentials: None, ca_file: None }
}

/// A good registry with one image tagged `3.20`.
pub(crate) async fn good() -> (Registry, Image) {
    let registry = Registry::start().await.expect("a port");
    let image = Image::with_layers(7, &[64 * 1024, 1000]);
    registry.add_image(REPOSITORY, "3.20", &image);
    (registry, image)
}

/// A deadline that no test is meant to reach.
pub(crate) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

/// A deadline beyond the time limit of a test: if a request waits for it, the test fails.
pub(crate) fn never() -> Instant {
    Instant::now() + Duration::from_secs(600)
}

pub(crate) fn parsed<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("a name")
}

pub(crate) async fn head(
    client: &Client,
    reference: &str,
) -> Result<Answer<registry::client::ManifestHead>, Error> {
    client.manifest_head(&parsed(REPOSITORY), &parsed(reference), soon()).await
}

pub(crate) async fn get(
    client: &Client,
    reference: &str,
) -> Result<Answer<registry::client::RawManifest>, Error> {
    client.manifest(&parsed(REPOSITORY), &parsed(reference), soon()).await
}

pub(crate) async fn blob(
    client: &Client,
    digest: &str,
) -> Result<Answer<registry::client::BlobStream>, Error> {
    client.blob(&parsed(REPOSITORY), &parsed(digest), None, soon()).await
}

/// Reads the whole body, or returns its failure.
pub(crate) async fn read(mut answer: Answer<registry::client::BlobStream>) -> Result<Vec<u8>, Error> {
    let mut whole = Vec::new();
    while let Some(bytes) = answer.value.body.next().await {
        whole.extend_from_slice(&bytes?);
    }
    Ok(whole)
}

/// Asserts that `outcome` is this failure, and returns it.
#[track_caller]
pub(crate) fn assert_failed<T>(
    outcome: Result<T, Error>,
    class: Class,
    stage: Stage,
    reason: Option<Reason>,
) -> Error {
    let error = outcome.err().expect("a failure");
    assert_eq!((error.class, error.stage, error.evidence.reason), (class, stage, reason), "{error}");
    error
}
