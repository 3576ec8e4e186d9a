//! Turns good answers into values. Checks headers against each other, bytes against their digest, and lists against
//! their format.

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use hyper::body::Incoming;
use oci::class::Class;
use oci::digest::{Algorithm, Digest, Mismatch};
use oci::manifest::{Manifest, ManifestError};
use oci::mark;
use oci::name::Reference;
use serde::Deserialize;

use crate::classify::is_html;
use crate::client::values::{BlobStream, ByteRange, ManifestHead, RawManifest, ReferrersPage, TagsPage};
use crate::client::walk::Given;
use crate::error::{Error, Evidence, Reason};
use crate::wire::body::UpstreamBody;
use crate::wire::read::{content_length, is_encoded};

/// The head of a blob's answer.
pub(crate) struct BlobHead {
    start: u64,
    pub(crate) length: Option<u64>,
    total: Option<u64>,
    partial: bool,
    etag: Option<String>,
}

/// The description of a manifest in the headers of an answer.
pub(crate) fn manifest_head(given: &Given, reference: &Reference) -> Result<ManifestHead, Error> {
    let stated = stated_digest(given, reference)?;
    let digest = match reference {
        Reference::Digest(asked) => Some(asked.clone()),
        Reference::Tag(_) => stated,
    };
    Ok(ManifestHead {
        digest,
        media_type: media_type(&given.headers),
        length: content_length(&given.headers),
        stale: is_stale(&given.headers),
    })
}

/// The manifest in the body of an answer, verified.
pub(crate) fn manifest(given: &Given, reference: &Reference) -> Result<RawManifest, Error> {
    let stated = stated_digest(given, reference)?;
    let bytes = given.body.clone();
    let expected = match reference {
        Reference::Digest(asked) => Some(asked.clone()),
        Reference::Tag(_) => stated,
    };
    let digest = match expected {
        Some(expected) => {
            let verified = expected.verify(&bytes).map_err(|wrong| mismatch(given, &wrong))?;
            verified.digest().clone()
        }
        None => Digest::of(Algorithm::Sha256, &bytes),
    };
    let media_type = document_type(given, &bytes)?;
    Ok(RawManifest { digest, media_type, bytes, stale: is_stale(&given.headers) })
}

/// The media type of a manifest: the one in the document, because some registries send a generic one in the header. If
/// the document cannot be parsed, the header counts.
fn document_type(given: &Given, bytes: &[u8]) -> Result<String, Error> {
    let header = media_type(&given.headers);
    match Manifest::parse(header.as_deref().unwrap_or_default(), bytes) {
        Ok(manifest) => Ok(manifest.media_type),
        Err(_) => header.ok_or_else(|| garbage(given, None, "a manifest without any media type")),
    }
}

/// The description of a manifest that was fetched by GET after a failed HEAD.
pub(crate) fn head_of(manifest: RawManifest) -> ManifestHead {
    ManifestHead {
        digest: Some(manifest.digest),
        media_type: Some(manifest.media_type),
        length: Some(manifest.bytes.len() as u64),
        stale: manifest.stale,
    }
}

/// The head of a blob's answer, and its body, which is still on the wire.
pub(crate) fn blob_head(
    mut given: Given,
    range: Option<ByteRange>,
) -> Result<(BlobHead, Incoming, Evidence), Error> {
    let announced = content_length(&given.headers);
    let head = match (given.status, range) {
        (StatusCode::PARTIAL_CONTENT, Some(range)) => partial(&given, range, announced)?,
        (StatusCode::OK, _) => {
            BlobHead { start: 0, length: announced, total: announced, partial: false, etag: None }
        }
        (status, _) => {
            return Err(garbage(&given, Some(Reason::RangeIgnored), &format!("{status} instead of a blob")));
        }
    };
    let etag = strong_etag(&given.headers);
    let Some(incoming) = given.incoming.take() else {
        return Err(garbage(&given, None, "an answer without a body"));
    };
    let evidence = Evidence { status: None, ..given.evidence.clone() };
    Ok((BlobHead { etag, ..head }, incoming, evidence))
}

impl BlobHead {
    pub(crate) fn streaming(self, body: UpstreamBody) -> BlobStream {
        let Self { start, length, total, partial, etag } = self;
        BlobStream { start, length, total, partial, etag, body }
    }
}

/// One page of tags, with the names unchanged: some registries list names that are not valid tags.
pub(crate) fn tags(given: &Given) -> Result<TagsPage, Error> {
    #[derive(Deserialize)]
    struct List {
        /// Some registries answer `null` for a repository without tags.
        #[serde(default)]
        tags: Option<Vec<String>>,
    }
    let list: List = serde_json::from_slice(&given.body)
        .map_err(|error| garbage(given, Some(Reason::BadJson), &format!("tag list: {error}")))?;
    let tags = list.tags.unwrap_or_default();
    let next = next_query(&given.headers)
        .map(|query| url::form_urlencoded::parse(query.as_bytes()).into_owned().collect());
    Ok(TagsPage { tags, next })
}

/// One page of referrers: an image index, unchanged. `None` if the registry has no such API: it answers with an error
/// such as 404, or with an HTML page.
pub(crate) fn referrers(given: &Given) -> Result<Option<ReferrersPage>, Error> {
    if !given.status.is_success() || is_html(&given.headers, &given.body) {
        return Ok(None);
    }
    #[derive(Deserialize)]
    struct Index {
        /// Some registries answer `null` if there are no referrers.
        #[serde(rename = "manifests")]
        _manifests: Option<Vec<serde::de::IgnoredAny>>,
    }
    let is_index = serde_json::from_slice::<Index>(&given.body);
    is_index.map_err(|error| garbage(given, Some(Reason::BadJson), &format!("referrers: {error}")))?;
    let filters_applied = text(&given.headers, "oci-filters-applied").map(str::to_owned);
    let next = next_query(&given.headers);
    Ok(Some(ReferrersPage { bytes: Bytes::clone(&given.body), filters_applied, next }))
}

/// The failure when bytes hash to another digest. They are corrupt, unless the manifest is of schema 1, whose digest
/// does not cover all bytes, or is encoded.
fn mismatch(given: &Given, wrong: &Mismatch) -> Error {
    let media_type = media_type(&given.headers).unwrap_or_default();
    match Manifest::parse(&media_type, &given.body) {
        Err(refused @ ManifestError::Schema1) => {
            let evidence = given.evidence.clone().saying(&refused.to_string());
            Error::new(Class::MediaType, given.stage, evidence)
        }
        _ if is_encoded(&given.headers) => garbage(
            given,
            Some(Reason::Encoded),
            &format!("a Content-Encoding that was not asked for: {wrong}"),
        ),
        _ => corrupt(given, Reason::WrongDigest, &wrong.to_string()),
    }
}

/// The head of a 206. A range that was not asked for is refused, because its bytes would be stored at the wrong offset.
fn partial(given: &Given, asked: ByteRange, announced: Option<u64>) -> Result<BlobHead, Error> {
    let Some((start, end, total)) = content_range(&given.headers) else {
        return Err(garbage(given, Some(Reason::RangeIgnored), "206 without a readable Content-Range"));
    };
    if start != asked.start || asked.end.is_some_and(|last| end > last) {
        let message = format!("Content-Range starts at {start} and ends at {end}, which was not asked for");
        return Err(garbage(given, Some(Reason::RangeIgnored), &message));
    }
    let length = end - start + 1;
    if announced.is_some_and(|announced| announced != length) {
        let message = format!("Content-Range holds {length} bytes, Content-Length says otherwise");
        return Err(garbage(given, Some(Reason::LengthMismatch), &message));
    }
    Ok(BlobHead { start, length: Some(length), total, partial: true, etag: None })
}

/// `Content-Range: bytes first-last/total` (RFC 9110, 14.4); the total may be `*`.
fn content_range(headers: &HeaderMap) -> Option<(u64, u64, Option<u64>)> {
    let (range, total) = text(headers, header::CONTENT_RANGE)?.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    let total = if total == "*" { None } else { Some(total.parse().ok()?) };
    let sound = first <= last && last < u64::MAX && total.is_none_or(|total| last < total);
    sound.then_some((first, last, total))
}

/// `Docker-Content-Digest`; an error if it is unreadable or differs from the requested digest.
fn stated_digest(given: &Given, reference: &Reference) -> Result<Option<Digest>, Error> {
    let Some(stated) = text(&given.headers, "docker-content-digest") else { return Ok(None) };
    let Ok(stated) = stated.parse::<Digest>() else {
        return Err(corrupt(given, Reason::DigestHeader, "Docker-Content-Digest cannot be read"));
    };
    match reference {
        // Digests of different algorithms cannot be compared.
        Reference::Digest(asked) if asked.algorithm() == stated.algorithm() && *asked != stated => {
            let message = format!("the answer names {stated}, but {asked} was asked for");
            Err(corrupt(given, Reason::DigestHeader, &message))
        }
        _ => Ok(Some(stated)),
    }
}

fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = text(headers, header::CONTENT_TYPE)?;
    let bare = value.split(';').next().unwrap_or_default().trim();
    (!bare.is_empty()).then(|| bare.to_ascii_lowercase())
}

fn strong_etag(headers: &HeaderMap) -> Option<String> {
    text(headers, header::ETAG).filter(|tag| tag.starts_with('"')).map(str::to_owned)
}

/// True if a mirror between us and the registry marked its answer as stale.
fn is_stale(headers: &HeaderMap) -> bool {
    let mut warnings = headers.get_all(header::WARNING).iter().filter_map(|value| value.to_str().ok());
    text(headers, mark::OUTCOME) == Some(mark::STALE) || warnings.any(mark::is_stale_warning)
}

/// The query of the `Link` with `rel="next"` (RFC 8288). Its host is ignored.
fn next_query(headers: &HeaderMap) -> Option<String> {
    let links = headers.get_all(header::LINK).iter().filter_map(|value| value.to_str().ok());
    let next = links
        .into_iter()
        .flat_map(|value| value.split(','))
        .find(|link| link.split(';').skip(1).any(is_next))?;
    let target = next.trim().strip_prefix('<')?.split_once('>')?.0;
    target.split_once('?').map(|(_, query)| query.to_owned())
}

/// True for `rel=next` as RFC 8288 allows it: in any case, with or without quotes, and among other relations.
fn is_next(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else { return false };
    let relations = value.trim().trim_matches('"').split_ascii_whitespace();
    name.trim().eq_ignore_ascii_case("rel")
        && relations.into_iter().any(|one| one.eq_ignore_ascii_case("next"))
}

fn text(headers: &HeaderMap, name: impl header::AsHeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

fn corrupt(given: &Given, reason: Reason, message: &str) -> Error {
    Error::new(Class::Corrupt, given.stage, given.evidence.clone().because(reason).saying(message))
}

fn garbage(given: &Given, reason: Option<Reason>, message: &str) -> Error {
    let mut evidence = given.evidence.clone().saying(message);
    evidence.reason = reason;
    Error::new(Class::ProtocolGarbage, given.stage, evidence)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(name: header::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn content_ranges_are_read_if_they_are_sound() {
        for (value, read) in [
            ("bytes 0-9/10", Some((0, 9, Some(10)))),
            ("bytes 5-9/*", Some((5, 9, None))),
            ("bytes 9-5/10", None),
            ("bytes 0-10/10", None),
            ("bytes */10", None),
            ("bytes 0-18446744073709551615/*", None),
            ("items 0-9/10", None),
            ("0-9/10", None),
            ("", None),
        ] {
            assert_eq!(content_range(&headers(header::CONTENT_RANGE, value)), read, "{value}");
        }
    }

    #[test]
    fn the_next_page_is_a_query_and_never_a_host() {
        for (value, read) in [
            ("</v2/a/tags/list?last=b&n=2>; rel=\"next\"", Some("last=b&n=2")),
            ("<https://evil.test/v2?last=b>; rel=next", Some("last=b")),
            ("<?a=1>; rel=prev, <?a=2>; rel=\"next\"", Some("a=2")),
            ("</v2/a/tags/list>; rel=\"next\"", None),
            ("</v2?last=b>", None),
            ("nonsense; rel=next", None),
            ("</v2?last=b>; Rel = \"prev Next\"", Some("last=b")),
            ("</v2?last=b>; title=\"x\"; rel=NEXT", Some("last=b")),
        ] {
            assert_eq!(next_query(&headers(header::LINK, value)).as_deref(), read, "{value}");
        }
    }

    #[test]
    fn marks_of_stale_answers_are_recognised() {
        assert!(is_stale(&headers(header::WARNING, "110 - \"Response is Stale\"")));
        assert!(is_stale(&headers(header::HeaderName::from_static("x-pullgate-outcome"), "stale")));
        assert!(is_stale(&headers(header::WARNING, "299 - \"pullgate: stale: a.test 5 s ago, now: dns\"")));
        assert!(!is_stale(&headers(header::WARNING, "299 - \"deprecated\"")));
    }
}
