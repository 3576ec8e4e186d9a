//! Relays referrers. If the upstream lacks the API, clients get a 404 and use the fallback tag.

use oci::{Class, Digest};
use registry::{Error, Evidence};
use url::form_urlencoded;

use super::asking::Asking;
use crate::http::answer::{Answer, Document};
use crate::http::failure::Failure;

/// Answers with the manifests that refer to `digest`. `query` holds filter and page as the client sent them.
pub(crate) async fn answer(
    asking: &Asking<'_>,
    digest: &Digest,
    query: Option<&str>,
) -> Result<Answer, Failure> {
    let client = &asking.client;
    asking.turn(|| false).await?;
    let page = client.referrers(&asking.place.repository, digest, query, asking.deadline).await?.value;
    let Some(page) = page else { return Err(no_such_api(asking).into()) };
    if page.next.is_some() && page.next.as_deref() == query {
        return Err(asking.error(Class::ProtocolGarbage, "a page of referrers links to itself").into());
    }
    Ok(Answer::Document(Document {
        media_type: "application/vnd.oci.image.index.v1+json",
        bytes: page.bytes,
        next: page.next.map(|query| next_page(asking, &query)),
        filters_applied: page.filters_applied,
    }))
}

/// The error for a registry without the API. It is a 404, so that clients use the fallback tag.
fn no_such_api(asking: &Asking<'_>) -> Error {
    let evidence = Evidence { status: Some(404), ..Evidence::host(asking.place.registry.as_str()) };
    // If access is per client, this answer may also mean that the caller may not see the repository.
    let class = if asking.pass.is_some() { Class::RepoUnknownOrPrivate } else { Class::ManifestUnknown };
    Error::new(class, asking.stage, evidence.saying("the registry has no referrers API"))
}

fn next_page(asking: &Asking<'_>, query: &str) -> String {
    let path = &asking.place.path;
    match &asking.place.namespace {
        Some(namespace) => {
            let ns = form_urlencoded::Serializer::new(String::new())
                .append_pair("ns", namespace.as_str())
                .finish();
            format!("{path}?{query}&{ns}")
        }
        None => format!("{path}?{query}"),
    }
}
