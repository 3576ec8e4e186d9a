//! One pull as containerd makes it: HEAD by tag, manifest by digest, config and layers, every byte checked.

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

/// The result of a pull.
pub(crate) struct Pulled {
    outcomes: BTreeMap<String, usize>,
    bytes: u64,
    time: Duration,
    failure: Option<String>,
    class: String,
}

impl Pulled {
    /// Every object arrived and hashed to its digest.
    pub(crate) fn is_complete(&self) -> bool {
        self.failure.is_none()
    }

    /// It is complete, and its tag was answered as stale.
    pub(crate) fn is_stale(&self) -> bool {
        self.is_complete() && self.outcomes.contains_key("stale")
    }

    /// It failed, and the mirror said why.
    pub(crate) fn failed_with(&self, class: &str) -> bool {
        self.failure.is_some() && self.class == class
    }
}

impl fmt::Display for Pulled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(failure) = &self.failure {
            return write!(f, "fails in {:.0} ms: {failure}", self.time.as_secs_f64() * 1000.0);
        }
        let outcomes: Vec<_> =
            self.outcomes.iter().map(|(outcome, count)| format!("{count} {outcome}")).collect();
        let (megabytes, milliseconds) = (self.bytes as f64 / 1e6, self.time.as_secs_f64() * 1000.0);
        write!(f, "{}, {megabytes:.1} MB in {milliseconds:.0} ms", outcomes.join(" + "))
    }
}

/// Pulls `name` through the mirror.
pub(crate) async fn pull(mirror: SocketAddr, name: &str) -> Pulled {
    let client = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
    let pulled = Pulled {
        outcomes: BTreeMap::new(),
        bytes: 0,
        time: Duration::ZERO,
        failure: None,
        class: String::new(),
    };
    let mut pull = Pull { client, mirror, pulled };
    let begun = tokio::time::Instant::now();
    pull.pulled.failure = pull.run(name).await.err();
    pull.pulled.time = begun.elapsed();
    pull.pulled
}

struct Pull {
    client: Client<HttpConnector, Empty<Bytes>>,
    mirror: SocketAddr,
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
        let (mirror, repository, registry) = (self.mirror, &image.repository, &image.registry);
        let uri = format!("http://{mirror}/v2/{repository}/{kind}/{reference}?ns={registry}");
        let request = Request::builder()
            .method(method.clone())
            .uri(uri)
            .body(Empty::new())
            .map_err(|error| error.to_string())?;
        let answer = self
            .client
            .request(request)
            .await
            .map_err(|error| format!("the mirror does not answer: {error}"))?;
        let outcome = header(&answer, oci::mark::OUTCOME).unwrap_or("none").to_owned();
        if answer.status().is_success() {
            *self.pulled.outcomes.entry(outcome).or_default() += 1;
            return Ok(answer);
        }
        self.pulled.class = header(&answer, oci::mark::CLASS).unwrap_or_default().to_owned();
        Err(format!("{method} {kind}: {} {outcome}, class {}", answer.status(), self.pulled.class))
    }

    async fn content(&mut self, answer: Response<Incoming>, digest: &str) -> Result<Bytes, String> {
        let expected: Digest = digest.parse().map_err(|error| format!("{error}"))?;
        let bytes =
            answer.into_body().collect().await.map_err(|error| format!("body cut: {error}"))?.to_bytes();
        expected.verify(&bytes).map_err(|error| error.to_string())?;
        self.pulled.bytes += bytes.len() as u64;
        Ok(bytes)
    }
}

fn header<'a>(answer: &'a Response<Incoming>, name: &str) -> Option<&'a str> {
    answer.headers().get(name)?.to_str().ok()
}
