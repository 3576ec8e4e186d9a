//! A manifest in memory and in the store: its bytes, and the link that says which scope may see it.

use bytes::Bytes;
use oci::{Class, Digest, Stage};
use registry::client::ManifestHead;
use registry::{Error, Evidence, Reason};
use store::{Kind, Link, Scope, Store};

use crate::freshness::staleness::Staleness;
use crate::http::answer::{Answer, Content};
use crate::http::body::ResponseBody;
use crate::http::failure::Failure;
use crate::http::outcome::Outcome;
use crate::http::range::{Asked, Part};
use crate::http::route::Verb;

/// A manifest in memory.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) digest: Digest,
    pub(crate) media_type: String,
    pub(crate) bytes: Bytes,
}

impl Held {
    /// A manifest that is in the store and that `scope` may see.
    pub(in crate::endpoint) async fn find(store: &Store, scope: &Scope, digest: &Digest) -> Option<Self> {
        let link = store.links().get(scope, Kind::Manifest, digest).await?;
        let bytes = store.read_small(digest).await?;
        Some(Self { digest: digest.clone(), media_type: link.media_type?, bytes })
    }

    /// Finds a manifest in the store after the upstream confirmed with `head` that this repository has it. The
    /// upstream's 200 earns the link.
    pub(super) async fn earn(
        store: &Store,
        scope: &Scope,
        digest: &Digest,
        head: &ManifestHead,
    ) -> Option<Self> {
        if let Some(held) = Self::find(store, scope, digest).await {
            return Some(held);
        }
        let bytes = store.read_small(digest).await?;
        let held = Self { digest: digest.clone(), media_type: head.media_type.clone()?, bytes };
        oci::Manifest::parse(&held.media_type, &held.bytes).ok()?;
        held.link(store, scope).await;
        Some(held)
    }

    /// Stores and links the manifest. Only bytes that match their digest get here.
    pub(super) async fn keep(self, store: &Store, scope: &Scope) -> Result<Self, Error> {
        let verified = self.digest.verify(&self.bytes).map_err(|mismatch| {
            let evidence = Evidence::host(scope.registry.as_str()).because(Reason::WrongDigest);
            Error::new(Class::Corrupt, Stage::ManifestGet, evidence.saying(&mismatch.to_string()))
        })?;
        // The link is stored first, because a request that finds the manifest in the store must not have to earn the
        // link again.
        self.link(store, scope).await;
        // The store commits in the background: the manifest is answered even if the disk is slow or fails.
        store.put(Kind::Manifest, self.bytes.clone(), &verified).await;
        Ok(self)
    }

    async fn link(&self, store: &Store, scope: &Scope) {
        let link = Link { media_type: Some(self.media_type.clone()), size: self.bytes.len() as u64 };
        store.links().put(scope, Kind::Manifest, &self.digest, link).await;
    }

    /// The answer to a request with `verb` for the part `range`. `bytes=0-` gets the whole manifest, so that clients do
    /// not fetch manifests in parallel.
    pub(crate) fn answer(
        &self,
        verb: Verb,
        range: Asked,
        outcome: Outcome,
        stale: Option<Staleness>,
    ) -> Result<Answer, Failure> {
        let length = self.bytes.len() as u64;
        let part = match verb {
            Verb::Head => Part::Whole,
            Verb::Get => range.of(length, false)?,
        };
        let body = match (verb, &part) {
            (Verb::Head, _) => ResponseBody::Empty,
            (Verb::Get, part) => ResponseBody::Memory(part.of(&self.bytes)),
        };
        Ok(Answer::Content(Content {
            outcome,
            digest: self.digest.clone(),
            media_type: self.media_type.clone(),
            length,
            part,
            body,
            stale,
        }))
    }
}
