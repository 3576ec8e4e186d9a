//! Finds the names in a text: URLs, digests, image references, paths.

use std::ops::Range;
use std::sync::LazyLock;

use regex::bytes::{Captures, Regex};

use super::masked::Masked;
use crate::address::Url;
use crate::kind::Kind;

/// Covers URLs, and keeps what they say.
pub(super) fn urls(plain: &str, masked: &mut Masked) {
    let found: Vec<_> = URL.find_iter(&masked.text).map(|found| found.range()).collect();
    for at in found {
        let at = at.start..trimmed(&masked.text, at);
        let (scheme, rest) = plain[at.clone()].split_once("://").unwrap_or_default();
        match scheme.to_ascii_lowercase().as_str() {
            "http" | "https" => match Url::read(rest) {
                Some(url) => {
                    masked.text[at.clone()].fill(url.kind.filler());
                    masked.urls.push((at, url));
                }
                None => masked.cover(at, Kind::Noise),
            },
            "unix" | "npipe" => masked.cover(at, Kind::Socket),
            "docker" | "oci" => {
                let name = at.start + scheme.len() + 3..at.end;
                cover_image(masked, name);
            }
            _ => masked.cover(at, Kind::Path),
        }
    }
}

/// Covers the details that Go prints as `map[...]`.
pub(super) fn details(masked: &mut Masked) {
    let found: Vec<_> = DETAIL.find_iter(&masked.text).map(|found| found.range()).collect();
    for at in found {
        masked.cover(at, Kind::Detail);
    }
}

/// Covers names in quotes: after a word that announces one, or if they look like one.
pub(super) fn quoted(masked: &mut Masked) {
    let found = groups(&QUOTED, &masked.text);
    for (whole, name) in found {
        let text = &masked.text[name.clone()];
        let announced = ANNOUNCED.is_match(&masked.text[..whole.start][whole.start.saturating_sub(40)..]);
        let looks = !MEDIA_TYPE.is_match(text) && (text.contains(&b'/') || TAGGED.is_match(text));
        if announced || looks {
            cover_name(masked, name);
        }
    }
}

/// Covers the values of keys that hold names, as structured logs and `kubectl describe` print them.
pub(super) fn of_keys(masked: &mut Masked) {
    for pattern in [&*KEYS, &*FIELDS] {
        for (_, name) in groups(pattern, &masked.text) {
            cover_name(masked, name);
        }
    }
}

/// Covers names at the places that known sentences have for them.
pub(super) fn in_sentences(masked: &mut Masked) {
    for sentence in SENTENCES.iter() {
        let found: Vec<Vec<Range<usize>>> =
            sentence.captures_iter(&masked.text).map(|found| all_groups(&found)).collect();
        for name in found.into_iter().flatten() {
            let end = trimmed(&masked.text, name.clone());
            cover_name(masked, name.start..end);
        }
    }
}

/// Covers absolute paths.
pub(super) fn paths(masked: &mut Masked) {
    for (_, at) in groups(&PATH, &masked.text) {
        let end = trimmed(&masked.text, at.clone());
        let at = at.start..end;
        let is_socket = masked.text[at.clone()].ends_with(b".sock");
        masked.cover(at, if is_socket { Kind::Socket } else { Kind::Path });
    }
}

/// Covers what looks like an image reference without any quotes.
pub(super) fn bare(masked: &mut Masked) {
    let found: Vec<_> = BARE.find_iter(&masked.text).map(|found| found.range()).collect();
    for at in found {
        let at = at.start..trimmed(&masked.text, at);
        let text = &masked.text[at.clone()];
        if !NO_NAME.is_match(text) {
            cover_image(masked, at);
        }
    }
}

/// Covers digests and other long hexadecimal numbers.
pub(super) fn digests(masked: &mut Masked) {
    let found: Vec<_> = DIGEST.find_iter(&masked.text).map(|found| found.range()).collect();
    for at in found {
        masked.cover(at, Kind::Digest);
    }
}

/// Covers a name that is an image, a digest or a word.
fn cover_name(masked: &mut Masked, at: Range<usize>) {
    let text = &masked.text[at.clone()];
    if text.iter().any(|byte| *byte < b' ') {
        // A URL or another name is here already.
    } else if text.first() == Some(&b'/') {
        let kind = if text.ends_with(b".sock") { Kind::Socket } else { Kind::Path };
        masked.cover(at, kind);
    } else if DIGEST.find(text).is_some_and(|found| found.range() == (0..text.len())) {
        masked.cover(at, Kind::Digest);
    } else {
        cover_image(masked, at);
    }
}

fn cover_image(masked: &mut Masked, at: Range<usize>) {
    let text = &masked.text[at.clone()];
    let digest = DIGEST.find(text).map(|found| at.start + found.start()..at.start + found.end());
    let is_digest = text.contains(&b'@') && digest.is_some();
    if let Some(digest) = digest {
        masked.digests.push(digest);
    }
    masked.cover(at, if is_digest { Kind::DigestRef } else { Kind::Ref });
}

/// The end of a name without the punctuation of the sentence around it.
fn trimmed(text: &[u8], at: Range<usize>) -> usize {
    let name = &text[at.clone()];
    let open = |c: u8, o: u8| name.contains(&c) && !name.contains(&o);
    let kept = name.iter().rposition(|byte| match byte {
        b':' | b'.' | b',' | b';' | b'!' => false,
        b')' => !open(b')', b'('),
        b']' => !open(b']', b'['),
        b'}' => !open(b'}', b'{'),
        _ => true,
    });
    at.start + kept.map_or(1, |last| last + 1).min(name.len())
}

/// The whole match and the first group of each match.
fn groups(pattern: &Regex, text: &[u8]) -> Vec<(Range<usize>, Range<usize>)> {
    let both = |found: Captures<'_>| {
        let whole = found.get(0)?.range();
        let name = found.iter().skip(1).flatten().next()?.range();
        Some((whole, name))
    };
    pattern.captures_iter(text).filter_map(both).collect()
}

fn all_groups(found: &Captures<'_>) -> Vec<Range<usize>> {
    found.iter().skip(1).flatten().map(|group| group.range()).collect()
}

fn fixed(pattern: &str) -> Regex {
    Regex::new(&format!("(?m-u){pattern}")).expect("invariant: a fixed pattern")
}

static URL: LazyLock<Regex> = LazyLock::new(|| {
    fixed(r#"\b(?:https?|docker|oci|unix|npipe|containers-storage|dir|docker-archive|tcp)://[^\s"'<>`|\\^]+"#)
});
static DETAIL: LazyLock<Regex> =
    LazyLock::new(|| fixed(r"\bmap\[[^\n]*?\](?:\]|$|[\s;,.)])|\bmap\[[^\n\]]*$"));
static QUOTED: LazyLock<Regex> =
    LazyLock::new(|| fixed(r#""([^"\s\x00-\x1f]+)"|'([^'\s\x00-\x1f]+)'|`([^`\s\x00-\x1f]+)`"#));
/// Words that announce a name in quotes.
static ANNOUNCED: LazyLock<Regex> = LazyLock::new(|| {
    fixed(
        r#"\b(?:images?|references?|ref|repositor(?:y|ies)|repo|tags?|by|manifest|named?|fetch|pod|container|namespace|node|chart|artifact|copying|metadata for|project|user|username|registry|path)(?:\s+(?:with|of|for|from|name|to))?["']?\s*[:=]?\s*$"#,
    )
});
static MEDIA_TYPE: LazyLock<Regex> = LazyLock::new(|| fixed(r"^(?:application|text)/"));
/// A name with a tag, and no space between.
static TAGGED: LazyLock<Regex> = LazyLock::new(|| fixed(r"^[a-z0-9][a-z0-9._-]*:[a-z0-9_][a-z0-9_.-]*$"));
/// Keys of structured logs.
static KEYS: LazyLock<Regex> = LazyLock::new(|| {
    fixed(
        r#"(?:^|[\s{,"'(\[])(?:image(?:name|ref|id)?|ref|reference|repository|repo|tag|name|pod(?:name)?|container(?:name)?|namespace|node(?:name)?|sandbox|chart|job|app|deployment|digest)(?:=["']?|["']\s?:\s?["'])([a-z0-9][^\s"',;}\x00-\x1f]*)(?:["',;}\s]|$)"#,
    )
});
/// Fields of `kubectl describe`, whose values are names.
static FIELDS: LazyLock<Regex> = LazyLock::new(|| {
    fixed(
        r"^\s*(?:name|namespace|image|image id|node|labels|annotations|controlled by|service account|container id|command|args|tag|pod template hash):\s+([^\s\x00-\x1f][^\s\x00-\x1f]*)\s*$",
    )
});
/// Sentences with a place for a name. Each group is a name.
static SENTENCES: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    [
        r#"\b(?:images?|reference|ref)\s+["']([^"'\s\x00-\x1f]+)\z"#,
        r"\bpull access denied for ([^\s,]+)",
        r"\bmanifest for ([^\s,]+) not found",
        r"\brepository ([a-z0-9._/:@-]+) not found",
        r"\bimage ([a-z0-9._/:@-]+)(?: not found|: not found)",
        r"\bartifact ([a-z0-9._/:@-]+) not found",
        r"\breading manifest ([^\s]+) in ([^\s:]+(?::[^\s:]+)*):? ",
        r"\breading manifest ([^\s]+) in ([^\s]+)$",
        r"\bfailed to solve: ([^\s]+): (?:failed to|pull access|error|no match|unexpected)",
        r"\bfailed to solve: ([^\s]+): [^\s]*/",
        r"\bmetadata for ([^\s]+)",
        r"\b(?:docker|podman|nerdctl|crictl|crane|skopeo|helm|oras|ctr|buildah) (?:images? )?(?:pull|manifest|digest|inspect|copy|fetch|resolve|validate) ((?:--?[a-z-]+ )*[^\s]+)",
        r"\b(?:fetching|pulling|loading)(?: manifest| image| descriptor| chart) ([a-z0-9][^\s:]*(?::[^\s:]+)*): ",
        r"\bpulling ([a-z0-9][^\s:]*(?::[^\s:]+)*): ",
        r"\btrying to pull ([^\s]+)",
        r"\bpulling from ([a-z0-9._-]+/[^\s]+)",
        r"\bno such image: ([^\s]+)",
        r"^\s*(?:[0-9]+ \| )?(?:>>> )?from ([^\s:]+(?::[^\s:]+)?)",
        r"\b(?:couldn't|could not|cannot|can't|unable to|failed to) (?:find|locate) image ([^\s]+)",
        r"\bimage with reference ([^\s]+) was found",
        r"\bunknown tag[ =]([^\s]+)",
        r"\btag ([^\s]+) (?:not found|does not exist|is unknown|was not found)",
        r"\bdoes not have trust data for ([^\s]+)",
        r"\btrust data does not exist for ([^\s]+)",
        r"\bto node ([^\s]+)",
        r"\bassigned ([^\s]+)",
    ]
    .map(fixed)
    .into()
});
static PATH: LazyLock<Regex> =
    LazyLock::new(|| fixed(r#"(?:^|[\s"'=(:`,\[])(/[a-z0-9._@~+-][^\s"'`:;,()<>\x00-\x1f]*)"#));
/// A host or folders with slashes, or a name with a tag.
static BARE: LazyLock<Regex> = LazyLock::new(|| {
    fixed(
        r"\b[a-z0-9][a-z0-9._-]*(?::[0-9]+)?(?:/[a-z0-9._-]+)+(?::[a-z0-9_][a-z0-9_.-]*)?(?:@sha(?:256|512):[0-9a-f]*)?|\b[a-z0-9][a-z0-9._-]*(?::[a-z0-9_][a-z0-9_.-]*)?@sha(?:256|512):[0-9a-f]*|\b[a-z][a-z0-9._-]*:[a-z0-9_][a-z0-9_.-]*",
    )
});
/// What has the form of a reference, and is none.
static NO_NAME: LazyLock<Regex> = LazyLock::new(|| {
    fixed(
        r"^(?:(?:application|text|image)/.*|i/o|input/output|http/[0-9.]+|http/1\.x|h?ttps?:.*|(?:linux|windows|darwin|freebsd)/.*|n/a|and/or|read/write|username/password|id/secret|x509:.*|tls:.*|(?:status|statuscode|code|err|error|msg|message|reason|desc|detail|sha256|sha512):.*|pullgate:.*|crypto/.*|net/http(?::.*)?|aka\.ms/.*|rpc:.*|find/verify|[a-z0-9.-]+\.[a-z]+:[0-9]+|localhost:[0-9]+|is/does)$",
    )
});
static DIGEST: LazyLock<Regex> = LazyLock::new(|| {
    fixed(r"\bsha(?:256|384|512)[:-][0-9a-f]*\b|\b[0-9a-f]+(?:-[0-9a-f]+){4}\b|\b[0-9a-f]{12,}\b")
});
