//! What is no part of a failed pull, although it stands in the same paste: other events of a pod, output of a build's
//! steps, failures of mirrors that were asked before the registry.

use std::sync::LazyLock;

use regex::bytes::Regex;

use super::masked::Masked;
use crate::kind::Kind;

/// Covers the lines that report something else than a pull.
pub(super) fn lines(masked: &mut Masked) {
    let found: Vec<_> = OTHER.find_iter(&masked.text).map(|found| found.range()).collect();
    for at in found {
        masked.text[at].fill(Kind::Noise.filler());
    }
    let sandboxes: Vec<_> = SANDBOX.find_iter(&masked.text).map(|found| found.range()).collect();
    for at in sandboxes {
        if !IMAGE.is_match(&masked.text[at.clone()]) {
            masked.text[at].fill(Kind::Noise.filler());
        }
    }
}

/// Covers the failures of mirrors, which containers/image prints before that of the registry itself.
pub(super) fn mirrors(masked: &mut Masked) {
    let mut from = 0;
    while let Some(found) = MIRRORS.find_at(&masked.text, from).map(|found| found.range()) {
        let end = closing(&masked.text, found.start).unwrap_or(found.end);
        from = end;
        masked.text[found.start..end].fill(Kind::Noise.filler());
    }
}

/// The end of the round bracket that opens at `start`, or of a text that is cut within it; `None` beyond the limit.
fn closing(text: &[u8], start: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (at, byte) in text.iter().enumerate().skip(start).take(MIRRORS_MAX) {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ => continue,
        }
        if depth == 0 {
            return Some(at + 1);
        }
    }
    (text.len() - start <= MIRRORS_MAX).then_some(text.len())
}

/// The longest list of failed mirrors that is recognised, in bytes. A limit keeps the time linear.
const MIRRORS_MAX: usize = 4 << 10;

/// Lines about something else: probes and volumes of pods, scheduling, containers that ran and ended, output of the
/// programs in a build (BuildKit begins these lines with the step and the time).
static OTHER: LazyLock<Regex> = LazyLock::new(|| {
    let words = [
        r"\b(?:readiness|liveness|startup) probe (?:failed|errored)",
        r"\bfailed(?:mount|attachvolume|mapvolume|scheduling|killpod|prestophook|poststarthook)\b",
        r"\bmountvolume\.",
        r"\bmount\.[a-z0-9]+: ",
        r"\bssh: ",
        r"\bback-off restarting failed",
        r"\bexec format error",
        r"(?:failed to|error:) (?:create|start) (?:containerd task|container process)",
        r"\bunable to start container process",
        r"\bnpm err!",
        r"\bpip(?:[0-9.]*)? install",
        r"\bapt(?:-get)? (?:update|install)",
        r"\bdoes not match the detected host platform",
        r"\bunable to connect to the server:",
        r"\bmust be logged in",
        r"\bconnection to (?:the )?server (?:at )?",
        r"\berror from server \(",
        r"\bfailed calling webhook",
        r"\bplugin type=",
        r"\bnetworkplugin ",
        r"\bleader ?election",
        r"\betcd(?:server|client)?: ",
        r"\bfailed to (?:watch|list) \*",
        r"\bfatal: unable to access",
        r"\bdial tcp [^\s]+:(?:5432|6379|3306|27017|9092|6443|2379|2380|10250):",
    ];
    let steps = [r"#[0-9]+ [0-9]+\.[0-9]+ ", r"[0-9]+\.[0-9][0-9][0-9]? "];
    let pattern = format!(r"(?m-u)^[^\n]*?(?:{})[^\n]*$|^\s*(?:{})[^\n]*$", words.join("|"), steps.join("|"));
    Regex::new(&pattern).expect("invariant: a fixed pattern")
});

/// A sandbox that was not created: a pull may be the cause, if an image is named.
static SANDBOX: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?m-u)^[^\n]*failed ?to ?create ?pod ?sand ?box[^\n]*$").expect("invariant: a fixed pattern")
});
static IMAGE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?-u)\b(?:image|pull|containerd\.sock)").expect("invariant: a fixed pattern")
});
static MIRRORS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?-u)\(mirrors also failed: ").expect("invariant: a fixed pattern"));
