//! Pulls an image from the mirror as a node does, and notes the way of each request.

use std::time::Duration;

use http::Response;
use oci::manifest::{Child, Kind};
use oci::{Digest, ImageName, Manifest, Platform, Verifier};
use serde::Serialize;
use tokio::time::Instant;

use super::client::Client;

/// One request of a pull.
#[derive(Serialize)]
pub(crate) struct Step {
    /// `manifest` or `blob`.
    pub(crate) kind: &'static str,
    /// The tag or digest asked for.
    pub(crate) object: String,
    /// The origin of the answer, as the mirror names it.
    pub(crate) outcome: String,
    /// The bytes that came.
    pub(crate) bytes: u64,
    /// Until the first byte.
    pub(crate) first_byte_milliseconds: f64,
    /// Until the last byte.
    pub(crate) milliseconds: f64,
}

/// Pulls every object of the image for this machine's platform. Each is hashed. Returns the failure that ended it.
pub(crate) async fn pull_image(client: &Client, image: &ImageName) -> (Vec<Step>, Option<String>) {
    let mut pull = Pull { client, image, steps: Vec::new() };
    let failure = pull.run().await.err();
    (pull.steps, failure)
}

struct Pull<'a> {
    client: &'a Client,
    image: &'a ImageName,
    steps: Vec<Step>,
}

impl Pull<'_> {
    async fn run(&mut self) -> Result<(), String> {
        let mut manifest = self.manifest(&self.image.reference.to_string()).await?;
        if let Kind::Index { .. } = &manifest.kind {
            let child = child(&manifest)?;
            manifest = self.manifest(&child.to_string()).await?;
        }
        let Kind::Image { config, layers } = manifest.kind else { return Err("it is no image".to_owned()) };
        // Foreign layers are at their own URLs, not at the mirror.
        for blob in std::iter::once(config).chain(layers).filter(|blob| !blob.foreign) {
            let mut verifier = Verifier::new(blob.digest.clone());
            self.ask("blob", &blob.digest.to_string(), |bytes| verifier.update(bytes)).await?;
            verifier.finish().map_err(|error| format!("{}: {error}", blob.digest))?;
        }
        Ok(())
    }

    async fn manifest(&mut self, reference: &str) -> Result<Manifest, String> {
        let mut bytes = Vec::new();
        let answer = self.ask("manifest", reference, |piece| bytes.extend_from_slice(piece)).await?;
        let named = header(&answer, "docker-content-digest");
        let digest: Digest = named.parse().map_err(|_| format!("{reference}: no digest in the answer"))?;
        digest.verify(&bytes).map_err(|error| format!("{reference}: {error}"))?;
        Manifest::parse(header(&answer, "content-type"), &bytes)
            .map_err(|error| format!("{reference}: {error}"))
    }

    async fn ask(
        &mut self,
        kind: &'static str,
        object: &str,
        mut take: impl FnMut(&[u8]),
    ) -> Result<Response<()>, String> {
        let ImageName { registry, repository, .. } = self.image;
        let target = format!("/v2/{repository}/{kind}s/{object}?ns={registry}");
        let (begun, mut first, mut count) = (Instant::now(), None, 0);
        let counting = |bytes: &[u8]| {
            first.get_or_insert_with(|| begun.elapsed());
            count += bytes.len() as u64;
            take(bytes);
        };
        let answer = self.client.get(&target, ACCEPT, counting).await;
        let answer = answer.map_err(|error| format!("{kind} {object}: {error}"))?;
        if !answer.status().is_success() {
            let (class, stage) = (header(&answer, "x-pullgate-class"), header(&answer, "x-pullgate-stage"));
            return Err(format!("{kind} {object}: {} {class} {stage}", answer.status()));
        }
        let whole = begun.elapsed();
        let outcome = header(&answer, oci::mark::OUTCOME);
        let step = Step {
            kind,
            object: object.to_owned(),
            outcome: if outcome.is_empty() { "none".to_owned() } else { outcome.to_owned() },
            bytes: count,
            first_byte_milliseconds: milliseconds(first.unwrap_or(whole)),
            milliseconds: milliseconds(whole),
        };
        self.steps.push(step);
        Ok(answer)
    }
}

/// The child of an index for this machine.
fn child(index: &Manifest) -> Result<Digest, String> {
    let Kind::Index { manifests } = &index.kind else { return Err("no index".to_owned()) };
    let found = Child::for_platform(&Platform::of_this_machine(), manifests).or(manifests.first());
    found.map(|child| child.digest.clone()).ok_or_else(|| "the index is empty".to_owned())
}

fn header<'a>(answer: &'a Response<()>, name: &str) -> &'a str {
    answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// The kinds of manifests that nodes accept.
const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
                      application/vnd.docker.distribution.manifest.list.v2+json, \
                      application/vnd.docker.distribution.manifest.v2+json";
