//! The rules, in the one order in which they are asked. The first that matches decides.
//!
//! | place | family | why there |
//! |---|---|---|
//! | 1 | `local` | a full disk, a runtime that is down, a policy: no registry is at fault, and its words may stand in the same text |
//! | 2 | `own` | pullgate names the class itself |
//! | 3 | platforms, kinds of manifests | these texts also say "not found" or carry the code of a 404 |
//! | 4 | rate limits | a 429 also says "denied" or "unauthorized"; a retry would make it worse |
//! | 5 | forward proxy | its failure wraps that of a name, a connection or TLS |
//! | 6 | TLS, names, connections | no registry answered; names precede connections, since a lookup has a connection of its own |
//! | 7 | wrong bytes, answers of no registry | HTML of a 403 is left to the next family |
//! | 8 | blocking pages, token stage, refusals | a page hides what the registry would say; a refused credential explains more than "may require authorization" |
//! | 9 | servers that fail | after refusals, whose bodies quote states of servers |
//! | 10 | absent content | by digest before by tag |
//! | 11 | connections that end or fall silent, then time limits | the least specific words, printed around many causes |
//! | 12 | hints | the kubelet only says that it waits |

mod access;
mod content;
mod limits;
mod local;
mod network;
pub(crate) mod own;
mod pattern;
mod rule;
mod tls;

use std::ops::Range;
use std::sync::LazyLock;

use regex::bytes::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};

pub(crate) use self::pattern::{expand, status};
pub(crate) use self::rule::Rule;

/// The families before pullgate's own word.
pub(crate) const FIRST: &[&[Rule]] = &[local::RULES];
/// The families after it.
pub(crate) const THEN: &[&[Rule]] = &[
    content::PLATFORM,
    content::MEDIA_TYPE,
    limits::RULES,
    tls::PROXY,
    tls::RULES,
    network::DNS,
    network::CONNECT,
    access::BLOCKED,
    content::BYTES,
    access::TOKEN,
    access::REFUSED,
    content::SERVER,
    content::ABSENT,
    network::BROKEN,
    network::SLOW,
    content::HINTS,
];

/// Rules that are ready to match.
pub(crate) struct Compiled {
    rules: Vec<(Rule, Regex)>,
    set: RegexSet,
}

impl Compiled {
    fn of(families: &[&[Rule]]) -> Self {
        let rules: Vec<Rule> = families.iter().flat_map(|family| family.iter().copied()).collect();
        let patterns: Vec<String> = rules.iter().map(|rule| expand(rule.pattern)).collect();
        let set = RegexSetBuilder::new(&patterns).size_limit(SIZE).dfa_size_limit(SIZE).build();
        let set = set.expect("invariant: fixed patterns");
        let one = |pattern: &String| {
            RegexBuilder::new(pattern).size_limit(SIZE).build().expect("invariant: a fixed pattern")
        };
        Self { rules: rules.iter().copied().zip(patterns.iter().map(one)).collect(), set }
    }

    /// The first rule that matches, and the place of its first match: of its group, if it has one.
    pub(crate) fn first(&self, text: &[u8]) -> Option<(Rule, Range<usize>)> {
        let index = self.set.matches(text).iter().next()?;
        let (rule, regex) = self.rules.get(index)?;
        let found = regex.captures(text)?;
        Some((*rule, found.get(1).or(found.get(0))?.range()))
    }
}

/// The rules before pullgate's own word, ready to match.
pub(crate) static BEFORE_OWN: LazyLock<Compiled> = LazyLock::new(|| Compiled::of(FIRST));
/// The rules after it, ready to match.
pub(crate) static AFTER_OWN: LazyLock<Compiled> = LazyLock::new(|| Compiled::of(THEN));
/// The most memory for the automata: the patterns are ours, so that this is no defence, only room.
const SIZE: usize = 64 << 20;
