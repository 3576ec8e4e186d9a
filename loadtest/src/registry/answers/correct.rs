//! The answers of a correct registry (distribution specification 1.1, and the behaviour of Docker Hub).

use bytes::Bytes;
use http::{Method, header};
use serde_json::{Value, json};

use super::{signed_urls, too_many};
use crate::{
    image::{Blob, media},
    registry::{
        lock::lock,
        message::{Answer, Kind, Request, range},
        state::Shared,
    },
};

/// The answer to a request that no rule matches.
pub(crate) fn answer(shared: &Shared, request: &Request) -> Answer {
    match request.kind {
        Kind::Token => return lock(&shared.access).token(request),
        Kind::Cdn => return cdn_blob(shared, request),
        _ => {}
    }
    if let Some(refusal) = lock(&shared.access).refusal(request) {
        return refusal;
    }
    if request.method != Method::GET && request.method != Method::HEAD {
        return Answer::oci_error(405, "UNSUPPORTED", "the operation is unsupported");
    }
    match request.kind {
        Kind::Ping => Answer::json(200, &json!({})).header("docker-distribution-api-version", "registry/2.0"),
        Kind::Manifest => manifest(shared, request),
        Kind::Blob => blob(shared, request),
        Kind::Tags => tags(shared, request),
        Kind::Referrers => referrers(shared, request),
        Kind::Token | Kind::Cdn | Kind::Other => Answer::status(404),
    }
}

/// A quota counts manifest GETs. HEADs are free; their answers state the remaining quota, even if it is zero.
fn manifest(shared: &Shared, request: &Request) -> Answer {
    let mut quota = lock(&shared.quota);
    let Some(quota) = quota.as_mut() else { return found_manifest(shared, request) };
    let spent = request.method == Method::GET && !quota.take();
    let answer = if spent { too_many::over_quota() } else { found_manifest(shared, request) };
    quota.tell(answer)
}

fn found_manifest(shared: &Shared, request: &Request) -> Answer {
    let content = lock(&shared.content);
    let Some(repository) = request.repository.as_ref().and_then(|name| content.repository(name)) else {
        return unknown_name();
    };
    match request.reference.as_ref().and_then(|reference| repository.manifest(reference)) {
        Some(manifest) if accepts(request, &manifest.media_type) => manifest_answer(manifest),
        _ => Answer::oci_error(404, "MANIFEST_UNKNOWN", "manifest unknown"),
    }
}

fn manifest_answer(manifest: &Blob) -> Answer {
    Answer::with_body(200, &manifest.media_type, manifest.bytes.clone())
        .header("docker-content-digest", &manifest.digest)
        .header(header::ETAG, &format!("\"{}\"", manifest.digest))
}

/// True if the client accepts `media_type`. If it does not, the manifest counts as unknown, as at GHCR.
fn accepts(request: &Request, media_type: &str) -> bool {
    let mut lines =
        request.headers.get_all(header::ACCEPT).iter().filter_map(|line| line.to_str().ok()).peekable();
    lines.peek().is_none()
        || lines.flat_map(|line| line.split(',')).any(|range| {
            let range = range.split(';').next().unwrap_or_default().trim();
            range == media_type || range == "*/*" || range == "application/*"
        })
}

fn blob(shared: &Shared, request: &Request) -> Answer {
    let (Some(name), Some(digest)) = (&request.repository, &request.reference) else { return unknown_name() };
    let found = match lock(&shared.content).repository(name) {
        Some(repository) => repository.blob(digest).cloned(),
        None => return unknown_name(),
    };
    let Some(bytes) = found else {
        return Answer::oci_error(404, "BLOB_UNKNOWN", "blob unknown to registry");
    };
    match lock(&shared.signer).as_mut() {
        Some(signer) => Answer::status(307).header(header::LOCATION, &signer.sign(digest)),
        None => blob_answer(request, digest, bytes),
    }
}

fn cdn_blob(shared: &Shared, request: &Request) -> Answer {
    let verdict = match lock(&shared.signer).as_ref() {
        Some(signer) => signer.refusal(request),
        None => Some(signed_urls::not_signed()),
    };
    if let Some(refusal) = verdict {
        return refusal;
    }
    let digest = request.reference.as_deref().unwrap_or_default();
    match lock(&shared.content).any_blob(digest) {
        Some(bytes) => blob_answer(request, digest, bytes),
        None => Answer::status(404),
    }
}

fn blob_answer(request: &Request, digest: &str, bytes: Bytes) -> Answer {
    let answer = Answer::with_body(200, media::OCTETS, bytes)
        .header("docker-content-digest", digest)
        .header(header::ETAG, &format!("\"{digest}\""))
        .header(header::ACCEPT_RANGES, "bytes");
    range::cut(request, answer)
}

fn tags(shared: &Shared, request: &Request) -> Answer {
    let content = lock(&shared.content);
    let Some((name, repository)) =
        request.repository.as_deref().and_then(|name| Some((name, content.repository(name)?)))
    else {
        return unknown_name();
    };
    let limit = request.query("n").and_then(|count| count.parse().ok()).unwrap_or(usize::MAX - 1);
    let mut tags: Vec<&str> =
        repository.tags_after(request.query("last").unwrap_or_default(), limit.saturating_add(1)).collect();
    let more = tags.len() > limit;
    tags.truncate(limit);
    let answer = Answer::json(200, &json!({ "name": name, "tags": tags }));
    match tags.last() {
        Some(last) if more => answer
            .header(header::LINK, &format!("</v2/{name}/tags/list?last={last}&n={limit}>; rel=\"next\"")),
        _ => answer,
    }
}

fn referrers(shared: &Shared, request: &Request) -> Answer {
    if !*lock(&shared.referrers) {
        return Answer::status(404);
    }
    let content = lock(&shared.content);
    let (Some(repository), Some(digest)) =
        (request.repository.as_ref().and_then(|name| content.repository(name)), &request.reference)
    else {
        return unknown_name();
    };
    let mut manifests = repository.referrers(digest);
    let filter = request.query("artifactType");
    if let Some(wanted) = filter {
        manifests.retain(|descriptor| descriptor["artifactType"] == wanted);
    }
    let next = lock(&shared.referrers_page).and_then(|by| turn_page(request, &mut manifests, by));
    let document = json!({ "schemaVersion": 2, "mediaType": media::OCI_INDEX, "manifests": manifests });
    let mut answer = Answer::with_body(200, media::OCI_INDEX, document.to_string());
    if let Some(next) = next {
        answer = answer.header(header::LINK, &next);
    }
    if filter.is_some() { answer.header("oci-filters-applied", "artifactType") } else { answer }
}

/// Keeps `by` entries of the list, beginning at the query's opaque `page`, and makes the link to the next page.
fn turn_page(request: &Request, listed: &mut Vec<Value>, by: usize) -> Option<String> {
    let begin = request.query("page").and_then(|page| page.parse().ok()).unwrap_or(0_usize).min(listed.len());
    listed.drain(..begin);
    let more = listed.len() > by;
    listed.truncate(by);
    let filter =
        request.query("artifactType").map(|wanted| format!("artifactType={wanted}&")).unwrap_or_default();
    more.then(|| format!("<{}?{filter}page={}>; rel=\"next\"", request.path, begin + by))
}

fn unknown_name() -> Answer {
    Answer::oci_error(404, "NAME_UNKNOWN", "repository name not known to registry")
}
