//! The answer to "what if the registry were gone": whether the store could serve an image to its end, without a request.
//!
//! The rules are those of a pull during an outage: the link of the scope, `stale_limit`, `keep_removed`, completeness.
//! Unlike [`super::complete`], this looks at the platforms that nodes need, not at those that were pulled.

use std::time::{Duration, SystemTime};

use oci::manifest::{Child, Kind as Shape};
use oci::{Digest, ImageName, Manifest, Platform, Reference};
use store::{Kind, Scope, Store};

use super::complete;
use super::policy::Freshness;

/// What the store could serve of an image while its registry does not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standby {
    /// The manifest and everything that it names for all wanted platforms.
    Complete {
        /// True if it would also be served after the registry's own "not found".
        outlives_removal: bool,
    },
    /// No manifest of this image that its clients may see.
    Absent,
    /// The registry confirmed the tag too long ago.
    Expired {
        /// The time since the registry confirmed it.
        age: Duration,
        /// The `stale_limit` of the upstream.
        limit: Duration,
    },
    /// The registry has removed the tag, and `keep_removed` is off.
    Removed,
    /// The content for this platform is not stored, or the image has none.
    Platform(Platform),
    /// Objects are missing, in words.
    Incomplete(String),
    /// Nobody is served from the cache alone, because the registry judges each client's own token.
    PerClient,
    /// The registry is not configured.
    NotConfigured,
}

/// The store as the clients of one upstream see it.
pub(crate) struct Outage<'a> {
    pub(crate) store: &'a Store,
    pub(crate) scope: Scope,
    pub(crate) freshness: Freshness,
    pub(crate) now: SystemTime,
}

impl Outage<'_> {
    /// What could be served of `image` to nodes of all `platforms`.
    pub(crate) async fn standby(&self, image: &ImageName, platforms: &[Platform]) -> Standby {
        let digest = match self.digest(image).await {
            Ok(digest) => digest,
            Err(standby) => return standby,
        };
        let Some((shape, media_type, bytes)) = self.manifest(&digest).await else { return Standby::Absent };
        let lacking = match shape {
            Shape::Index { manifests } => self.of_index(manifests, platforms).await,
            Shape::Image { config, .. } => match self.gap(&media_type, &bytes).await {
                None => self.of_config(&config, platforms).await,
                gap => gap,
            },
            Shape::Other { .. } => self.gap(&media_type, &bytes).await,
        };
        let by_digest = matches!(image.reference, Reference::Digest(_));
        let outlives_removal = by_digest || self.freshness.keep_removed;
        lacking.unwrap_or(Standby::Complete { outlives_removal })
    }

    /// The manifest that would be answered.
    async fn digest(&self, image: &ImageName) -> Result<Digest, Standby> {
        let tag = match &image.reference {
            Reference::Digest(digest) => return Ok(digest.clone()),
            Reference::Tag(tag) => tag,
        };
        let record = self.store.tags().get(&image.registry, &image.repository, tag).await;
        let record = record.ok_or(Standby::Absent)?;
        let (age, limit) =
            (self.now.duration_since(record.checked_at).unwrap_or_default(), self.freshness.stale_limit);
        match record.gone_at {
            Some(_) if !self.freshness.keep_removed => Err(Standby::Removed),
            None if age > limit => Err(Standby::Expired { age, limit }),
            _ => Ok(record.digest),
        }
    }

    async fn manifest(&self, digest: &Digest) -> Option<(Shape, String, bytes::Bytes)> {
        let link = self.store.links().get(&self.scope, Kind::Manifest, digest).await?;
        let (bytes, media_type) = (self.store.read_small(digest).await?, link.media_type?);
        let shape = Manifest::parse(&media_type, &bytes).ok()?.kind;
        Some((shape, media_type, bytes))
    }

    async fn gap(&self, media_type: &str, bytes: &[u8]) -> Option<Standby> {
        let gap = complete::gap(self.store, &self.scope, media_type, bytes).await?;
        Some(Standby::Incomplete(gap.to_string()))
    }

    /// What is lacking of an index; `None` if nothing is.
    async fn of_index(&self, mut children: Vec<Child>, platforms: &[Platform]) -> Option<Standby> {
        for child in children.iter_mut().filter(|child| child.platform.is_none()) {
            child.platform = self.platform_of(&child.digest).await;
        }
        for wanted in platforms {
            let Some(child) = Child::for_platform(wanted, &children) else {
                return Some(Standby::Platform(wanted.clone()));
            };
            let Some((_, media_type, bytes)) = self.manifest(&child.digest).await else {
                return Some(Standby::Platform(wanted.clone()));
            };
            if let Some(gap) = self.gap(&media_type, &bytes).await {
                return Some(gap);
            }
        }
        None
    }

    /// The platform that a stored child of an index is built for, if the index does not say it.
    async fn platform_of(&self, child: &Digest) -> Option<Platform> {
        let Shape::Image { config, .. } = self.manifest(child).await?.0 else { return None };
        Platform::of_config(&self.store.read_small(&config.digest).await?)
    }

    /// The platform that an image without an index does not run on. A configuration that names none runs on all.
    async fn of_config(&self, config: &Child, platforms: &[Platform]) -> Option<Standby> {
        let built_for = Platform::of_config(&self.store.read_small(&config.digest).await?)?;
        let lacking = platforms.iter().find(|wanted| !wanted.accepts(&built_for))?;
        Some(Standby::Platform(lacking.clone()))
    }
}
