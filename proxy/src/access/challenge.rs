//! The upstream's challenge, relayed: where a client gets the token that it may show us.
//!
//! The realm is the upstream's own, judged as if we were to follow it: a client would carry its pull secret there. What
//! comes back to us is a token for one repository, which lives for minutes. Nothing here ever asks for a password.

use oci::RegistryHost;
use url::Url;

/// A challenge for one repository.
#[derive(Clone, Debug)]
pub(crate) struct Challenge {
    /// The registry that wants the token.
    pub(crate) registry: RegistryHost,
    /// Where the token is to be had.
    pub(super) realm: Url,
    pub(super) service: Option<String>,
    pub(super) scope: String,
    /// True if a token was shown and refused.
    pub(crate) again: bool,
}

impl Challenge {
    /// `WWW-Authenticate` (RFC 6750, 3). To a first request it must not name an error: containerd would take that for
    /// the refusal of what it never sent. To a refused token it must, or containerd asks six times.
    pub(crate) fn header(&self) -> String {
        let mut text = format!("Bearer realm=\"{}\"", quoted(self.realm.as_str()));
        if let Some(service) = &self.service {
            text += &format!(",service=\"{}\"", quoted(service));
        }
        text += &format!(",scope=\"{}\"", quoted(&self.scope));
        if self.again {
            text += ",error=\"insufficient_scope\"";
        }
        text
    }
}

/// For a quoted string (RFC 9110, 5.6.4).
fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn challenge(service: Option<&str>, again: bool) -> Challenge {
        Challenge {
            registry: "registry.test".parse().unwrap(),
            realm: "https://auth.registry.test/token".parse().unwrap(),
            service: service.map(str::to_owned),
            scope: "repository:team/a:pull".to_owned(),
            again,
        }
    }

    #[test]
    fn the_first_challenge_names_no_error_and_a_refused_token_does() {
        let first = r#"Bearer realm="https://auth.registry.test/token",service="registry.test",scope="repository:team/a:pull""#;
        assert_eq!(challenge(Some("registry.test"), false).header(), first);
        assert_eq!(
            challenge(Some("registry.test"), true).header(),
            format!("{first},error=\"insufficient_scope\"")
        );
    }

    #[test]
    fn what_the_upstream_says_cannot_break_out_of_its_quotes() {
        let odd = challenge(Some(r#"a",error="x\"#), false).header();
        assert!(odd.contains(r#",service="a\",error=\"x\\","#), "{odd}");
        assert!(!challenge(None, false).header().contains("service"));
    }
}
