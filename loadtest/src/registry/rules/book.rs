//! The active rules, with the number of uses of each.

use std::sync::Mutex;

use super::{rule::Rule, script::Script};
use crate::registry::lock::lock;
use crate::registry::message::Request;

/// The id of an active rule, for removing it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FaultId(u64);

#[derive(Debug, Default)]
pub(crate) struct Rules(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    next: u64,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    id: FaultId,
    rule: Rule,
    matched: usize,
    used: usize,
}

impl Rules {
    pub(crate) fn add(&self, rule: Rule) -> FaultId {
        let mut book = lock(&self.0);
        let id = FaultId(book.next);
        book.next += 1;
        book.entries.push(Entry { id, rule, matched: 0, used: 0 });
        id
    }

    pub(crate) fn remove(&self, id: FaultId) {
        lock(&self.0).entries.retain(|entry| entry.id != id);
    }

    pub(crate) fn clear(&self) {
        lock(&self.0).entries.clear();
    }

    pub(crate) fn used(&self, id: FaultId) -> usize {
        lock(&self.0).entries.iter().find(|entry| entry.id == id).map_or(0, |entry| entry.used)
    }

    /// Returns the script of the newest rule that matches, and counts the use.
    pub(crate) fn pick(&self, request: &Request) -> Script {
        let mut book = lock(&self.0);
        let rule = book.entries.iter_mut().rev().find_map(|entry| entry.apply(request));
        rule.unwrap_or_default()
    }
}

impl Entry {
    fn apply(&mut self, request: &Request) -> Option<Script> {
        let matcher = &self.rule.matcher;
        if matcher.times.is_some_and(|times| self.used >= times) || !matcher.matches(request) {
            return None;
        }
        self.matched += 1;
        if self.matched <= matcher.skip {
            return None;
        }
        self.used += 1;
        Some(self.rule.script.clone())
    }
}
