//! Advice for messages: the most similar known name, the section that a key belongs to, the place for secrets.

use super::key::{Key, Shape};

/// Advice for a key that is unknown in its section.
pub(crate) fn for_unknown_key(name: &str, known: &[&str], document: &[Key]) -> Option<String> {
    if names_secret(name) {
        return Some(SECRETS_IN_FILES.to_owned());
    }
    if let Some(near) = nearest(name, known.iter().copied()) {
        return Some(format!("write `{near}`"));
    }
    section_of(name, "", document).map(|section| format!("`{name}` belongs in {section}"))
}

/// The candidate most similar to `name`; `None` if no candidate is similar enough.
pub(crate) fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_ascii_lowercase().replace('-', "_");
    candidates
        .map(|candidate| (strsim::jaro_winkler(&name, &candidate.replace('-', "_")), candidate))
        .filter(|(likeness, _)| *likeness > LIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// True if this is a key of any section and does not hold a secret.
pub(crate) fn is_known_key(name: &str, document: &[Key]) -> bool {
    section_of(name, "", document).is_some() && !names_secret(name)
}

/// True for a name under which users often write the secret itself.
fn names_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["password", "passwd", "pass", "token", "secret", "auth", "identitytoken", "api_key"]
        .contains(&name.as_str())
}

fn section_of(name: &str, header: &str, keys: &[Key]) -> Option<String> {
    if keys.iter().any(|key| key.name == name) {
        return Some(if header.is_empty() { "the top level".to_owned() } else { format!("[{header}]") });
    }
    keys.iter().find_map(|key| {
        let header = if header.is_empty() { key.name.to_owned() } else { format!("{header}.{}", key.name) };
        let header = if key.shape == Shape::Named { format!("{header}.ID") } else { header };
        section_of(name, &header, key.keys)
    })
}

/// The advice for every secret that is found in the configuration.
pub(crate) const SECRETS_IN_FILES: &str = "secrets stand in files of their own: write `password_file = \"/path\"` (or `docker_config`, or `helper`), \
     and take the secret out of this file";
/// Jaro-Winkler similarity above which a name is taken for a typing error.
const LIKE: f64 = 0.82;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::raw::Root;
    use crate::file::read::Value;

    #[test]
    fn typing_errors_are_corrected_and_unrelated_names_are_not() {
        let known = ["listen", "tls", "header_deadline", "drain", "max_connections", "cache"];
        for (slip, meant) in [
            ("lisen", "listen"),
            ("headerDeadline", "header_deadline"),
            ("max-connections", "max_connections"),
        ] {
            assert_eq!(nearest(slip, known.into_iter()), Some(meant), "{slip}");
        }
        assert_eq!(nearest("workers", known.into_iter()), None);
    }

    #[test]
    fn the_advice_for_a_key_of_another_section_names_that_section() {
        assert_eq!(
            for_unknown_key("lock_wait", &["listen"], Root::KEYS).as_deref(),
            Some("`lock_wait` belongs in [proxy.cache]")
        );
        assert_eq!(
            for_unknown_key("ca_file", &["listen"], Root::KEYS).as_deref(),
            Some("`ca_file` belongs in [upstreams.ID]")
        );
        assert!(
            for_unknown_key("password", &["password_file"], Root::KEYS)
                .is_some_and(|help| help.contains("password_file"))
        );
    }
}
