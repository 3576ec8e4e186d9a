//! The report of all problems of a file: for each problem the place, the fault, the expected value, and the text to
//! write instead.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use serde::Serialize;

use crate::mask;

/// The reasons why a configuration cannot be used. `Display` shows every problem with its excerpt; [`Report::problems`]
/// returns them as data. Secrets in the file are replaced with stars before the text is stored.
#[derive(Clone, Debug)]
pub struct Report {
    path: PathBuf,
    /// The text of the file, with secrets replaced by stars of the same length in bytes.
    source: String,
    problems: Vec<Problem>,
}

/// One problem of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Line, counted from 1; 0 if the file itself is the problem.
    pub line: usize,
    /// Column, counted from 1, in characters.
    pub column: usize,
    /// The path in the document: `proxy.cache.max_size`. Empty for the document itself.
    pub key: String,
    /// The fault, in one sentence.
    pub message: String,
    /// The value that was expected there.
    pub expected: String,
    /// The text to write instead, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    #[serde(skip)]
    span: Range<usize>,
}

impl Problem {
    /// A problem at a place of the document; [`Report::new`] sets its line and column.
    pub(crate) fn new(span: Range<usize>, key: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            line: 0,
            column: 0,
            key: key.into(),
            message: message.into(),
            expected: String::new(),
            help: None,
            span,
        }
    }

    /// True if the place of the problem is inside `span`.
    pub(crate) fn lies_within(&self, span: &Range<usize>) -> bool {
        span.contains(&self.span.start)
    }

    /// Sets the expected value.
    pub(crate) fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = expected.into();
        self
    }

    /// Sets the text to write instead.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl Report {
    /// Sorts the problems by place, and replaces the masked parts of the text with stars.
    pub(crate) fn new(path: &Path, source: &str, masks: &[Range<usize>], mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| problem.span.start);
        for problem in &mut problems {
            (problem.line, problem.column) = position(source, problem.span.start);
        }
        Self { path: path.to_owned(), source: mask::stars(source, masks), problems }
    }

    /// The report for a file that cannot be read.
    pub(crate) fn unreadable(path: &Path, error: &std::io::Error) -> Self {
        let mut problem = Problem::new(0..0, "", format!("cannot read {}: {error}", path.display()));
        problem.expected = "a TOML file in UTF-8".to_owned();
        if error.kind() == std::io::ErrorKind::NotFound {
            problem = problem.help("name a file that exists, or none: pullgate runs without one");
        }
        Self { path: path.to_owned(), source: String::new(), problems: vec![problem] }
    }

    /// All problems, in the order of the file; never empty.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn render(&self, problem: &Problem) -> String {
        if problem.line == 0 {
            // There is no excerpt to show, and the renderer would draw an empty margin.
            let help = problem.help.as_ref().map(|help| format!("\nhelp: {help}")).unwrap_or_default();
            return format!("error: {}{help}", problem.message);
        }
        let path = self.path.display().to_string();
        let mut report = vec![];
        let title = Level::ERROR.primary_title(problem.message.as_str());
        let label = (!problem.expected.is_empty()).then(|| format!("expected {}", problem.expected));
        let mark = AnnotationKind::Primary.span(problem.span.clone()).label(label);
        report.push(title.element(Snippet::source(self.source.as_str()).path(path).annotation(mark)));
        if let Some(help) = &problem.help {
            report.push(annotate_snippets::Group::with_title(Level::HELP.secondary_title(help.as_str())));
        }
        Renderer::plain().render(&report)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            writeln!(f, "{}\n", self.render(problem))?;
        }
        let count = self.problems.len();
        write!(f, "{}: {count} problem{}", self.path.display(), if count == 1 { "" } else { "s" })
    }
}

impl std::error::Error for Report {}

/// Line and column of `offset`, counted from 1; the column is in characters.
pub(crate) fn position(source: &str, offset: usize) -> (usize, usize) {
    let before = source.get(..offset).unwrap_or(source);
    let line = before.rsplit('\n').next().unwrap_or(before);
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}
