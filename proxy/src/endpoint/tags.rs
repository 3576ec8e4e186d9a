//! Relays tag lists page by page, with links to this mirror.
//!
//! When a client follows the link of an upstream, its query is sent back to the upstream unchanged, because `last` need
//! not be a tag and the link may have other keys.

use oci::{Class, Tag};
use oci_spec::distribution::TagListBuilder;
use registry::client::TagsPage;
use url::form_urlencoded;

use super::asking::Asking;
use crate::http::answer::{Answer, Document};
use crate::http::failure::Failure;
use crate::http::route::Pairs;

/// Answers at most `n` tags of the page that the rest of the query names.
pub(crate) async fn answer(asking: &Asking<'_>, n: Option<u32>, page: &Pairs) -> Result<Answer, Failure> {
    let repository = &asking.place.repository;
    // A request for zero tags only asks about the repository. Registries disagree about `n=0`, so one tag is asked for.
    let asked = with_n(page.clone(), n.map(|n| n.max(1)));
    asking.turn(|| false).await?;
    let given = asking.client.tags(repository, &asked, asking.deadline).await?.value;
    if given.next.as_ref().is_some_and(|next| is_same(next, &asked)) {
        return Err(asking.error(Class::ProtocolGarbage, "a page of tags links to itself").into());
    }
    let given = trim(given, n, page);
    let next = given.next.map(|next| next_page(asking, next));
    let list = TagListBuilder::default().name(repository.as_str()).tags(given.tags).build();
    let list = list.expect("invariant: every required field is set");
    let text = serde_json::to_string(&list).expect("invariant: a list of strings is JSON");
    Ok(Answer::Document(Document {
        media_type: "application/json",
        bytes: text.into(),
        next,
        filters_applied: None,
    }))
}

/// Applies `n` and `last` if the upstream ignored them. Some upstreams send all tags.
fn trim(mut given: TagsPage, n: Option<u32>, page: &Pairs) -> TagsPage {
    let last = page.iter().find(|(key, _)| key == LAST).and_then(|(_, last)| last.parse::<Tag>().ok());
    if given.next.is_none() {
        given.tags.sort();
        given.tags.retain(|tag| last.as_ref().is_none_or(|last| tag.as_str() > last.as_str()));
    }
    if let Some(most) = n.map(|n| n as usize)
        && given.tags.len() > most
    {
        given.tags.truncate(most);
        given.next = given.tags.last().map(|last| with_n(vec![(LAST.to_owned(), last.clone())], n));
    }
    if n == Some(0) {
        given.next = None;
    }
    given
}

fn with_n(mut query: Pairs, n: Option<u32>) -> Pairs {
    query.extend(n.map(|n| ("n".to_owned(), n.to_string())));
    query
}

/// True if two queries ask for the same page.
fn is_same(one: &Pairs, other: &Pairs) -> bool {
    let sorted = |query: &Pairs| {
        let mut sorted: Pairs = query.iter().filter(|(key, _)| key != "ns").cloned().collect();
        sorted.sort();
        sorted
    };
    sorted(one) == sorted(other)
}

/// The link to the next page. If the upstream is a mirror, its link may have an `ns` of its own, which the client's
/// `ns` replaces.
fn next_page(asking: &Asking<'_>, next: Pairs) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(next.iter().filter(|(key, _)| key != "ns"));
    if let Some(namespace) = &asking.place.namespace {
        query.append_pair("ns", namespace.as_str());
    }
    format!("{}?{}", asking.place.path, query.finish())
}

const LAST: &str = "last";

#[cfg(test)]
mod tests {
    use super::*;

    fn after(last: &str, n: Option<u32>) -> Pairs {
        with_n(vec![(LAST.to_owned(), last.to_owned())], n)
    }

    fn page(tags: &[&str], next: Option<Pairs>) -> TagsPage {
        TagsPage { tags: tags.iter().map(ToString::to_string).collect(), next }
    }

    #[test]
    fn a_full_list_from_an_upstream_that_ignores_the_page_is_cut_to_the_page() {
        let cut = page(&["b"], Some(after("b", Some(1))));
        assert_eq!(trim(page(&["c", "a", "b"], None), Some(1), &after("a", None)), cut);
        assert_eq!(trim(page(&["c", "a"], None), None, &Vec::new()), page(&["a", "c"], None));
        assert_eq!(trim(page(&["b"], None), Some(5), &after("a", None)), page(&["b"], None));
    }

    #[test]
    fn a_page_of_an_upstream_that_pages_is_not_changed() {
        let given = page(&["B", "a"], Some(after("a", None)));
        assert_eq!(trim(given.clone(), Some(2), &Vec::new()), given);
    }

    #[test]
    fn a_last_that_is_no_tag_is_left_to_the_upstream() {
        let given = page(&["a"], None);
        assert_eq!(trim(given.clone(), None, &after("zz/opaque+token==", None)), given);
    }

    #[test]
    fn a_request_for_zero_tags_gets_none_and_no_link() {
        assert_eq!(trim(page(&["a"], Some(after("a", None))), Some(0), &Vec::new()), page(&[], None));
        assert_eq!(trim(page(&["a"], None), Some(0), &Vec::new()), page(&[], None));
    }

    #[test]
    fn a_link_to_the_same_page_is_recognized() {
        assert!(is_same(&after("a", Some(1)), &vec![("n".into(), "1".into()), ("last".into(), "a".into())]));
        assert!(!is_same(&after("b", Some(1)), &after("a", Some(1))));
    }
}
