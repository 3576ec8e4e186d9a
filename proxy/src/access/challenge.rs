//! A challenge relayed from the upstream. It tells a client where to get the token to present here.
//!
//! The realm is the upstream's own. The client will send its pull secret there, so the realm must pass the same rules
//! as a realm to which this mirror sends a secret of its own. The client comes back with a token that is valid for one
//! repository and for some minutes. This mirror never asks for a password.

use oci::RegistryHost;
use url::Url;

/// A challenge for one repository.
#[derive(Clone, Debug)]
pub(crate) struct Challenge {
    /// The registry that wants the token.
    pub(crate) registry: RegistryHost,
    /// The address that issues the token.
    pub(super) realm: Url,
    pub(super) service: Option<String>,
    pub(super) scope: String,
    /// True if the client presented a token and it was refused.
    pub(crate) again: bool,
}

impl Challenge {
    /// The value of `WWW-Authenticate` (RFC 6750, section 3). The answer to a request without a token must not name an
    /// error, because containerd would take the error as the refusal of a token that it never sent. The answer to a
    /// refused token must name an error, because containerd otherwise asks six times.
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

/// Escapes `text` for a quoted string (RFC 9110, section 5.6.4).
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
    fn text_of_the_upstream_cannot_break_out_of_its_quotes() {
        let odd = challenge(Some(r#"a",error="x\"#), false).header();
        assert!(odd.contains(r#",service="a\",error=\"x\\","#), "{odd}");
        assert!(!challenge(None, false).header().contains("service"));
    }
}
