//! The place in the file of every key that it sets.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use crate::report::position;

/// The keys that the file sets, with their lines.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origins {
    file: String,
    lines: BTreeMap<String, usize>,
}

impl Origins {
    pub(crate) fn new(path: &Path, source: &str, written: Vec<(String, Range<usize>)>) -> Self {
        let line = |(key, span): (String, Range<usize>)| (key, position(source, span.start).0);
        Self { file: path.display().to_string(), lines: written.into_iter().map(line).collect() }
    }

    pub(crate) fn of(&self, key: &str, otherwise: &str) -> String {
        self.lines.get(key).map_or_else(|| otherwise.to_owned(), |line| format!("{}:{line}", self.file))
    }
}
