//! One pull with containerd's steps: HEAD by tag, manifest by digest, config and layers. Every digest is verified.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use oci::manifest::Kind;
use oci::{Digest, ImageName, Manifest};
use serde::{Serialize, Serializer};

/// The result of a pull.
#[derive(Serialize)]
pub(crate) struct Pulled {
    /// Successful responses by the mirror's outcome (`hit`, `miss`, `stale`); `none` if the registry answered directly.
    outcomes: BTreeMap<String, u64>,
    /// Body bytes received.
    pub(crate) bytes: u64,
    /// Successful responses that needed no body from the registry.
    pub(crate) saved_requests: u64,
    /// Body bytes that did not come from the registry.
    pub(crate) saved_bytes: u64,
    #[serde(rename = "seconds", serialize_with = "seconds")]
    time: Duration,
    /// The first failed step, with its answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) failure: Option<String>,
    /// The failure class that the mirror named.
    #[serde(skip_serializing_if = "String::is_empty")]
    class: String,
}

impl Pulled {
    /// True if every object arrived with the right digest.
    pub(crate) fn is_complete(&self) -> bool {
        self.failure.is_none()
    }

    /// True if the pull is complete and its tag was answered as stale.
    pub(crate) fn is_stale(&self) -> bool {
        self.is_complete() && self.outcomes.contains_key("stale")
    }

    /// True if the pull failed with `class`, or because the mirror's breaker is open after repeated failures.
    pub(crate) fn failed_with(&self, class: &str) -> bool {
        self.failure.is_some() && (self.class == class || self.class == PAUSED)
    }

    /// The number of successful responses.
    pub(crate) fn requests(&self) -> u64 {
        self.outcomes.values().sum()
    }
}

impl fmt::Display for Pulled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(failure) = &self.failure {
            let milliseconds = self.time.as_secs_f64() * 1000.0;
            let why =
                if self.class == PAUSED { ": it failed repeatedly and is not asked for a while" } else { "" };
            return write!(f, "fails in {milliseconds:.0} ms: {failure}{why}");
        }
        let outcomes: Vec<_> =
            self.outcomes.iter().map(|(outcome, count)| format!("{count} {outcome}")).collect();
        let (megabytes, milliseconds) = (self.bytes as f64 / 1e6, self.time.as_secs_f64() * 1000.0);
        write!(f, "{}, {megabytes:.1} MB in {milliseconds:.0} ms", outcomes.join(" + "))
    }
}

/// Pulls `name` through the mirror, or from the registry itself, at `address`.
pub(crate) async fn pull(address: SocketAddr, name: &str) -> Pulled {
    let client = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
    let pulled = Pulled {
        outcomes: BTreeMap::new(),
        bytes: 0,
        saved_requests: 0,
        saved_bytes: 0,
        time: Duration::ZERO,
        failure: None,
        class: String::new(),
    };
    let mut pull = Pull { client, address, pulled };
    let begun = tokio::time::Instant::now();
    pull.pulled.failure = pull.run(name).await.err();
    pull.pulled.time = begun.elapsed();
    pull.pulled
}

struct Pull {
    client: Client<HttpConnector, Empty<Bytes>>,
    address: SocketAddr,
    pulled: Pulled,
}

impl Pull {
    async fn run(&mut self, name: &str) -> Result<(), String> {
        let image: ImageName = name.parse().map_err(|error| format!("{error}"))?;
        let head = self.ask(Method::HEAD, &image, "manifests", &image.reference.to_string()).await?;
        let digest = header(&head, "docker-content-digest").ok_or("no digest")?.to_owned();
        let answer = self.ask(Method::GET, &image, "manifests", &digest).await?;
        let media_type = header(&answer, "content-type").unwrap_or_default().to_owned();
        let bytes = self.content(answer, &digest).await?;
        let manifest = Manifest::parse(&media_type, &bytes).map_err(|error| error.to_string())?;
        let Kind::Image { config, layers } = manifest.kind else { return Err("an index".to_owned()) };
        for child in std::iter::once(config).chain(layers) {
            let digest = child.digest.to_string();
            let answer = self.ask(Method::GET, &image, "blobs", &digest).await?;
            self.content(answer, &digest).await?;
        }
        Ok(())
    }

    async fn ask(
        &mut self,
        method: Method,
        image: &ImageName,
        kind: &str,
        reference: &str,
    ) -> Result<Response<Incoming>, String> {
        let (address, repository, registry) = (self.address, &image.repository, &image.registry);
        let uri = format!("http://{address}/v2/{repository}/{kind}/{reference}?ns={registry}");
        let request = Request::builder()
            .method(method.clone())
            .uri(uri)
            .body(Empty::new())
            .map_err(|error| error.to_string())?;
        let answer = self.client.request(request).await.map_err(|error| {
            if error.is_connect() { "connection refused".to_owned() } else { error.to_string() }
        })?;
        let outcome = header(&answer, oci::mark::OUTCOME).unwrap_or("none").to_owned();
        if answer.status().is_success() {
            self.pulled.saved_requests += u64::from(is_saved(&answer));
            *self.pulled.outcomes.entry(outcome).or_default() += 1;
            return Ok(answer);
        }
        self.pulled.class = header(&answer, "x-pullgate-class").unwrap_or_default().to_owned();
        match self.pulled.class.as_str() {
            "" => Err(format!("{method} {kind}: {}", answer.status())),
            class => Err(format!("{method} {kind}: {}, class {class}", answer.status())),
        }
    }

    async fn content(&mut self, answer: Response<Incoming>, digest: &str) -> Result<Bytes, String> {
        let expected: Digest = digest.parse().map_err(|error| format!("{error}"))?;
        let saved = is_saved(&answer);
        let bytes =
            answer.into_body().collect().await.map_err(|error| format!("body cut: {error}"))?.to_bytes();
        expected.verify(&bytes).map_err(|error| error.to_string())?;
        self.pulled.bytes += bytes.len() as u64;
        self.pulled.saved_bytes += if saved { bytes.len() as u64 } else { 0 };
        Ok(bytes)
    }
}

/// True if the mirror answered without a body from the registry.
fn is_saved(answer: &Response<Incoming>) -> bool {
    matches!(header(answer, "x-pullgate-outcome"), Some("hit" | "stale" | "joined"))
}

fn seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((time.as_secs_f64() * 1000.0).round() / 1000.0)
}

fn header<'a>(answer: &'a Response<Incoming>, name: &str) -> Option<&'a str> {
    answer.headers().get(name)?.to_str().ok()
}

/// The class of a request that the breaker did not let out.
const PAUSED: &str = "upstream_paused";
