//! Pulls an image into the store before a node asks for it. The requests of this pull are answered like those of a
//! client.

use http::request::Parts;
use http_body_util::BodyExt;
use oci::manifest::{Child, Kind as Shape};
use oci::platform::CONFIG_MAX;
use oci::{Digest, ImageName, Manifest, Platform};
use serde::{Deserialize, Serialize};

use super::dispatch::{Asker, Dispatch};
use super::platform::{missing, wanted};
use crate::http::answer::{Answer, Content};
use crate::http::body::ResponseBody;
use crate::http::outcome::Outcome;
use crate::http::route::Routed;

/// The result of a warming pull.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warmed {
    /// Digest of the manifest.
    pub digest: String,
    /// The number of manifests and blobs that were in the store.
    pub hits: u64,
    /// The number of manifests and blobs that came from the registry.
    pub fetched: u64,
    /// The size of the content that came from the registry, bytes.
    pub fetched_bytes: u64,
}

/// Pulls `image` for `platforms`, or for the platform of this machine if none is named.
pub(crate) async fn pull(
    dispatch: &Dispatch,
    image: &ImageName,
    platforms: &[String],
) -> Result<Warmed, String> {
    let mut pull = Pull { dispatch, image, warmed: Warmed::default() };
    let (digest, manifest) = pull.manifest(&image.reference.to_string()).await?;
    pull.warmed.digest = digest.to_string();
    match manifest.kind {
        Shape::Image { config, layers } => pull.parts(config, layers).await?,
        Shape::Other { blobs } => pull.blobs(blobs).await?,
        Shape::Index { manifests } => {
            for child in pull.children(manifests, &wanted(platforms)?).await? {
                match pull.manifest(&child.digest.to_string()).await?.1.kind {
                    Shape::Image { config, layers } => pull.parts(config, layers).await?,
                    Shape::Index { .. } => return Err("an index within an index is not pulled".to_owned()),
                    Shape::Other { blobs } => pull.blobs(blobs).await?,
                }
            }
        }
    }
    Ok(pull.warmed)
}

struct Pull<'a> {
    dispatch: &'a Dispatch,
    image: &'a ImageName,
    warmed: Warmed,
}

impl Pull<'_> {
    async fn manifest(&mut self, reference: &str) -> Result<(Digest, Manifest), String> {
        let content = self.ask("manifests", reference).await?;
        let (digest, media_type) = (content.digest.clone(), content.media_type.clone());
        let ResponseBody::Memory(bytes) = content.body else {
            return Err(format!("manifest {reference}: not in memory"));
        };
        let manifest = Manifest::parse(&media_type, &bytes).map_err(|error| error.to_string())?;
        Ok((digest, manifest))
    }

    /// The children that nodes of `platforms` pull, in the order of `platforms`. As in containerd, children without a
    /// platform in the index come last, and the platform is read from their configuration.
    async fn children(
        &mut self,
        manifests: Vec<Child>,
        platforms: &[Platform],
    ) -> Result<Vec<Child>, String> {
        let chosen = Child::for_platform;
        let (named, mut nameless): (Vec<_>, Vec<_>) =
            manifests.into_iter().partition(|child| child.platform.is_some());
        if platforms.iter().any(|wanted| chosen(wanted, &named).is_none()) {
            for child in nameless.iter_mut().take(CONFIGS_READ) {
                child.platform = self.platform_of(&child.digest).await?;
            }
        }
        let child = |wanted: &Platform| chosen(wanted, &named).or_else(|| chosen(wanted, &nameless)).cloned();
        let of = |wanted| {
            child(wanted).ok_or_else(|| missing(wanted, &[named.as_slice(), nameless.as_slice()].concat()))
        };
        platforms.iter().map(of).collect()
    }

    /// The platform in the configuration of the image `manifest`.
    async fn platform_of(&mut self, manifest: &Digest) -> Result<Option<Platform>, String> {
        let Shape::Image { config, .. } = self.manifest(&manifest.to_string()).await?.1.kind else {
            return Ok(None);
        };
        if config.size > CONFIG_MAX {
            return Ok(None);
        }
        let ResponseBody::Reader(body) = self.ask("blobs", &config.digest.to_string()).await?.body else {
            return Ok(None);
        };
        let body = body.collect().await.map_err(|error| format!("blob {}: {error}", config.digest))?;
        Ok(Platform::of_config(&body.to_bytes()))
    }

    async fn parts(&mut self, config: Child, mut layers: Vec<Child>) -> Result<(), String> {
        layers.push(config);
        self.blobs(layers).await
    }

    async fn blobs(&mut self, blobs: Vec<Child>) -> Result<(), String> {
        for part in blobs.into_iter().filter(|blob| !blob.foreign) {
            let ResponseBody::Reader(mut body) = self.ask("blobs", &part.digest.to_string()).await?.body
            else {
                continue;
            };
            while let Some(frame) = body.frame().await {
                frame.map_err(|error| format!("blob {}: {error}", part.digest))?;
            }
        }
        Ok(())
    }

    async fn ask(&mut self, what: &str, reference: &str) -> Result<Content, String> {
        let ImageName { registry, repository, .. } = self.image;
        let uri = format!("/v2/{repository}/{what}/{reference}?ns={registry}");
        let head = head(&uri).map_err(|error| error.to_string())?;
        let routed = Routed::read(&head, |_| None).map_err(|refusal| refusal.to_string())?;
        match self.dispatch.answer(&routed, &head, Asker { client: None, trail: None }, None).await {
            Ok(Answer::Content(content)) => {
                match content.outcome {
                    Outcome::Hit | Outcome::Stale => self.warmed.hits += 1,
                    _ => {
                        self.warmed.fetched += 1;
                        self.warmed.fetched_bytes += content.length;
                    }
                }
                Ok(content)
            }
            Ok(_) => Err("the answer is no content".to_owned()),
            Err(failure) => Err(format!("{what} {reference}: {failure}")),
        }
    }
}

fn head(uri: &str) -> Result<Parts, http::Error> {
    let request = http::Request::get(uri).header(http::header::USER_AGENT, AGENT).body(())?;
    Ok(request.into_parts().0)
}

/// The `User-Agent` of warming pulls. It must not look like a client that falls back blob by blob, because the rule of
/// completeness does not apply to such clients.
const AGENT: &str = concat!("pullgate-warm/", env!("CARGO_PKG_VERSION"));
/// The most children of one index whose configurations are read for their platform.
const CONFIGS_READ: usize = 16;
