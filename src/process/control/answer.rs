//! Answers the requests of commands from the store and the proxy.

use std::io;

use oci::{Digest, ImageName, RegistryHost};
use proxy::{Proxy, Warmed};
use serde::Serialize;
use store::Store;
use store::inventory::Purge;

use super::protocol::{Reply, Request};
use crate::coverage::desk::Desk;

/// Answers the requests that need only the store, and no upstream.
pub(crate) async fn look(store: &Store, request: &Request) -> Reply {
    let reply: io::Result<Reply> = match request {
        Request::Ls => store.images().await.map(document),
        Request::Explain(subject) => match subject_of(subject) {
            Ok(Subject::Image(image)) => store.explain_image(&image).await.map(document),
            Ok(Subject::Digest(digest)) => store.explain_digest(&digest).await.map(document),
            Err(usage) => return usage,
        },
        Request::Purge { subject, dry_run } => match subject_of(subject) {
            Ok(Subject::Image(image)) => store.purge(&Purge::Image(image), *dry_run).await.map(document),
            Ok(Subject::Digest(digest)) => store.purge(&Purge::Digest(digest), *dry_run).await.map(document),
            Err(usage) => return usage,
        },
        Request::PurgeRegistry { registry, dry_run } => match registry.parse::<RegistryHost>() {
            Ok(registry) => store.purge(&Purge::Registry(registry), *dry_run).await.map(document),
            Err(error) => return Reply::Usage(format!("{registry}: {error}")),
        },
        Request::PurgeAll { dry_run } => store.purge(&Purge::All, *dry_run).await.map(document),
        Request::Warm { .. }
        | Request::Coverage
        | Request::DrillBegin { .. }
        | Request::DrillEnd { .. }
        | Request::DrillWait { .. }
        | Request::DrillReport { .. } => {
            return Reply::Usage("this needs a running instance: start `pullgate serve` first".to_owned());
        }
    };
    reply.unwrap_or_else(|error| Reply::Failed(format!("the cache folder: {error}")))
}

pub(super) async fn answer(proxy: &Proxy, desk: &Desk, text: &str) -> Reply {
    match serde_json::from_str::<Request>(text) {
        Err(error) => Reply::Usage(format!("this version does not know the request: {error}")),
        Ok(Request::Warm { image, platforms }) => match image.parse::<ImageName>() {
            Err(error) => Reply::Usage(format!("{image}: {error}")),
            Ok(name) => match proxy.warm(&name, &platforms).await {
                Ok(warmed) => document::<Warmed>(warmed),
                Err(why) => Reply::Upstream(format!("{name}: {why}")),
            },
        },
        Ok(request) => match desk.answer(proxy, &request).await {
            Some(reply) => reply,
            None => look(proxy.store(), &request).await,
        },
    }
}

enum Subject {
    Image(ImageName),
    Digest(Digest),
}

fn subject_of(text: &str) -> Result<Subject, Reply> {
    if let Ok(digest) = text.parse() {
        return Ok(Subject::Digest(digest));
    }
    if text.starts_with("sha256:") || text.starts_with("sha512:") {
        return Err(Reply::Usage(format!(
            "{text} is not a whole digest; `pullgate cache ls -o json` prints whole digests"
        )));
    }
    text.parse().map(Subject::Image).map_err(|error| Reply::Usage(format!("{text}: {error}")))
}

fn document<T: Serialize>(document: T) -> Reply {
    serde_json::to_value(document).map_or_else(|error| Reply::Failed(error.to_string()), Reply::Fine)
}
