//! The journal: what we are about to write and what was there before, written before the first change.
//!
//! It makes a restore possible after a crash at any step, and it tells folders that we made from folders that were
//! there. It is one file, and it is gone when nothing of ours is left.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::disk::{Attributes, Disk};
use super::found::{Found, Hazard, look};
use super::place::Root;
use crate::target::Target;

/// The journal of one root.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Journal {
    schema: u32,
    /// Each file, by its path below the root.
    pub(super) files: BTreeMap<PathBuf, Entry>,
    /// The folders that did not exist before us, by their paths below the root.
    pub(super) folders: BTreeSet<PathBuf>,
}

/// A file that is, or is about to be, changed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Entry {
    /// The label of the target that it was written for.
    pub(super) target: String,
    /// What is known of a document that we share with its owner. `None` for files of our own, which were not there.
    pub(super) shared: Option<Shared>,
}

/// A document of somebody else with our key in it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Shared {
    /// The document before us. `None` if there was none.
    pub(super) before: Option<Before>,
    /// The digests of all texts that we wrote, or are about to write.
    pub(super) wrote: BTreeSet<String>,
    /// The mirrors that these texts name.
    pub(super) mirrors: BTreeSet<String>,
}

/// A document before us.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Before {
    pub(super) text: String,
    pub(super) attributes: Attributes,
}

/// The journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Its folder does not exist.
    #[error("the folder {} for the journal does not exist: make it, or name another with --state", .0.display())]
    NoFolder(PathBuf),
    /// It is a link, a folder or another user's file.
    #[error("the journal: {0}")]
    Hazard(#[from] Hazard),
    /// It is no journal of this release.
    #[error("{path} is no journal that this release reads: {1}; restore with the release that wrote it", path = .0.display())]
    Unreadable(PathBuf, String),
    /// It cannot be written.
    #[error("the journal {path} cannot be written, so nothing was changed: {1}", path = .0.display())]
    Write(PathBuf, #[source] std::io::Error),
}

impl Journal {
    /// Reads the journal of a root and keeps other processes from changing it until the lock is dropped.
    pub(super) fn take(root: &Root) -> Result<(File, Self), JournalError> {
        if !root.state.is_dir() {
            return Err(JournalError::NoFolder(root.state.clone()));
        }
        let lock = root.hold().map_err(|error| JournalError::Write(root.state.clone(), error))?;
        Ok((lock, Self::read(root)?))
    }

    /// Reads the journal of a root; an absent one is empty.
    pub(super) fn read(root: &Root) -> Result<Self, JournalError> {
        if !root.state.is_dir() {
            return Err(JournalError::NoFolder(root.state.clone()));
        }
        let path = root.state.join(NAME);
        let unreadable = |why: String| JournalError::Unreadable(path.clone(), why);
        match look(&root.state, Path::new(NAME)) {
            Found::Nothing { .. } => Ok(Self { schema: SCHEMA, ..Self::default() }),
            Found::Unsafe(hazard) => Err(hazard.into()),
            Found::File { bytes, .. } => {
                let journal: Self =
                    serde_json::from_slice(&bytes).map_err(|error| unreadable(error.to_string()))?;
                match journal.schema {
                    SCHEMA => Ok(journal),
                    other => Err(unreadable(format!("its schema is {other}"))),
                }
            }
        }
    }

    /// True if a crash left a new journal that did not take its place.
    pub(super) fn was_cut_short(root: &Root) -> bool {
        root.state.join(NEW).symlink_metadata().is_ok()
    }

    /// Writes the journal, or removes it if it is empty.
    pub(super) fn write(&self, root: &Root, disk: &mut dyn Disk) -> Result<(), JournalError> {
        let path = root.state.join(NAME);
        self.put(root, &path, disk).map_err(|error| JournalError::Write(path, error))
    }

    fn put(&self, root: &Root, path: &Path, disk: &mut dyn Disk) -> std::io::Result<()> {
        let new = root.state.join(NEW);
        disk.remove_file(&new)?;
        if self.files.is_empty() && self.folders.is_empty() {
            disk.remove_file(path)?;
        } else {
            let bytes = serde_json::to_vec_pretty(self)?;
            // It may hold another program's configuration, so only its owner may read it.
            disk.write_new(&new, &bytes, Attributes { mode: 0o600, owner: None })?;
            disk.rename(&new, path)?;
        }
        disk.sync_folder(&root.state)
    }

    /// The files of a target; of all targets without one.
    pub(super) fn of(&self, target: Option<Target>) -> Vec<PathBuf> {
        let wanted = |entry: &&Entry| target.is_none_or(|target| target.as_str() == entry.target);
        self.files.iter().filter(|(_, entry)| wanted(entry)).map(|(path, _)| path.clone()).collect()
    }
}

const SCHEMA: u32 = 1;
const NAME: &str = "pullgate-node.json";
const NEW: &str = ".pullgate-node.json.new";
