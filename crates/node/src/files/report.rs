//! What was done, or would be done, with each file.

use std::path::PathBuf;

use similar::TextDiff;

use super::docker::DockerError;
use super::found::Hazard;
use crate::finding::Code;

oci::labels! {
    /// The change of a file.
    Change {
        /// It was not there, and is there now.
        Written = "written";
        /// It has other bytes now.
        Changed = "changed";
        /// It is as it should be.
        Unchanged = "unchanged";
        /// It is gone; before us there was none.
        Removed = "removed";
        /// It has the bytes that it had before us.
        PutBack = "put_back";
        /// It was edited after us, so that only our mirror was taken out of it.
        MirrorTakenOut = "mirror_taken_out";
        /// It is somebody else's, or unsafe, and was left alone.
        LeftAlone = "left_alone";
    }
}

/// What was done with one file.
#[derive(Clone, Debug)]
pub struct Line {
    /// The path on this machine.
    pub path: PathBuf,
    /// The change.
    pub change: Change,
    /// The bytes before and after as text, for a diff.
    pub texts: Option<(String, String)>,
    /// The reason for which it was left alone.
    pub left: Option<LeftAlone>,
}

/// The reason for which a file was left alone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeftAlone {
    /// Somebody else wrote it.
    #[error("it was not written by `pullgate node apply`: move it away, or add the mirror to it by hand")]
    Foreign,
    /// We wrote it, and somebody changed it.
    #[error(
        "it was changed after `pullgate node apply` wrote it: delete it, or move it away, then run the command again"
    )]
    Edited,
    /// It must not be touched.
    #[error(transparent)]
    Unsafe(#[from] Hazard),
    /// It cannot carry the key.
    #[error(transparent)]
    Docker(#[from] DockerError),
    /// It cannot be changed.
    #[error(
        "it cannot be written: {0}; if the distribution keeps it read-only, use `pullgate node render --for` its name"
    )]
    Write(String),
}

impl LeftAlone {
    /// The code of the finding that says the same.
    pub fn code(&self) -> Code {
        match self {
            Self::Foreign => Code::ForeignFile,
            Self::Edited => Code::EditedFile,
            Self::Unsafe(_) | Self::Write(_) | Self::Docker(_) => Code::UnsafePlace,
        }
    }
}

impl Line {
    pub(super) fn new(path: PathBuf, change: Change, before: Option<&[u8]>, after: Option<&[u8]>) -> Self {
        let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
        let texts = (before != after).then(|| (text(before), text(after)));
        Self { path, change, texts, left: None }
    }

    pub(super) fn left(path: PathBuf, why: LeftAlone) -> Self {
        Self { path, change: Change::LeftAlone, texts: None, left: Some(why) }
    }

    /// The change as a unified diff; empty if no byte changes.
    pub fn diff(&self) -> String {
        let Some((before, after)) = &self.texts else { return String::new() };
        let name = self.path.display().to_string();
        let (from, to) = (of(&name, before), of(&name, after));
        TextDiff::from_lines(before.as_str(), after).unified_diff().header(&from, &to).to_string()
    }
}

/// The name in the head of a diff: a file that does not exist is `/dev/null`.
fn of(name: &str, text: &str) -> String {
    if text.is_empty() { "/dev/null".to_owned() } else { name.to_owned() }
}
