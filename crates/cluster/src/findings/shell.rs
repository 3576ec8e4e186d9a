//! Commands that a person can paste: names are quoted for the shell.

/// A name as one word of a shell command.
pub(super) fn word(text: &str) -> String {
    let plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ':' | '@' | '=' | ',');
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Creates a pull secret for the key of a registry.
pub(super) fn create_secret(namespace: &str, name: &str, server: &str) -> String {
    format!(
        "kubectl create secret docker-registry {} --namespace={} --docker-server={} --docker-username=USER --docker-password=PASSWORD",
        word(name),
        word(namespace),
        word(server)
    )
}

/// Removes a secret and creates it anew. The type of a secret cannot be changed.
pub(super) fn replace_secret(namespace: &str, name: &str, server: &str) -> String {
    format!(
        "kubectl delete secret {} --namespace={}\n{}",
        word(name),
        word(namespace),
        create_secret(namespace, name, server)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_word() {
        for (name, word_of_it) in [
            ("regcred", "regcred"),
            ("", "''"),
            ("a b; rm", "'a b; rm'"),
            ("it's", r"'it'\''s'"),
            ("$(x)", "'$(x)'"),
        ] {
            assert_eq!(word(name), word_of_it);
        }
    }
}
