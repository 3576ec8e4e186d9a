//! Finds the parts of a file that must not be shown, and replaces them with stars.

use std::ops::Range;

/// The text with every masked byte replaced by a star. The length and the lines stay the same.
pub(crate) fn stars(source: &str, masks: &[Range<usize>]) -> String {
    let covered = |at: usize| masks.iter().any(|mask| mask.contains(&at));
    let mut text = String::with_capacity(source.len());
    for (at, c) in source.char_indices() {
        if c != '\n' && covered(at) {
            text.extend(std::iter::repeat_n('*', c.len_utf8()));
        } else {
            text.push(c);
        }
    }
    text
}

/// User information in addresses: the text between `://` and the last `@` of the same word.
pub(crate) fn user_info(source: &str) -> Vec<Range<usize>> {
    let starts = source.match_indices("://").map(|(at, sign)| at + sign.len());
    starts
        .filter_map(|start| {
            let word = source[start..].split(['"', '\'', '\n', ' ', ',']).next()?;
            let end = word.rfind('@')?;
            Some(start..start + end)
        })
        .collect()
}

/// The masks for a file that cannot be parsed: everything except section headers, comments and the values of known keys
/// that hold no secret. Any other text might be a secret.
pub(crate) fn all_but_known(source: &str, is_known: impl Fn(&str) -> bool) -> Vec<Range<usize>> {
    let mut masks = Vec::new();
    let mut start = 0;
    for line in source.split_inclusive('\n') {
        let end = start + line.len();
        let text = line.trim();
        match line.split_once('=') {
            _ if text.starts_with('[') && !text.contains('=') => {}
            Some((key, value)) if !is_known(key.trim()) || value.contains('=') => {
                masks.push(start + key.len() + 1..end)
            }
            Some(_) => {}
            None => masks.push(start..end),
        }
        start = end;
    }
    masks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_information_is_covered_and_nothing_else() {
        let source = "a = [\"https://me:p@ss@host/x\", \"https://host/@\"]";
        let masked = stars(source, &user_info(source)[..1]);
        assert_eq!(masked, "a = [\"https://*******@host/x\", \"https://host/@\"]");
        assert_eq!(masked.len(), source.len());
    }

    #[test]
    fn of_a_broken_file_only_known_keys_and_their_values_are_shown() {
        let source = "[proxy]\nlisten = 127\npasword = \"canary\nname = { a = \"canary\" }\ncanary\n";
        let masked = stars(source, &all_but_known(source, |key| key == "listen" || key == "name"));
        assert!(masked.starts_with("[proxy]\nlisten = 127\npasword =*"), "{masked}");
        assert!(!masked.contains("canary"), "{masked}");
    }
}
