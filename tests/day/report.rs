//! The counts of each part of the day, the checks of the promises, and the table.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::time::Duration;

use http::Method;
use loadtest::registry::{Kind, Log};

use crate::Day;
use crate::client::{Pulled, Refusal};
use crate::trouble::Trouble;

/// The whole day, part by part.
#[derive(Debug, Default)]
pub(crate) struct Report(Vec<Part>);

/// The counts of one part.
#[derive(Debug)]
pub(crate) struct Part {
    trouble: Trouble,
    cached: HashSet<String>,
    took: Vec<Duration>,
    stale: usize,
    failed: Vec<Refusal>,
    node: Tally,
    /// Pulls of images that are not cached, by class of the refusal.
    new: BTreeMap<String, usize>,
    upstream: Asked,
}

/// Pulls by the node with containerd.
#[derive(Debug, Default)]
struct Tally {
    good: usize,
    failed: Vec<String>,
}

/// The requests that the upstream received.
#[derive(Debug, Default)]
struct Asked {
    heads: BTreeMap<String, usize>,
    manifests: usize,
    blobs: usize,
    tokens: usize,
    cached_digests: Vec<String>,
}

impl Part {
    pub(crate) fn new(trouble: Trouble, cached: HashSet<String>) -> Self {
        Self {
            trouble,
            cached,
            took: Vec::new(),
            stale: 0,
            failed: Vec::new(),
            node: Tally::default(),
            new: BTreeMap::new(),
            upstream: Asked::default(),
        }
    }

    /// Counts a pull of an app.
    pub(crate) fn count(&mut self, pulled: Pulled) {
        self.took.push(pulled.took);
        self.stale += usize::from(pulled.stale);
        self.failed.extend(pulled.refused);
    }

    /// Counts a pull of an app by containerd.
    pub(crate) fn count_node(&mut self, pulled: Result<(), String>) {
        match pulled {
            Ok(()) => self.node.good += 1,
            Err(said) => self.node.failed.push(said),
        }
    }

    /// Counts a pull of an image that no client has pulled yet.
    pub(crate) fn count_new(&mut self, pulled: Pulled) {
        let class = pulled.refused.map_or_else(|| "pulled".to_owned(), |refusal| refusal.class);
        *self.new.entry(class).or_default() += 1;
    }

    /// Counts the requests in the upstream's log.
    pub(crate) fn look_at(&mut self, log: &Log) {
        let asked = &mut self.upstream;
        asked.tokens = log.tokens();
        asked.manifests = log.manifest_gets();
        asked.blobs = log.of(Kind::Blob, &Method::GET);
        for exchange in log.iter() {
            let Some(reference) = &exchange.reference else { continue };
            if self.cached.contains(reference) {
                asked.cached_digests.push(format!("{} {}", exchange.method, exchange.path));
            }
            if exchange.kind == Kind::Manifest && exchange.method == Method::HEAD && !reference.contains(':')
            {
                *asked.heads.entry(exchange.path.clone()).or_default() += 1;
            }
        }
    }

    fn keeps_the_promises(&self, day: Day) {
        let Self { trouble, failed, node, upstream, new, .. } = self;
        assert!(failed.is_empty(), "{trouble}: {} pulls failed, first {}", failed.len(), failed[0]);
        assert!(node.failed.is_empty() && node.good > 0, "{trouble}: containerd {node:?}");
        assert!(
            upstream.cached_digests.is_empty(),
            "{trouble}: cached digests were requested upstream: {:?}",
            upstream.cached_digests
        );
        let most = (day.part().as_secs_f64() / day.tag_max_age().as_secs_f64()).ceil() as usize + 1;
        for (tag, heads) in &upstream.heads {
            assert!(*heads <= most, "{trouble}: {heads} HEADs of {tag}, {most} allowed");
        }
        let unnamed: Vec<_> =
            new.keys().filter(|class| !trouble.classes().contains(&class.as_str())).collect();
        assert!(unnamed.is_empty(), "{trouble}: refused as {unnamed:?}");
    }
}

impl Report {
    pub(crate) fn add(&mut self, part: Part) {
        self.0.push(part);
    }

    /// Checks the promises: no pull of cached images failed, no cached digest was requested upstream, no tag was requested
    /// more often than allowed, and every refusal had the right class.
    pub(crate) fn keeps_the_promises(&self, day: Day) {
        self.0.iter().for_each(|part| part.keeps_the_promises(day));
        assert!(self.0.iter().any(|part| part.stale > 0), "no pull was stale, so the faults had no effect");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<18} {:>6} {:>6} {:>6} {:>9} {:>7} {:>7} {:>5} {:>5} {:>5} {:>6}  not cached",
            "part of the day",
            "pulls",
            "failed",
            "stale",
            "node pull",
            "p50 ms",
            "p99 ms",
            "HEAD",
            "GET",
            "blob",
            "token"
        )?;
        self.0.iter().try_for_each(|part| writeln!(f, "{part}"))
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut took = self.took.clone();
        took.sort();
        let at = |share: usize| took.get(took.len() * share / 100).map_or(0, Duration::as_millis);
        let Asked { heads, manifests, blobs, tokens, .. } = &self.upstream;
        write!(
            f,
            "{:<18} {:>6} {:>6} {:>6} {:>9} {:>7} {:>7} {:>5} {manifests:>5} {blobs:>5} {tokens:>6}  ",
            self.trouble,
            took.len(),
            self.failed.len(),
            self.stale,
            format!("{}/{}", self.node.good, self.node.good + self.node.failed.len()),
            at(50),
            at(99),
            heads.values().sum::<usize>(),
        )?;
        self.new.iter().try_for_each(|(class, count)| write!(f, "{class} x{count} "))
    }
}
