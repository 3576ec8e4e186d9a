//! Takes back what [`super::apply()`] wrote, also after a crash at any of its steps or of ours.

use std::io;
use std::path::{Path, PathBuf};

use oci::Digest;

use super::disk::{Attributes, Disk, RealDisk};
use super::docker;
use super::found::{Found, look};
use super::journal::{Journal, JournalError, Shared};
use super::mark::{Owner, owner};
use super::place::{Root, beside, remove, replace};
use super::report::{Change, LeftAlone, Line};
use crate::target::Target;

/// What [`restore`] would do. Changes nothing.
///
/// # Errors
/// If the journal cannot be read.
pub fn preview_restore(root: &Root, target: Option<Target>) -> Result<Vec<Line>, JournalError> {
    let journal = Journal::read(root)?;
    Ok(decide(root, &journal, &wanted(root, &journal, target)).iter().map(Decided::line).collect())
}

/// True if there are files of a target to take back.
///
/// # Errors
/// If the journal cannot be read.
pub fn is_applied(root: &Root, target: Target) -> Result<bool, JournalError> {
    let journal = Journal::read(root)?;
    Ok(!wanted(root, &journal, Some(target)).is_empty())
}

/// Takes back every file of a target, or of all targets. A file that somebody changed is left alone.
///
/// # Errors
/// If the journal cannot be used.
pub fn restore(root: &Root, target: Option<Target>) -> Result<Vec<Line>, JournalError> {
    restore_on(root, target, &mut RealDisk)
}

/// [`restore`] on any disk.
///
/// # Errors
/// As [`restore`].
pub fn restore_on(
    root: &Root,
    target: Option<Target>,
    disk: &mut dyn Disk,
) -> Result<Vec<Line>, JournalError> {
    let (_lock, mut journal) = Journal::take(root)?;
    let wanted = wanted(root, &journal, target);
    take_back(root, &mut journal, &wanted, disk)
}

/// The files of the journal, and, for all targets, files with our mark that the journal does not have: it was lost.
fn wanted(root: &Root, journal: &Journal, target: Option<Target>) -> Vec<PathBuf> {
    let mut paths = journal.of(target);
    let orphans = |path: &PathBuf| !journal.files.contains_key(path);
    if target.is_none_or(Target::has_certs_d) {
        paths.extend(orphaned_hosts(root).into_iter().filter(orphans));
    }
    paths
}

fn orphaned_hosts(root: &Root) -> Vec<PathBuf> {
    let certs_d = Path::new(crate::render::CERTS_D.trim_start_matches('/'));
    let entries = std::fs::read_dir(root.path.join(certs_d)).into_iter().flatten().flatten();
    let hosts = entries.map(|entry| certs_d.join(entry.file_name()).join("hosts.toml"));
    let ours = |path: &PathBuf| match look(&root.path, path) {
        Found::File { bytes, .. } => owner(&bytes) == Owner::Us,
        _ => false,
    };
    hosts.filter(ours).collect()
}

/// A file of ours, and what will be done with it.
pub(super) struct Decided {
    path: PathBuf,
    full: PathBuf,
    bytes: Option<Vec<u8>>,
    what: What,
}

enum What {
    /// There is nothing of ours.
    Nothing,
    Remove,
    Put {
        text: String,
        attributes: Attributes,
        change: Change,
    },
    LeftAlone(LeftAlone),
}

pub(super) fn decide(root: &Root, journal: &Journal, paths: &[PathBuf]) -> Vec<Decided> {
    let one = |path: &PathBuf| {
        let shared = journal.files.get(path).and_then(|entry| entry.shared.as_ref());
        let (bytes, what) = match look(&root.path, path) {
            Found::Nothing { .. } => (None, What::Nothing),
            Found::Unsafe(hazard) => (None, What::LeftAlone(hazard.into())),
            Found::File { bytes, attributes } => {
                let what = match shared {
                    None => own(&bytes),
                    Some(shared) => of_shared(&bytes, attributes, shared),
                };
                (Some(bytes), what)
            }
        };
        Decided { path: path.clone(), full: root.path.join(path), bytes, what }
    };
    paths.iter().map(one).collect()
}

fn own(bytes: &[u8]) -> What {
    match owner(bytes) {
        Owner::Us => What::Remove,
        Owner::Edited => What::LeftAlone(LeftAlone::Edited),
        Owner::Other => What::LeftAlone(LeftAlone::Foreign),
    }
}

fn of_shared(bytes: &[u8], attributes: Attributes, shared: &Shared) -> What {
    let before = shared.before.as_ref();
    if before.is_some_and(|before| before.text.as_bytes() == bytes) {
        return What::Nothing;
    }
    if shared.wrote.contains(&Digest::sha256(bytes).to_string()) {
        return match before {
            None => What::Remove,
            Some(before) => What::Put {
                text: before.text.clone(),
                attributes: before.attributes,
                change: Change::PutBack,
            },
        };
    }
    let text = String::from_utf8_lossy(bytes);
    match docker::without(&text, &shared.mirrors) {
        Ok(left) if left == text => What::Nothing,
        Ok(text) => What::Put { text, attributes, change: Change::MirrorTakenOut },
        Err(error) => What::LeftAlone(error.into()),
    }
}

/// Takes back these files, then the folders that we made and that nobody needs, then their lines of the journal.
pub(super) fn take_back(
    root: &Root,
    journal: &mut Journal,
    paths: &[PathBuf],
    disk: &mut dyn Disk,
) -> Result<Vec<Line>, JournalError> {
    let known = journal.clone();
    let mut lines = Vec::new();
    for decided in decide(root, journal, paths) {
        let line = decided.carry_out(disk);
        if line.left.is_none() && journal.files.remove(&decided.path).is_none() {
            // Without a journal, nobody knows who made the folder. Empty, it would hide `_default`.
            journal.folders.extend(decided.path.parent().map(Path::to_path_buf));
        }
        lines.push(line);
    }
    let folders = remove_folders(root, journal, disk);
    if known != *journal || Journal::was_cut_short(root) {
        journal.write(root, disk)?;
    }
    folders.map_err(|error| JournalError::Write(root.path.clone(), error))?;
    Ok(lines)
}

/// Removes our folders that are empty and above no file of ours, innermost first.
fn remove_folders(root: &Root, journal: &mut Journal, disk: &mut dyn Disk) -> io::Result<()> {
    let needed = |folder: &Path| journal.files.keys().any(|path| path.starts_with(folder));
    let spare: Vec<PathBuf> =
        journal.folders.iter().rev().filter(|folder| !needed(folder)).cloned().collect();
    for folder in spare {
        let full = root.path.join(&folder);
        if full.symlink_metadata().is_ok_and(|found| found.is_dir()) {
            disk.remove_folder(&full)?;
            full.parent().map_or(Ok(()), |parent| disk.sync_folder(parent))?;
        }
        journal.folders.remove(&folder);
    }
    Ok(())
}

impl Decided {
    pub(super) fn line(&self) -> Line {
        let before = self.bytes.as_deref();
        let line = |change, after| Line::new(self.full.clone(), change, before, after);
        match &self.what {
            What::Nothing => line(Change::Unchanged, before),
            What::Remove => line(Change::Removed, None),
            What::Put { text, change, .. } => line(*change, Some(text.as_bytes())),
            What::LeftAlone(why) => Line::left(self.full.clone(), why.clone()),
        }
    }

    fn carry_out(&self, disk: &mut dyn Disk) -> Line {
        let done = match &self.what {
            What::Nothing if self.parent_is_there() => disk.remove_file(&beside(&self.full)),
            What::Nothing | What::LeftAlone(_) => Ok(()),
            What::Remove => remove(disk, &self.full),
            What::Put { text, attributes, .. } => replace(disk, &self.full, text.as_bytes(), *attributes),
        };
        match done {
            Ok(()) => self.line(),
            Err(error) => Line::left(self.full.clone(), LeftAlone::Write(error.to_string())),
        }
    }

    fn parent_is_there(&self) -> bool {
        self.full.parent().is_some_and(Path::is_dir)
    }
}
