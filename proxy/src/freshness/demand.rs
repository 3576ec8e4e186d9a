//! The urgency of an upstream request. It depends on whether the pull has begun, whether a stored answer could be sent
//! in its place, and whether a client waits.

use std::time::Duration;

use moka::future::Cache;
use oci::manifest::Kind;
use oci::{Demand, Digest, Manifest, Reference, RegistryHost, Repository};
use registry::Client;

use crate::endpoint::asking::Asking;
use crate::http::answer::Content;
use crate::http::body::ResponseBody;

/// Manifests that pulls will ask for next, because a tag or an index told a client their digests.
pub(crate) struct Begun(Cache<(RegistryHost, Repository, Digest), ()>);

impl Begun {
    pub(crate) fn new() -> Self {
        Self(Cache::builder().max_capacity(BEGUN_MAX).time_to_live(BEGUN_FOR).build())
    }

    /// Remembers the digests that a client will ask for next.
    pub(crate) async fn note(&self, asking: &Asking<'_>, next: Vec<Digest>) {
        for digest in next {
            self.0.insert(key(asking, digest), ()).await;
        }
    }

    /// The urgency of a request by digest for a manifest that is not in the store.
    pub(crate) async fn demand(&self, asking: &Asking<'_>, digest: &Digest) -> Demand {
        let key = key(asking, digest.clone());
        if self.0.get(&key).await.is_some() { Demand::InProgress } else { Demand::NewPull }
    }
}

/// The digests that a client asks for after it got `content` for `reference`: the manifest of a tag, and the children
/// of an index.
pub(crate) fn next(reference: &Reference, content: &Content) -> Vec<Digest> {
    let told = matches!(reference, Reference::Tag(_)).then(|| content.digest.clone());
    let children = match &content.body {
        ResponseBody::Memory(bytes)
            if ["index", "list"].iter().any(|word| content.media_type.contains(word)) =>
        {
            Manifest::parse(&content.media_type, bytes).ok()
        }
        _ => None,
    };
    let children = match children.map(|manifest| manifest.kind) {
        Some(Kind::Index { manifests }) => manifests,
        _ => Vec::new(),
    };
    told.into_iter().chain(children.into_iter().map(|child| child.digest)).collect()
}

impl Asking<'_> {
    /// The upstream's client, with this urgency. Requests for which no client waits have the lowest urgency.
    pub(crate) fn client_for(&self, demand: Demand) -> Client {
        self.client.for_demand(if self.peer.is_some() { demand } else { Demand::WarmUp })
    }
}

fn key(asking: &Asking<'_>, digest: Digest) -> (RegistryHost, Repository, Digest) {
    (asking.place.registry.clone(), asking.place.repository.clone(), digest)
}

/// The time for which a digest is remembered. A pull may take this long from one manifest to the next.
const BEGUN_FOR: Duration = Duration::from_secs(3600);
/// The most digests remembered. A forgotten digest is asked for as a new pull.
const BEGUN_MAX: u64 = 50_000;
