//! Tag lists, relayed page by page with links to ourselves.

use registry::Tag;
use registry::client::TagsPage;
use serde_json::json;
use url::form_urlencoded;

use crate::mirror::Asking;
use crate::respond::{Answer, Document, Failure};

/// Answers a page of at most `n` tags after `last`.
pub(crate) async fn answer(
    asking: &Asking<'_>,
    n: Option<u32>,
    last: Option<&Tag>,
) -> Result<Answer, Failure> {
    let repository = &asking.place.repository;
    let last = last.map(Tag::as_str);
    // Zero tags is a question about the repository; registries disagree about `n=0`, so one is asked for.
    let asked = n.map(|n| n.max(1));
    let page = asking.client.tags(repository, asked, last, asking.deadline).await?.value;
    let page = trim(page, n, last);
    let next = page.next.as_deref().map(|last| next_page(asking, n, last));
    let text = json!({ "name": repository.as_str(), "tags": page.tags }).to_string();
    Ok(Answer::Document(Document {
        media_type: "application/json",
        bytes: text.into(),
        next,
        filters_applied: None,
    }))
}

/// What the upstream left undone: some know neither `n` nor `last` and send everything.
fn trim(mut page: TagsPage, n: Option<u32>, last: Option<&str>) -> TagsPage {
    if page.next.is_none() {
        page.tags.sort();
        page.tags.retain(|tag| last.is_none_or(|last| tag.as_str() > last));
    }
    if let Some(n) = n.map(|n| n as usize)
        && page.tags.len() > n
    {
        page.tags.truncate(n);
        page.next = page.tags.last().cloned();
    }
    if n == Some(0) {
        page.next = None;
    }
    page
}

fn next_page(asking: &Asking<'_>, n: Option<u32>, last: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("last", last);
    if let Some(n) = n {
        query.append_pair("n", &n.to_string());
    }
    if let Some(namespace) = &asking.place.namespace {
        query.append_pair("ns", namespace.as_str());
    }
    format!("{}?{}", asking.place.path, query.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(tags: &[&str], next: Option<&str>) -> TagsPage {
        TagsPage { tags: tags.iter().map(ToString::to_string).collect(), next: next.map(str::to_owned) }
    }

    #[test]
    fn an_upstream_that_ignores_the_page_is_cut_to_it() {
        assert_eq!(trim(page(&["c", "a", "b"], None), Some(1), Some("a")), page(&["b"], Some("b")));
        assert_eq!(trim(page(&["c", "a"], None), None, None), page(&["a", "c"], None));
        assert_eq!(trim(page(&["b"], None), Some(5), Some("a")), page(&["b"], None));
    }

    #[test]
    fn an_upstream_that_pages_is_believed() {
        assert_eq!(trim(page(&["B", "a"], Some("a")), Some(2), None), page(&["B", "a"], Some("a")));
    }

    #[test]
    fn no_tags_is_no_tags() {
        assert_eq!(trim(page(&["a"], Some("a")), Some(0), None), page(&[], None));
        assert_eq!(trim(page(&["a"], None), Some(0), None), page(&[], None));
    }
}
