//! Reads an image name as a node does. A name that a node would refuse is explained: the place and kind of the mistake, and
//! the repaired name if it is obvious.

use oci::ImageName;

/// A name that a node refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadName {
    /// The character at fault, counted from 0.
    pub at: usize,
    /// The fault there.
    pub what: String,
    /// The name that was probably meant.
    pub repaired: Option<String>,
}

/// Reads the name.
///
/// # Errors
/// [`BadName`] if a node would refuse it.
pub fn read(text: &str) -> Result<ImageName, BadName> {
    let parsed = text.parse::<ImageName>();
    let fault = text_fault(text).or_else(|| parsed.is_err().then(|| part_fault(text)));
    match (fault, parsed) {
        (None, Ok(image)) => Ok(image),
        (fault, parsed) => {
            let otherwise = || parsed.err().map(|error| error.to_string()).unwrap_or_default();
            let (at, what) = fault.unwrap_or_else(|| (0, otherwise()));
            Err(BadName { at, what, repaired: repaired(text) })
        }
    }
}

/// A fault of the text as a whole: scheme, white space, characters of no name.
fn text_fault(text: &str) -> Option<(usize, String)> {
    if text.trim().is_empty() {
        return Some((0, "the name is empty".to_owned()));
    }
    if let Some(scheme) = scheme(text) {
        return Some((0, format!("an image name has no scheme: remove `{scheme}`")));
    }
    let (at, wrong) = text.chars().enumerate().find(|(_, c)| !is_plain(*c))?;
    Some((at, strange(wrong)))
}

fn strange(c: char) -> String {
    match c {
        ' ' => "a space".to_owned(),
        '"' | '\'' | '`' => format!("a quotation mark ({c})"),
        '\\' => "a backslash; the separator is `/`".to_owned(),
        c if c.is_whitespace() => "white space".to_owned(),
        c if c.is_control() => format!("a control character (U+{:04X})", c as u32),
        c if c.is_ascii() => format!("`{c}`, which no image name may have"),
        c => format!("`{}` (U+{:04X}), which is not ASCII", c.escape_debug(), c as u32),
    }
}

/// The fault of one part of the name: registry, repository, tag or digest.
fn part_fault(text: &str) -> (usize, String) {
    let (name, digest) = text.split_once('@').map_or((text, None), |(name, digest)| (name, Some(digest)));
    if let Some(digest) = digest
        && let Some((at, what)) = digest_fault(digest)
    {
        return (name.chars().count() + 1 + at, what);
    }
    let (path, tag) = match name.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => (path, Some(tag)),
        _ => (name, None),
    };
    let (registry, repository) = match path.split_once('/') {
        Some((first, rest)) if oci::name::names_registry(first) => (Some(first), rest),
        _ => (None, path),
    };
    let before = registry.map_or(0, |registry| registry.chars().count() + 1);
    if let Some(registry) = registry
        && registry.parse::<oci::RegistryHost>().is_err()
    {
        return registry_fault(registry);
    }
    if let Some((at, what)) = repository_fault(repository) {
        return (before + at, what);
    }
    match tag.and_then(tag_fault) {
        Some((at, what)) => (path.chars().count() + 1 + at, what),
        None => (0, "this is no image name; write registry/repository:tag".to_owned()),
    }
}

fn registry_fault(registry: &str) -> (usize, String) {
    let port =
        registry.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().map_or(true, |port| port == 0));
    match port {
        Some((host, port)) => {
            (host.chars().count() + 1, format!("`{port}` is no port: a number from 1 to 65535"))
        }
        None => (0, format!("`{}` is no host name", cut(registry))),
    }
}

fn repository_fault(repository: &str) -> Option<(usize, String)> {
    let number = repository.chars().count();
    if repository.is_empty() {
        return Some((0, "the repository is missing".to_owned()));
    }
    if number > REPOSITORY_MAX {
        return Some((
            REPOSITORY_MAX,
            format!("the repository has {number} characters, at most {REPOSITORY_MAX} are allowed"),
        ));
    }
    if let Some(at) = repository.chars().position(|c| c.is_ascii_uppercase()) {
        return Some((at, "an upper-case letter: repositories are lower case".to_owned()));
    }
    if let Some(at) = repository.find("//") {
        return Some((at + 1, "a word between two `/` is empty".to_owned()));
    }
    let wrong = |c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || "._-/".contains(c));
    if let Some((at, c)) = repository.chars().enumerate().find(|(_, c)| wrong(*c)) {
        return Some((
            at,
            format!("`{c}` in the repository: letters, digits, `.`, `_`, `-` and `/` are allowed"),
        ));
    }
    word_fault(repository)
}

/// The first word of the repository that begins or ends with a separator, or holds two in a row.
fn word_fault(repository: &str) -> Option<(usize, String)> {
    let mut begin = 0;
    for word in repository.split('/') {
        if word.parse::<oci::Repository>().is_err() {
            let at = match word.find(|c: char| c.is_ascii_alphanumeric()) {
                Some(0) => word.find(['.', '_', '-']).unwrap_or(0),
                _ => 0,
            };
            let what = if word.is_empty() {
                "the repository begins or ends with `/`".to_owned()
            } else {
                format!(
                    "`{}`: words begin and end with a letter or digit, with one `.`, `_`, `__` or any number of `-` between",
                    cut(word)
                )
            };
            return Some((begin + at, what));
        }
        begin += word.chars().count() + 1;
    }
    None
}

fn tag_fault(tag: &str) -> Option<(usize, String)> {
    let number = tag.chars().count();
    if tag.is_empty() {
        return Some((0, "the tag after `:` is empty".to_owned()));
    }
    if number > TAG_MAX {
        return Some((TAG_MAX, format!("the tag has {number} characters, at most {TAG_MAX} are allowed")));
    }
    if tag.starts_with(['.', '-']) {
        return Some((0, "a tag does not begin with `.` or `-`".to_owned()));
    }
    let wrong = |c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c));
    let (at, c) = tag.chars().enumerate().find(|(_, c)| wrong(*c))?;
    Some((at, format!("`{c}` in the tag: letters, digits, `.`, `_` and `-` are allowed")))
}

fn digest_fault(digest: &str) -> Option<(usize, String)> {
    if digest.parse::<oci::Digest>().is_ok() {
        return None;
    }
    let Some((algorithm, hex)) = digest.split_once(':') else {
        return Some((0, "a digest is written sha256:<64 hex digits>".to_owned()));
    };
    let expected = match algorithm {
        "sha256" => 64,
        "sha512" => 128,
        _ => return Some((0, format!("`{}` is no algorithm of digests: sha256 or sha512", cut(algorithm)))),
    };
    let after = algorithm.len() + 1;
    let wrong = |c: char| !(c.is_ascii_digit() || ('a'..='f').contains(&c));
    if let Some((at, c)) = hex.chars().enumerate().find(|(_, c)| wrong(*c)) {
        return Some((after + at, format!("`{c}` in the digest: lower-case hex digits are allowed")));
    }
    let number = hex.chars().count();
    Some((after + number.min(expected), format!("the digest has {number} hex digits, not {expected}")))
}

/// The name without the mistakes whose correction is obvious; `None` if that is not an image name.
fn repaired(text: &str) -> Option<String> {
    let cleaned: String = text.chars().filter_map(plain).collect();
    let without = scheme(&cleaned).map_or(cleaned.as_str(), |scheme| &cleaned[scheme.len()..]);
    let (name, digest) =
        without.split_once('@').map_or((without, None), |(name, digest)| (name, Some(digest)));
    let (path, tag) = match name.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => (path, Some(tag)),
        _ => (name, None),
    };
    let words: Vec<_> = path.split('/').filter(|word| !word.is_empty()).collect();
    let mut name = words.join("/").to_ascii_lowercase();
    if let Some(tag) = tag.map(|tag| tag.trim_start_matches(['.', '-'])).filter(|tag| !tag.is_empty()) {
        name = format!("{name}:{tag}");
    }
    if let Some(digest) = digest.filter(|digest| !digest.is_empty()) {
        name = format!("{name}@{}", digest.to_ascii_lowercase());
    }
    (name != text && name.parse::<ImageName>().is_ok()).then_some(name)
}

/// The plain character that was meant; `None` for one that is left out.
fn plain(c: char) -> Option<char> {
    match c {
        '\u{2010}'..='\u{2015}' | '\u{2212}' => Some('-'),
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - FULL_WIDTH),
        '\\' | '\u{2044}' | '\u{2215}' => Some('/'),
        '\u{2236}' | '\u{a789}' => Some(':'),
        '"' | '\'' | '`' | '\u{2018}'..='\u{201f}' | '\u{200b}'..='\u{200f}' | '\u{feff}' => None,
        c if c.is_whitespace() || c.is_control() => None,
        c => Some(c),
    }
}

/// The scheme at the beginning of the text.
fn scheme(text: &str) -> Option<&str> {
    let known =
        |scheme: &&str| text.get(..scheme.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(scheme));
    SCHEMES.iter().copied().find(known).map(|scheme| &text[..scheme.len()])
}

/// True for the characters of image names.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._-/:@[]+".contains(c)
}

/// A part of the name, short enough for a message.
fn cut(part: &str) -> String {
    let short: String = part.chars().take(SHOWN).collect();
    if short.len() < part.len() { format!("{short}…") } else { short }
}

/// The schemes that people paste.
const SCHEMES: [&str; 6] =
    ["https://", "http://", "docker://", "oci://", "docker-pullable://", "containerd://"];
/// Longest repository, in characters.
const REPOSITORY_MAX: usize = 255;
/// Longest tag, in characters.
const TAG_MAX: usize = 128;
/// The distance of full-width characters from ASCII.
const FULL_WIDTH: u32 = 0xfee0;
/// Characters of a part that a message shows.
const SHOWN: usize = 60;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_name_is_explained_at_its_place_and_repaired_if_that_is_obvious() {
        let hex = "a".repeat(64);
        let long = "a".repeat(256);
        let upper = format!("a/b@sha256:{}", "A".repeat(64));
        for (text, at, what, repaired) in [
            ("", 0, "empty", None),
            ("ghcr.io/Org/app:1", 8, "upper-case", Some("ghcr.io/org/app:1".to_owned())),
            ("https://ghcr.io/org/app", 0, "scheme", Some("ghcr.io/org/app".to_owned())),
            ("docker://alpine:3", 0, "scheme", Some("alpine:3".to_owned())),
            ("ghcr.io/org/app :1", 15, "space", Some("ghcr.io/org/app:1".to_owned())),
            (" ghcr.io/org/app:1", 0, "space", Some("ghcr.io/org/app:1".to_owned())),
            ("\"ghcr.io/org/app:1\"", 0, "quotation", Some("ghcr.io/org/app:1".to_owned())),
            ("alpine:", 7, "tag after `:` is empty", Some("alpine".to_owned())),
            ("ghcr.io/org/app:-1", 16, "does not begin", Some("ghcr.io/org/app:1".to_owned())),
            ("ghcr.io/org//app", 12, "empty", Some("ghcr.io/org/app".to_owned())),
            ("ghcr.io/org/app/", 16, "ends with", Some("ghcr.io/org/app".to_owned())),
            ("ghcr.io\\org\\app:1", 7, "backslash", Some("ghcr.io/org/app:1".to_owned())),
            ("ghcr.io/org/a–b:1", 13, "not ASCII", Some("ghcr.io/org/a-b:1".to_owned())),
            ("ghcr.io/org/app\u{200b}:1", 15, "U+200B", Some("ghcr.io/org/app:1".to_owned())),
            ("ghcr.io/org/bär:1", 13, "not ASCII", None),
            ("ghcr.io/org/app:1$", 17, "`$`", None),
            ("ghcr.io:99999/org/app", 8, "no port", None),
            ("ghcr.io/org/a..b", 13, "words begin and end", None),
            ("ghcr.io/org/app@sha256:12", 25, "2 hex digits, not 64", None),
            ("ghcr.io/org/app@md5:12", 16, "no algorithm", None),
            ("ghcr.io/org/app@latest", 16, "sha256:<64 hex", None),
            (upper.as_str(), 11, "lower-case hex", Some(format!("a/b@sha256:{hex}"))),
            (long.as_str(), 255, "256 characters", None),
        ] {
            let bad = read(text).unwrap_err();
            assert!(bad.what.contains(what), "{text}: {bad:?}");
            assert_eq!((bad.at, &bad.repaired), (at, &repaired), "{text}: {bad:?}");
        }
        let tag = format!("a/b:{}", "t".repeat(129));
        assert_eq!(read(&tag).unwrap_err().at, 4 + 128);
    }

    #[test]
    fn names_that_nodes_accept_are_read() {
        for text in ["alpine", "GHCR.io/org/app:V1_x", "localhost:5000/a", "[::1]:5000/a:x", "a/b:c@sha256:"]
        {
            let good =
                if text.ends_with(':') { format!("{text}{}", "0".repeat(64)) } else { text.to_owned() };
            assert!(read(&good).is_ok(), "{good}: {:?}", read(&good));
        }
    }

    #[test]
    fn random_text_is_read_or_explained_within_its_length() {
        let mut random = fastrand::Rng::with_seed(12);
        let soup: Vec<char> = SOUP.chars().collect();
        for _ in 0..20_000 {
            let text: String = (0..random.usize(0..40)).map(|_| soup[random.usize(0..soup.len())]).collect();
            if let Err(bad) = read(&text) {
                assert!(bad.at <= text.chars().count() && !bad.what.is_empty(), "{text:?}: {bad:?}");
                let again = bad.repaired.as_deref().map(read);
                assert!(again.is_none_or(|again| again.is_ok()), "{text:?}: {bad:?}");
            }
        }
    }

    const SOUP: &str = "aAzZ09..--__//::@@[] \t\"'\\%é–\u{200b}：sha256:ab";
}
