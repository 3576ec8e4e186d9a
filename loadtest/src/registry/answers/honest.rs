//! The answers of a good registry (distribution specification 1.1, and the habits of Docker Hub).

use bytes::Bytes;
use http::{Method, header};
use serde_json::{Value, json};

use super::{signed_urls, too_many};
use crate::{
    image::{Blob, media},
    registry::{
        lock::lock,
        message::{Answer, Ask, Kind, range},
        state::Shared,
    },
};

/// The answer without any rule.
pub(crate) fn answer(shared: &Shared, ask: &Ask) -> Answer {
    match ask.kind {
        Kind::Token => return lock(&shared.access).token(ask),
        Kind::Cdn => return cdn_blob(shared, ask),
        _ => {}
    }
    if let Some(refusal) = lock(&shared.access).refusal(ask) {
        return refusal;
    }
    if ask.method != Method::GET && ask.method != Method::HEAD {
        return Answer::oci_error(405, "UNSUPPORTED", "the operation is unsupported");
    }
    match ask.kind {
        Kind::Ping => Answer::json(200, &json!({})).header("docker-distribution-api-version", "registry/2.0"),
        Kind::Manifest => manifest(shared, ask),
        Kind::Blob => blob(shared, ask),
        Kind::Tags => tags(shared, ask),
        Kind::Referrers => referrers(shared, ask),
        Kind::Token | Kind::Cdn | Kind::Other => Answer::status(404),
    }
}

/// A quota counts manifest GETs; HEADs are free and tell what remains, even when it is nothing.
fn manifest(shared: &Shared, ask: &Ask) -> Answer {
    let mut quota = lock(&shared.quota);
    let Some(quota) = quota.as_mut() else { return found_manifest(shared, ask) };
    let spent = ask.method == Method::GET && !quota.take();
    let answer = if spent { too_many::over_quota() } else { found_manifest(shared, ask) };
    quota.tell(answer)
}

fn found_manifest(shared: &Shared, ask: &Ask) -> Answer {
    let content = lock(&shared.content);
    let Some(repository) = ask.repository.as_ref().and_then(|name| content.repository(name)) else {
        return unknown_name();
    };
    match ask.reference.as_ref().and_then(|reference| repository.manifest(reference)) {
        Some(manifest) if accepts(ask, &manifest.media_type) => manifest_answer(manifest),
        _ => Answer::oci_error(404, "MANIFEST_UNKNOWN", "manifest unknown"),
    }
}

fn manifest_answer(manifest: &Blob) -> Answer {
    Answer::with_body(200, &manifest.media_type, manifest.bytes.clone())
        .header("docker-content-digest", &manifest.digest)
        .header(header::ETAG, &format!("\"{}\"", manifest.digest))
}

/// A registry that has another type than the client accepts says that it has none (GHCR).
fn accepts(ask: &Ask, media_type: &str) -> bool {
    let mut lines =
        ask.headers.get_all(header::ACCEPT).iter().filter_map(|line| line.to_str().ok()).peekable();
    lines.peek().is_none()
        || lines.flat_map(|line| line.split(',')).any(|range| {
            let range = range.split(';').next().unwrap_or_default().trim();
            range == media_type || range == "*/*" || range == "application/*"
        })
}

fn blob(shared: &Shared, ask: &Ask) -> Answer {
    let (Some(name), Some(digest)) = (&ask.repository, &ask.reference) else { return unknown_name() };
    let found = match lock(&shared.content).repository(name) {
        Some(repository) => repository.blob(digest).cloned(),
        None => return unknown_name(),
    };
    let Some(bytes) = found else {
        return Answer::oci_error(404, "BLOB_UNKNOWN", "blob unknown to registry");
    };
    match lock(&shared.signer).as_mut() {
        Some(signer) => Answer::status(307).header(header::LOCATION, &signer.sign(digest)),
        None => blob_answer(ask, digest, bytes),
    }
}

fn cdn_blob(shared: &Shared, ask: &Ask) -> Answer {
    let verdict = match lock(&shared.signer).as_ref() {
        Some(signer) => signer.refusal(ask),
        None => Some(signed_urls::not_signed()),
    };
    if let Some(refusal) = verdict {
        return refusal;
    }
    let digest = ask.reference.as_deref().unwrap_or_default();
    match lock(&shared.content).any_blob(digest) {
        Some(bytes) => blob_answer(ask, digest, bytes),
        None => Answer::status(404),
    }
}

fn blob_answer(ask: &Ask, digest: &str, bytes: Bytes) -> Answer {
    let answer = Answer::with_body(200, media::OCTETS, bytes)
        .header("docker-content-digest", digest)
        .header(header::ETAG, &format!("\"{digest}\""))
        .header(header::ACCEPT_RANGES, "bytes");
    range::cut(ask, answer)
}

fn tags(shared: &Shared, ask: &Ask) -> Answer {
    let content = lock(&shared.content);
    let Some((name, repository)) =
        ask.repository.as_deref().and_then(|name| Some((name, content.repository(name)?)))
    else {
        return unknown_name();
    };
    let limit = ask.query("n").and_then(|count| count.parse().ok()).unwrap_or(usize::MAX - 1);
    let mut tags: Vec<&str> =
        repository.tags_after(ask.query("last").unwrap_or_default(), limit.saturating_add(1)).collect();
    let more = tags.len() > limit;
    tags.truncate(limit);
    let answer = Answer::json(200, &json!({ "name": name, "tags": tags }));
    match tags.last() {
        Some(last) if more => answer
            .header(header::LINK, &format!("</v2/{name}/tags/list?last={last}&n={limit}>; rel=\"next\"")),
        _ => answer,
    }
}

fn referrers(shared: &Shared, ask: &Ask) -> Answer {
    if !*lock(&shared.referrers) {
        return Answer::status(404);
    }
    let content = lock(&shared.content);
    let (Some(repository), Some(digest)) =
        (ask.repository.as_ref().and_then(|name| content.repository(name)), &ask.reference)
    else {
        return unknown_name();
    };
    let mut manifests = repository.referrers(digest);
    let filter = ask.query("artifactType");
    if let Some(wanted) = filter {
        manifests.retain(|descriptor| descriptor["artifactType"] == wanted);
    }
    let next = lock(&shared.referrers_page).and_then(|by| turn_page(ask, &mut manifests, by));
    let document = json!({ "schemaVersion": 2, "mediaType": media::OCI_INDEX, "manifests": manifests });
    let mut answer = Answer::with_body(200, media::OCI_INDEX, document.to_string());
    if let Some(next) = next {
        answer = answer.header(header::LINK, &next);
    }
    if filter.is_some() { answer.header("oci-filters-applied", "artifactType") } else { answer }
}

/// Keeps `by` entries of the list, beginning at the query's opaque `page`, and makes the link to the next page.
fn turn_page(ask: &Ask, listed: &mut Vec<Value>, by: usize) -> Option<String> {
    let begin = ask.query("page").and_then(|page| page.parse().ok()).unwrap_or(0_usize).min(listed.len());
    listed.drain(..begin);
    let more = listed.len() > by;
    listed.truncate(by);
    let filter =
        ask.query("artifactType").map(|wanted| format!("artifactType={wanted}&")).unwrap_or_default();
    more.then(|| format!("<{}?{filter}page={}>; rel=\"next\"", ask.path, begin + by))
}

fn unknown_name() -> Answer {
    Answer::oci_error(404, "NAME_UNKNOWN", "repository name not known to registry")
}
