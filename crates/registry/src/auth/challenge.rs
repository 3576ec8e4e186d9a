//! Reads `WWW-Authenticate` challenges (RFC 9110, 11.6.1; distribution token specification).

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;
use http_auth::ChallengeRef;
use http_auth::parser::ChallengeParser;
use url::Url;

/// The challenge of a registry. If it offers both Bearer and Basic, Bearer is used, as other clients do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// A token from a token endpoint.
    Bearer(Bearer),
    /// User name and password on every request (Amazon ECR).
    Basic {
        /// The protection space. It is not used.
        realm: String,
    },
}

/// The parameters of a Bearer challenge, as sent. The realm is not checked yet (see [`crate::trust`]).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bearer {
    /// URL of the token endpoint; may be relative.
    pub realm: String,
    /// Name of the service the token is for.
    pub service: Option<String>,
    /// Scopes separated by blanks, such as `repository:library/alpine:pull`.
    pub scope: Option<String>,
    /// The reason why the sent token was refused, such as `insufficient_scope`.
    pub error: Option<String>,
}

/// A challenge that can be passed on to a client, because its realm has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A token.
    Token {
        /// URL of the token endpoint, within the upstream's zone.
        realm: Url,
        /// Name of the service the token is for.
        service: Option<String>,
        /// The scope for pulling from the requested repository, as the endpoint names it.
        scope: String,
    },
    /// User name and password with every request.
    Basic,
}

/// A 401 came without a usable challenge.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadChallenge {
    /// The answer has no `WWW-Authenticate`.
    #[error("a 401 without WWW-Authenticate")]
    Absent,
    /// The answer has no readable Bearer or Basic challenge.
    #[error("WWW-Authenticate names no readable Bearer or Basic challenge")]
    Unreadable,
}

impl Challenge {
    /// Reads all `WWW-Authenticate` lines of an answer. If a line cannot be read to its end, its readable beginning
    /// counts.
    pub fn from_headers(headers: &HeaderMap) -> Result<Self, BadChallenge> {
        if !headers.contains_key(WWW_AUTHENTICATE) {
            return Err(BadChallenge::Absent);
        }
        let lines = headers.get_all(WWW_AUTHENTICATE).iter().take(LINES_MAX);
        let readable = lines.filter_map(|line| line.to_str().ok()).filter(|line| line.len() <= LINE_MAX);
        let challenges: Vec<Self> = readable
            .flat_map(|line| ChallengeParser::new(line).map_while(Result::ok))
            .filter_map(|challenge| Self::of(&challenge))
            .collect();
        let bearer = challenges.iter().position(|challenge| matches!(challenge, Self::Bearer(_)));
        challenges.into_iter().nth(bearer.unwrap_or(0)).ok_or(BadChallenge::Unreadable)
    }

    fn of(challenge: &ChallengeRef<'_>) -> Option<Self> {
        if challenge.scheme.eq_ignore_ascii_case("basic") {
            let realm = parameter(challenge, "realm").ok()?.unwrap_or_default();
            return Some(Self::Basic { realm });
        }
        if !challenge.scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        Some(Self::Bearer(Bearer {
            realm: parameter(challenge, "realm").ok()?.filter(|realm| !realm.is_empty())?,
            service: parameter(challenge, "service").ok()?,
            scope: parameter(challenge, "scope").ok()?,
            error: parameter(challenge, "error").ok()?,
        }))
    }
}

/// A parameter came twice. The challenge is ignored, because it is ambiguous.
struct Twice;

fn parameter(challenge: &ChallengeRef<'_>, name: &str) -> Result<Option<String>, Twice> {
    let mut found = challenge.params.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
    let first = found.next().map(|(_, value)| value.to_unescaped());
    if found.next().is_some() { Err(Twice) } else { Ok(first) }
}

/// Most header lines read; servers send one or two.
const LINES_MAX: usize = 8;
/// Longest line read, in bytes.
const LINE_MAX: usize = 8 * 1024;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Result<Challenge, BadChallenge> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(WWW_AUTHENTICATE, line.parse().unwrap());
        }
        Challenge::from_headers(&headers)
    }

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>, error: Option<&str>) -> Challenge {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Challenge::Bearer(Bearer {
            realm: realm.to_owned(),
            service: owned(service),
            scope: owned(scope),
            error: owned(error),
        })
    }

    #[test]
    fn challenges_of_real_registries_are_read() {
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/alpine:pull",error="insufficient_scope""#;
        assert_eq!(
            read(&[hub]),
            Ok(bearer(
                "https://auth.docker.io/token",
                Some("registry.docker.io"),
                Some("repository:library/alpine:pull"),
                Some("insufficient_scope")
            ))
        );
        assert_eq!(
            read(&[r#"bEARER Realm="/token", SERVICE=x"#]),
            Ok(bearer("/token", Some("x"), None, None))
        );
        assert_eq!(
            read(&[
                r#"Basic realm="https://1.dkr.ecr.eu-west-1.amazonaws.com/",service="ecr.amazonaws.com""#
            ]),
            Ok(Challenge::Basic { realm: "https://1.dkr.ecr.eu-west-1.amazonaws.com/".into() })
        );
    }

    #[test]
    fn bearer_is_preferred_at_any_position() {
        let wanted = Ok(bearer("https://a/t", None, None, None));
        for lines in [
            &[r#"Basic realm="x", Bearer realm="https://a/t""#][..],
            &[r#"Basic realm="x""#, r#"Bearer realm="https://a/t""#][..],
            &[r#"Bearer realm="https://a/t""#, r#"Basic realm="x""#][..],
            &[r#"Negotiate, NTLM, Bearer realm="https://a/t""#][..],
            &["= nonsense", r#"Bearer realm="https://a/t""#][..],
        ] {
            assert_eq!(read(lines), wanted, "{lines:?}");
        }
    }

    #[test]
    fn unusable_challenges_are_refused() {
        assert_eq!(read(&[]), Err(BadChallenge::Absent));
        let long = format!("Bearer realm=\"{}\"", "a".repeat(LINE_MAX));
        for line in [
            "",
            "Bearer",
            "Bearer realm",
            "Bearer realm=",
            "Bearer realm=\"\"",
            "Bearer realm=\"unclosed",
            "Bearer service=\"x\"",
            "Bearer realm=\"a\",realm=\"b\"",
            "Bearer realm=\"a\",REALM=\"b\"",
            "Negotiate",
            "Digest realm=\"x\", nonce=\"y\"",
            "{\"realm\":\"x\"}",
            &long,
        ] {
            assert_eq!(read(&[line]), Err(BadChallenge::Unreadable), "{line:.60}");
        }
        let mut lines = vec!["Negotiate"; LINES_MAX];
        lines.push("Bearer realm=\"https://a/t\"");
        assert_eq!(read(&lines), Err(BadChallenge::Unreadable), "beyond the bound");
    }
}
