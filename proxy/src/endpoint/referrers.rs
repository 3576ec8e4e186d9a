//! Referrers, relayed. An upstream without the API stays without it: clients then take the fallback tag.

use oci::{Class, Digest};
use url::form_urlencoded;

use super::asking::Asking;
use crate::http::answer::{Answer, Document};
use crate::http::failure::Failure;

/// Answers what refers to `digest`; `query` holds filter and page as the client sent them.
pub(crate) async fn answer(
    asking: &Asking<'_>,
    digest: &Digest,
    query: Option<&str>,
) -> Result<Answer, Failure> {
    let client = &asking.client;
    asking.turn(|| false).await?;
    let page = client.referrers(&asking.place.repository, digest, query, asking.deadline).await?.value;
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
