//! Removes secrets from a text that people pasted, before any of it is shown.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// The text without tokens, passwords, signatures of URLs and user information in URLs.
///
/// It covers what stands in headers, `key=value` pairs, JSON, TOML, options of programs, docker configurations, signed
/// URLs, and tokens that show themselves by their form. Names of images and hosts stay.
pub fn redact(text: &str) -> String {
    let mut clean = Cow::Borrowed(text);
    for pattern in PATTERNS.iter() {
        let next = pattern.replace_all(&clean, |found: &Captures<'_>| {
            let kept = found.name("keep").map_or("", |kept| kept.as_str());
            let end = found.name("end").map_or("", |end| end.as_str());
            format!("{kept}{HIDDEN}{end}")
        });
        if let Cow::Owned(next) = next {
            clean = Cow::Owned(next);
        }
    }
    clean.into_owned()
}

/// What stands in the place of a secret.
const HIDDEN: &str = "REDACTED";

/// The patterns. The group `keep` is what stands before a secret, the group `end` what stands after it.
static PATTERNS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    [
        // a private key
        r"(?s:(?P<keep>-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(?P<end>-----END|\z))",
        // headers with a scheme, also without the name of the header
        r#"(?i)(?P<keep>\b(?:proxy-)?authorization\\*["']?\s*[:=]\s*\\*["']?(?:\[\s*)?(?:(?:basic|bearer|digest|negotiate|aws4-hmac-sha256)\s+)?)[^\s"'\\\]]+"#,
        r"(?i)(?P<keep>\b(?:bearer|basic)\s+)(?P<secret>[a-z0-9+/_.~-]{16,}=*)",
        r#"(?i)(?P<keep>\b(?:set-)?cookie\\*["']?\s*[:=]\s*)[^\r\n"]+"#,
        // user information in URLs
        r#"(?i)(?P<keep>\b[a-z][a-z0-9+.-]*://)[^\s/"'@<>]+(?P<end>@)"#,
        // parameters of signed URLs and of token requests
        r#"(?i)(?P<keep>[?&;](?:x-amz-(?:signature|credential|security-token)|x-goog-(?:signature|credential)|awsaccesskeyid|signature|sig|sv_sig|skoid|policy|key-pair-id|token|access_token|refresh_token|id_token|code|password|client_secret|hmac|verify|expires_sig|api_?key|_auth)=)[^\s&"'<>\\)]*[^\s&"'<>\\):.,;]"#,
        // keys and values
        r#"(?i)(?P<keep>(?:^|[\s{,"'\\(\[])[a-z0-9_.-]*(?:password|passwd|passphrase|secret|api[_-]?key|access[_-]?key|private[_-]?key|identity[_-]?token|registry[_-]?token|access[_-]?token|refresh[_-]?token|id[_-]?token|auth[_-]?token|session[_-]?token|credentials?_json|dockerconfigjson|dockercfg)\\*["']?\s*[:=]\s*)(?:\\*"[^"\r\n]*"|'[^'\r\n]*'|[^\s,;&"'}\]]+)"#,
        r#"(?i)(?P<keep>\\*["'](?:auth|token|pass|pwd)\\*["']\s*:\s*)\\*"[^"\r\n]*""#,
        r#"(?i)(?P<keep>(?:^|\s)(?:auth|token|pass|pwd)\s*=\s*)(?:"[^"\r\n]*"|[^\s,;]+)"#,
        // options of programs
        r#"(?i)(?P<keep>(?:^|\s)--?(?:password|pass|token|creds|src-creds|dest-creds|authfile-data|registry-token|identity-token|user)[ =])(?:"[^"\r\n]*"|'[^'\r\n]*'|[^\s]+)"#,
        r#"(?P<keep>\b(?:login|docker|podman|crictl|nerdctl|helm|oras|crane)\b[^\r\n]*? -p[ =]?)[^\s]+"#,
        // tokens that show themselves by their form
        r"(?P<secret>\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){1,4})",
        r"\b(?:gh[pousr]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{16,}|glpat-[A-Za-z0-9_-]{12,}|gl[a-z]{2,5}-[A-Za-z0-9_-]{16,}|dckr_(?:pat|oat)_[A-Za-z0-9_-]{12,}|xox[abprs]-[A-Za-z0-9-]{10,}|AKC[a-zA-Z0-9]{20,}|cmVm[A-Za-z0-9+/=]{20,}|ya29\.[A-Za-z0-9_-]{10,}|sk-[A-Za-z0-9]{20,}|hvs\.[A-Za-z0-9_-]{10,})",
        r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    ]
    .map(|pattern| Regex::new(pattern).expect("invariant: a fixed pattern"))
    .into()
});

#[cfg(test)]
mod tests {
    use super::*;

    /// A secret in every form that a paste may have.
    const SECRET: &str = "c4n4ryS3cr3tV4lue99";

    #[test]
    fn secrets_do_not_stay() {
        for text in [
            "Authorization: Bearer SECRET",
            "authorization: Basic SECRET==",
            r#"{"Authorization":"Bearer SECRET"}"#,
            r#"{\"authorization\":[\"Bearer SECRET\"]}"#,
            "request.header.authorization=SECRET",
            "Proxy-Authorization: Basic SECRET",
            "sent Bearer SECRET to it",
            "Cookie: session=SECRET; other=1",
            "https://user:SECRET@registry.corp/v2/",
            "https://SECRET@registry.corp/v2/",
            "https://b.test/x?X-Amz-Signature=SECRET&X-Amz-Credential=SECRET%2F1&x=1",
            "https://b.test/x?se=2026&sp=r&sig=SECRET",
            "https://b.test/x?Expires=1&Signature=SECRET&Key-Pair-Id=SECRET",
            "https://a.test/token?service=x&password=SECRET&client_secret=SECRET",
            "password=SECRET",
            "password: \"SECRET\"",
            r#"password = 'SECRET'"#,
            r#"{"username":"u","password":"SECRET"}"#,
            r#"{\"auths\":{\"r.test\":{\"auth\":\"SECRET\"}}}"#,
            r#"{"identitytoken":"SECRET"}"#,
            "docker login -u me -p SECRET registry.corp",
            "docker login --password SECRET",
            "skopeo copy --src-creds user:SECRET docker://a dir:b",
            "DB_PASSWORD=SECRET",
            r#"{"token":"SECRET"}"#,
            "token=SECRET",
            "client_secret: SECRET",
            "-----BEGIN RSA PRIVATE KEY-----\nSECRET\n-----END RSA PRIVATE KEY-----",
            "-----BEGIN PRIVATE KEY-----\nSECRET cut",
            "a ghp_SECRET b",
            "a glpat-SECRET b",
            "a dckr_pat_SECRET b",
            "a eyJSECRET.SECRET.SECRET b",
        ] {
            let clean = redact(&text.replace("SECRET", SECRET));
            assert!(!clean.contains(SECRET), "{text}: {clean}");
            assert!(clean.contains(HIDDEN), "{text}: {clean}");
        }
    }

    #[test]
    fn what_is_no_secret_stays() {
        for text in [
            "failed to fetch anonymous token: unexpected status: 401 Unauthorized",
            "unauthorized: incorrect username or password",
            "unable to retrieve auth token: invalid username/password: unauthorized",
            "no basic auth credentials",
            "Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\"",
            "Failed to pull image \"ghcr.io/org/app@sha256:566e42bcee1cd697dcab6098c082789af33bc8cbcbaa95c8adbad87283c85c75\"",
            "https://auth.docker.io/token?scope=repository%3Alibrary%2Falpine%3Apull&service=registry.docker.io",
            "pull secret default/regcred is missing",
        ] {
            assert_eq!(redact(text), text);
        }
    }
}
