//! The notes that people wrote into the table's file. A new run keeps them.

use std::{fs, path::Path};

/// The text between the two marks of a table's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notes(String);

impl Notes {
    /// The notes of the table at `path`; only a title if it has none yet.
    pub(crate) fn of(path: Option<&Path>) -> Self {
        let table = path.and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
        Self::within(&table).unwrap_or_else(|| Self(format!("\n{TITLE}\n\n")))
    }

    /// The notes as Markdown, with the two marks.
    pub(crate) fn markdown(&self) -> String {
        format!("\n{BEGIN}{}{END}\n", self.0)
    }

    fn within(table: &str) -> Option<Self> {
        let (_, rest) = table.split_once(BEGIN)?;
        let (notes, _) = rest.split_once(END)?;
        Some(Self(notes.to_owned()))
    }
}

const BEGIN: &str = "<!-- notes: written by hand, kept by `make bench` -->\n";
const END: &str = "<!-- end of notes -->";
const TITLE: &str = "## What is missed, and where the time goes";

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_new_run_keeps_the_notes() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let first = Notes::of(Some(file.path()));
        assert!(first.markdown().contains(TITLE));
        let table = format!("# Old\n{}| old | figures |\n", first.markdown());
        let table = table.replace(TITLE, "## What is missed\n\nThe p99, by | a cell |.");
        fs::write(file.path(), &table).unwrap();
        let kept = Notes::of(Some(file.path())).markdown();
        assert!(kept.contains("The p99, by | a cell |."), "{kept}");
        assert!(!kept.contains("old | figures"), "{kept}");
        fs::write(file.path(), format!("# New\n{kept}| new |\n")).unwrap();
        assert_eq!(Notes::of(Some(file.path())).markdown(), kept);
    }

    #[test]
    fn no_file_has_no_notes() {
        assert_eq!(Notes::of(None), Notes::of(Some(Path::new("/nowhere/at-all.md"))));
    }
}
