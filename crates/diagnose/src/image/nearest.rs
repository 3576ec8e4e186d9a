//! The tags that are most similar to an unknown one.

use std::cmp::Reverse;

/// The `count` most similar of `tags`, best first. Tags that have little in common with `wanted` are left out.
pub fn nearest(wanted: &str, tags: impl IntoIterator<Item = String>, count: usize) -> Vec<String> {
    let mut ranked: Vec<_> = tags
        .into_iter()
        .filter(|tag| tag != wanted)
        // Of equally similar tags the later one is probably the newer version.
        .filter_map(|tag| Some((distance(wanted, &tag)?, Reverse(common(wanted, &tag)), Reverse(tag))))
        .collect();
    ranked.sort();
    ranked.truncate(count);
    ranked.into_iter().map(|(.., Reverse(tag))| tag).collect()
}

/// The number of edits; `None` if the tags have little in common. A spelling that differs only in case counts as one edit,
/// and so does a `v` before a version.
fn distance(wanted: &str, tag: &str) -> Option<usize> {
    let (one, other) = (wanted.to_lowercase(), tag.to_lowercase());
    let bare = |text: &str| text.strip_prefix('v').unwrap_or(text).to_owned();
    if one == other || bare(&one) == bare(&other) {
        return Some(1);
    }
    // A longer form of the wanted tag, such as `3.20-alpine` for `3.20`, is nearer than its number of letters says.
    let longer = other.strip_prefix(one.as_str()).is_some_and(|rest| rest.starts_with(['.', '-', '_']));
    let shorter = one.strip_prefix(other.as_str()).is_some_and(|rest| rest.starts_with(['.', '-', '_']));
    let edits = strsim::damerau_levenshtein(&one, &other);
    let limit = (one.chars().count() / 2).max(EDITS_MIN);
    match (longer || shorter, edits) {
        (true, edits) => Some(edits.min(RELATED)),
        (false, edits) => (edits <= limit).then_some(edits),
    }
}

/// The length of the common beginning.
fn common(one: &str, other: &str) -> usize {
    one.chars().zip(other.chars()).take_while(|(a, b)| a == b).count()
}

/// Edits that are always accepted.
const EDITS_MIN: usize = 2;
/// The distance of a longer or shorter form of the same version.
const RELATED: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn found(wanted: &str, tags: &[&str]) -> Vec<String> {
        nearest(wanted, tags.iter().map(ToString::to_string), 3)
    }

    #[test]
    fn slips_of_the_keyboard_find_their_tag() {
        assert_eq!(found("3.2O", &["2.7", "3.20", "3.19", "latest", "edge"])[0], "3.20");
        assert_eq!(found("lastest", &["latest", "stable"]), ["latest"]);
        assert_eq!(found("v1.27.0", &["1.27.0", "1.26.0"])[0], "1.27.0");
        assert_eq!(found("1.27-Alpine", &["1.27-alpine", "1.27"])[0], "1.27-alpine");
        assert_eq!(
            found("1.27", &["1.27.3-slim-bookworm", "sha-0123456789abcdef"]),
            ["1.27.3-slim-bookworm"]
        );
    }

    #[test]
    fn of_equally_similar_tags_the_later_one_comes_first() {
        assert_eq!(found("3.2O", &["3.18", "3.19", "3.20"]), ["3.20", "3.19", "3.18"]);
    }

    #[test]
    fn unrelated_tags_and_the_tag_itself_are_left_out() {
        assert!(found("3.20", &["nightly", "sha-0123456789", "3.20"]).is_empty());
        assert!(found("", &[]).is_empty());
    }
}
