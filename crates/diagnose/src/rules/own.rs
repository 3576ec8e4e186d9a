//! pullgate's own word: the class in a status line, a header or a line of its log (`proxy/src/http/reason.rs`).

use std::sync::LazyLock;

use regex::bytes::Regex;

/// The patterns, with the groups `class`, `stage` and `host`; the first that matches a known class is read.
pub(crate) static WORDS: LazyLock<[Regex; 3]> = LazyLock::new(|| {
    [
        r"pullgate: (?P<class>[a-z0-9_]+)(?: \(after [a-z0-9_]+ at [a-z0-9_]+\)| at (?P<stage>[a-z_]+))?(?: to (?P<host>[^\s,;)]+))?",
        r#"x-pullgate-class["']?:\s*["']?(?P<class>[a-z0-9_]+)"#,
        r#"pullgate::pull[^\n]* class="?(?P<class>[a-z0-9_]+)"? stage="?(?P<stage>[a-z_]+)"#,
    ]
    .map(fixed)
});

/// A text that ends within `503 pullgate: CLASS`, or right before it: other answers have a reason phrase there.
pub(crate) static CUT: LazyLock<Regex> = LazyLock::new(|| {
    fixed(
        r"[45][0-9][0-9] (?:p|pu|pul|pull|pullg|pullga|pullgat|pullgate:?\s?[a-z0-9_]*)\s*\z|[\x07-\x08\x0e-\x13\]]: 503\s*\z",
    )
});

fn fixed(pattern: &str) -> Regex {
    Regex::new(&format!("(?-u){pattern}")).expect("invariant: a fixed pattern")
}
