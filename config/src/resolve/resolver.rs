//! The helper that resolves all sections.

use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::file::read::Reader;

/// Resolves values at the reader's current path; relative paths begin at `folder`.
pub(super) struct Resolver<'a> {
    pub(super) folder: &'a Path,
    pub(super) reader: &'a mut Reader,
}

impl Resolver<'_> {
    pub(super) fn below<T>(&mut self, name: &str, resolve: impl FnOnce(&mut Resolver<'_>) -> T) -> T {
        let folder = self.folder;
        self.reader.below(name, |reader| resolve(&mut Resolver { folder, reader }))
    }

    pub(super) fn problem(
        &mut self,
        span: Option<Range<usize>>,
        message: &str,
        expected: &str,
        help: impl Into<String>,
    ) {
        let problem = self.reader.problem(span.unwrap_or(0..0), message);
        problem.expected = expected.to_owned();
        problem.help = Some(help.into());
    }

    /// Resolves a relative path, which begins at the folder of the file.
    pub(super) fn path(&self, path: PathBuf) -> PathBuf {
        self.folder.join(path)
    }

    /// True if a problem inside `span` was already reported, so that the whole section needs no further problem.
    pub(super) fn has_problem_within(&self, span: Option<&Range<usize>>) -> bool {
        span.is_some_and(|span| self.reader.problems.iter().any(|problem| problem.lies_within(span)))
    }
}
