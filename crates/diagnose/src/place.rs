//! Where a pull failed: host, registry, image, stage, status, from the names and words around the match of a rule.

use std::ops::Range;
use std::sync::LazyLock;

use oci::{Class, Stage};
use regex::bytes::Regex;

use crate::address::{self, Url};
use crate::kind::Kind;
use crate::mask::Masked;
use crate::reading::{Method, RpcCode};
use crate::reason::Reason;
use crate::rules::status;

/// A match within its text.
pub(crate) struct Place<'a> {
    /// The plain text.
    pub(crate) plain: &'a str,
    /// The masked text.
    pub(crate) masked: &'a Masked,
    /// The match.
    pub(crate) at: Range<usize>,
}

impl Place<'_> {
    /// The registry: of `?ns=`, else of the image's name.
    pub(crate) fn registry(&self) -> Option<String> {
        let urls = self.url().into_iter().chain(self.masked.urls.iter().map(|(_, url)| url));
        let ns = urls.filter_map(|url| url.ns.clone()).next();
        ns.or_else(|| registry_of(&self.image()?))
    }

    /// The image, as the text names it first with a word for images, else its first name that looks like one.
    pub(crate) fn image(&self) -> Option<String> {
        let images = &self.masked.images;
        let announced = images.iter().find(|name| IMAGE.is_match(self.before(name.start, 24)));
        let with_path = || images.iter().find(|name| self.plain[(*name).clone()].contains('/'));
        let name = announced.or_else(with_path)?;
        Some(self.plain[name.clone()].to_owned())
    }

    /// The digest nearest before the end of the match, else the first after it.
    pub(crate) fn digest(&self) -> Option<String> {
        let url = self.url_at().map(|(at, _)| at.clone());
        let in_url = url.and_then(|at| digest_in(&self.plain[at]));
        let whole = |at: &Range<usize>| digest_in(&self.plain[at.clone()]);
        in_url.or_else(|| self.masked.digests.iter().find_map(whole))
    }

    /// The code of the outermost `rpc error`.
    pub(crate) fn code(&self) -> Option<RpcCode> {
        let found = RPC.captures(&self.masked.text)?.get(1)?;
        let word = std::str::from_utf8(found.as_bytes()).ok()?;
        RpcCode::ALL.iter().copied().find(|code| code.as_str().eq_ignore_ascii_case(word))
    }

    /// The status code at the match, for classes of answers.
    pub(crate) fn status(&self, class: Class) -> Option<u16> {
        if !is_answer(class) {
            return None;
        }
        let near = self.at.start.saturating_sub(NEAR)..(self.at.end + NEAR).min(self.masked.text.len());
        let text = &self.masked.text[near.clone()];
        let distance = |found: &Range<usize>| {
            let (start, end) = (found.start + near.start, found.end + near.start);
            start.saturating_sub(self.at.end) + self.at.start.saturating_sub(end)
        };
        let nearest = STATUS.find_iter(text).map(|found| found.range()).min_by_key(distance)?;
        let digits: String = String::from_utf8_lossy(&text[nearest]).into_owned();
        let code = digits.split(|c: char| !c.is_ascii_digit()).find(|part| part.len() == 3)?;
        code.parse().ok()
    }

    /// The method of the request that failed.
    pub(crate) fn method(&self) -> Option<Method> {
        let end = self.url_at().map_or(self.at.end, |(at, _)| at.start);
        let found = METHOD.find_iter(self.before(end, 40)).last()?;
        let word = std::str::from_utf8(found.as_bytes()).ok()?;
        let word = word.split_whitespace().next().unwrap_or_default();
        Method::ALL.iter().copied().find(|method| method.as_str().eq_ignore_ascii_case(word))
    }

    /// The host that failed.
    pub(crate) fn host(&self, class: Class) -> Option<String> {
        if is_local(class) {
            return None;
        }
        let dialled = || self.word(&DIALLED);
        let asked = || self.url().map(|url| url.host.clone());
        let named = || self.word(&NAMED);
        match class {
            Class::Dns => self.word(&LOOKED_UP).or_else(asked).or_else(named),
            Class::HttpProxy => self.word(&LOOKED_UP).or_else(dialled).or_else(asked),
            _ => asked().or_else(named).or_else(|| self.word(&LOOKED_UP)).or_else(dialled),
        }
    }

    /// The stage that failed, if the rule does not know it.
    pub(crate) fn stage(&self, class: Class) -> Option<Stage> {
        match class {
            _ if is_local(class) => None,
            Class::TlsUnknownCa
            | Class::TlsExpired
            | Class::TlsNotYetValid
            | Class::TlsName
            | Class::TlsOther => Some(Stage::Tls),
            Class::PlatformMissing | Class::MediaType => Some(Stage::ManifestGet),
            Class::Truncated | Class::Corrupt if self.is_of_manifest() => Some(Stage::ManifestGet),
            Class::Truncated | Class::Corrupt => Some(Stage::BlobTransfer),
            Class::ConnectReset | Class::Stalled if self.is_in_body() => Some(Stage::BlobTransfer),
            _ => self.stage_of_request(),
        }
    }

    /// The reason for which a failure is one of the host that content is redirected to; `None` if it is not.
    pub(crate) fn blob_host(&self, class: Class, host: Option<&str>) -> Option<Reason> {
        let reason = match class {
            Class::Dns => Reason::BlobHostDns,
            Class::ConnectTimeout
            | Class::ConnectRefused
            | Class::ConnectUnreachable
            | Class::ConnectReset
            | Class::Stalled => Reason::BlobHostConnect,
            _ => return None,
        };
        let is_elsewhere = match self.url() {
            Some(url) => url.kind == Kind::OtherUrl,
            None => host.is_some_and(address::serves_blobs),
        };
        is_elsewhere.then_some(reason)
    }

    fn stage_of_request(&self) -> Option<Stage> {
        let is_head = match self.method() {
            Some(method) => method == Method::Head,
            None => RESOLVES.is_match(&self.masked.text),
        };
        let manifest = if is_head { Stage::ManifestHead } else { Stage::ManifestGet };
        match self.url().map(|url| url.kind) {
            Some(Kind::TokenUrl) => Some(Stage::Token),
            Some(Kind::PingUrl) => Some(Stage::Challenge),
            Some(Kind::TagUrl | Kind::HubUrl | Kind::DigestUrl) => Some(manifest),
            Some(Kind::BlobUrl | Kind::OtherUrl) => Some(Stage::BlobFirstByte),
            _ => self.stage_of_words(manifest),
        }
    }

    fn stage_of_words(&self, manifest: Stage) -> Option<Stage> {
        let text = &self.masked.text;
        match () {
            () if TOKEN.is_match(text) => Some(Stage::Token),
            () if PING.is_match(text) => Some(Stage::Challenge),
            () if BLOB.is_match(text) => Some(Stage::BlobFirstByte),
            () if MANIFEST.is_match(text) => Some(manifest),
            () => None,
        }
    }

    fn is_of_manifest(&self) -> bool {
        matches!(self.url().map(|url| url.kind), Some(Kind::TagUrl | Kind::HubUrl | Kind::DigestUrl))
            || (OF_MANIFEST.is_match(&self.masked.text) && !BLOB.is_match(&self.masked.text))
    }

    /// True if the content was being copied: the text names a failure of reading, and no request.
    fn is_in_body(&self) -> bool {
        self.url().is_none() && COPYING.is_match(&self.masked.text)
    }

    /// The URL of the failed request: the last that begins before the end of the match, else the first after it.
    fn url_at(&self) -> Option<&(Range<usize>, Url)> {
        let urls = &self.masked.urls;
        urls.iter().rev().find(|(at, _)| at.start < self.at.end).or_else(|| urls.first())
    }

    fn url(&self) -> Option<&Url> {
        self.url_at().map(|(_, url)| url)
    }

    /// The host in the first group of the last match before the end of the rule's match, else of the first after it.
    fn word(&self, pattern: &Regex) -> Option<String> {
        let all = || pattern.captures_iter(&self.masked.text).filter_map(|found| Some(found.get(1)?.range()));
        let at = all().take_while(|at| at.start < self.at.end).last().or_else(|| all().next())?;
        let host = self.plain.get(at)?.trim_matches(['"', '\'', ':', '.', ',']);
        (!host.is_empty()).then(|| host.to_ascii_lowercase())
    }

    fn before(&self, end: usize, length: usize) -> &[u8] {
        &self.masked.text[end.saturating_sub(length)..end]
    }
}

/// The registry in an image's name; `None` for a name that leaves it out.
fn registry_of(image: &str) -> Option<String> {
    let (first, _) = image.split_once('/')?;
    let is_host = first.contains(['.', ':']) || first == "localhost";
    is_host.then(|| first.to_ascii_lowercase())
}

fn digest_in(text: &str) -> Option<String> {
    let found = WHOLE_DIGEST.find(text.as_bytes())?;
    Some(text[found.range()].replace("%3A", ":").replace("%3a", ":"))
}

/// True for a fault of the node, of which no registry's host is a part.
fn is_local(class: Class) -> bool {
    matches!(
        class,
        Class::NameInvalid
            | Class::NeverPolicy
            | Class::KubeletThrottle
            | Class::Signature
            | Class::DiskFull
            | Class::DiskSlow
            | Class::CriDown
    )
}

/// True for a class that a registry's answer may have.
fn is_answer(class: Class) -> bool {
    !is_local(class)
        && !matches!(
            class,
            Class::Dns
                | Class::ConnectTimeout
                | Class::ConnectRefused
                | Class::ConnectUnreachable
                | Class::ConnectReset
                | Class::TlsUnknownCa
                | Class::TlsExpired
                | Class::TlsNotYetValid
                | Class::TlsName
                | Class::TlsOther
                | Class::Stalled
                | Class::Truncated
                | Class::Corrupt
        )
}

fn fixed(pattern: &str) -> Regex {
    Regex::new(&format!("(?m-u){pattern}")).expect("invariant: a fixed pattern")
}

/// The distance from the match in which its status code is looked for, in bytes.
const NEAR: usize = 160;

static IMAGE: LazyLock<Regex> =
    LazyLock::new(|| fixed(r#"(?:image|reference|pulling|pull|for|solve:)["']?\s*[:=]?\s*["']?$"#));
static RPC: LazyLock<Regex> = LazyLock::new(|| fixed(r"\bcode = ([a-z]+)"));
static STATUS: LazyLock<Regex> = LazyLock::new(|| fixed(&status("1xx|2xx|3xx|4xx|5xx")));
static METHOD: LazyLock<Regex> = LazyLock::new(|| fixed(r#"\b(?:head|get|post)\b(?: request)?"#));
static LOOKED_UP: LazyLock<Regex> = LazyLock::new(|| {
    fixed(
        r"(?:\blookup\s+|could(?:n't| not) resolve host:?\s+|name resolution for\s+)([^\s:,;]+(?::[0-9]+)?)",
    )
});
static DIALLED: LazyLock<Regex> = LazyLock::new(|| {
    fixed(
        r"(?:\bdial(?:ing)? (?:tcp|udp)[46]?:?\s+|->|\bconnect to\s+)(\[[0-9a-f:.%]+\]:[0-9]+|[^\s:>]+:[0-9]+|[^\s:>]+)",
    )
});
/// Hosts that sentences name without a URL.
static NAMED: LazyLock<Regex> = LazyLock::new(|| {
    fixed(
        r"(?:pinging (?:container |docker )?registry|from host|registry host|login attempt to|connect to registry|registry endpoint|get(?:ting)? credentials for|host:?)\s+([^\s,;]+)",
    )
});
static RESOLVES: LazyLock<Regex> =
    LazyLock::new(|| fixed(r"failed to resolve (?:reference|image|source metadata)|\[manifests "));
static TOKEN: LazyLock<Regex> = LazyLock::new(|| {
    fixed(
        r"(?:anonymous|oauth|bearer|auth|identity|access) token|failed to authorize|incorrect username|username/password",
    )
});
static PING: LazyLock<Regex> = LazyLock::new(|| fixed(r"pinging (?:container|docker) registry"));
static BLOB: LazyLock<Regex> = LazyLock::new(|| {
    fixed(
        r"httpreadseeker|\bblob\b|image configuration|reading config|\blayer|content at |fetching blob|copying config",
    )
});
static MANIFEST: LazyLock<Regex> = LazyLock::new(|| {
    fixed(r"manifest|failed to resolve|source metadata|initializing source|: not found|pull access denied")
});
static COPYING: LazyLock<Regex> = LazyLock::new(|| {
    fixed(r"failed to copy|copying|reading blob|writing blob|storing blob|extracting|error pulling")
});
static OF_MANIFEST: LazyLock<Regex> = LazyLock::new(|| fixed(r"manifest"));
static WHOLE_DIGEST: LazyLock<Regex> = LazyLock::new(|| fixed(r"sha(?:256|512)(?::|%3[aA])[0-9a-f]{64,}"));
