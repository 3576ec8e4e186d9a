//! Writes the documents of a target: decides first, notes the intention in the journal, then changes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::disk::{Attributes, Disk, RealDisk};
use super::docker;
use super::found::{Found, look};
use super::journal::{Before, Entry, Journal, JournalError, Shared};
use super::mark::{Owner, marked, owner};
use super::place::{Root, relative, replace};
use super::report::{Change, LeftAlone, Line};
use super::restore;
use crate::render::{Document, Place};
use crate::target::Target;
use oci::Digest;

/// What [`apply`] would do. Changes nothing.
///
/// # Errors
/// If the journal cannot be read.
pub fn preview(root: &Root, target: Target, documents: &[Document]) -> Result<Vec<Line>, JournalError> {
    let journal = Journal::read(root)?;
    let decided = decide(root, &journal, documents);
    let stale = restore::decide(root, &journal, &stale(&journal, target, &decided));
    Ok(decided.iter().map(Decided::line).chain(stale.iter().map(restore::Decided::line)).collect())
}

/// Writes the documents that are files, and takes back the files of the same target that are no longer among them.
/// Documents of [`Place::Paste`] are not files.
///
/// # Errors
/// If the journal cannot be used; then nothing was changed. A file that cannot be written is a line of the report.
pub fn apply(root: &Root, target: Target, documents: &[Document]) -> Result<Vec<Line>, JournalError> {
    apply_on(root, target, documents, &mut RealDisk)
}

/// [`apply`] on any disk.
///
/// # Errors
/// As [`apply`].
pub fn apply_on(
    root: &Root,
    target: Target,
    documents: &[Document],
    disk: &mut dyn Disk,
) -> Result<Vec<Line>, JournalError> {
    let (_lock, mut journal) = Journal::take(root)?;
    let decided = decide(root, &journal, documents);
    let stale = stale(&journal, target, &decided);
    let known = journal.clone();
    decided.iter().for_each(|decided| decided.note(root, target, &mut journal));
    if journal != known {
        journal.write(root, disk)?;
    }
    let mut lines: Vec<_> = decided.iter().map(|decided| decided.carry_out(disk)).collect();
    if !stale.is_empty() {
        lines.extend(restore::take_back(root, &mut journal, &stale, disk)?);
    }
    Ok(lines)
}

/// A document, what lies at its place, and what will be done.
struct Decided {
    path: PathBuf,
    full: PathBuf,
    what: What,
}

enum What {
    Unchanged(Vec<u8>),
    LeftAlone(LeftAlone),
    Write(Box<Write>),
}

struct Write {
    before: Option<Vec<u8>>,
    after: Vec<u8>,
    attributes: Attributes,
    folders: Vec<PathBuf>,
    shared: Option<Shared>,
}

fn decide(root: &Root, journal: &Journal, documents: &[Document]) -> Vec<Decided> {
    let one = |document: &Document| {
        let (path, what) = match &document.place {
            Place::Paste(_) => return None,
            Place::Own(path) => (path, own(look(&root.path, relative(path)), &document.text)),
            Place::DockerMirrors { path, mirror } => {
                let known = journal.files.get(relative(path)).and_then(|entry| entry.shared.as_ref());
                (path, shared(look(&root.path, relative(path)), mirror, known))
            }
        };
        let what = what.unwrap_or_else(What::LeftAlone);
        Some(Decided { path: relative(path).to_path_buf(), full: root.join(path), what })
    };
    documents.iter().filter_map(one).collect()
}

fn own(found: Found, body: &str) -> Result<What, LeftAlone> {
    let after = marked(body).into_bytes();
    let write = |before, after, attributes, folders| {
        What::Write(Box::new(Write { before, after, attributes, folders, shared: None }))
    };
    match found {
        Found::Unsafe(hazard) => Err(hazard.into()),
        Found::Nothing { folders } => Ok(write(None, after, NEW, folders)),
        Found::File { bytes, attributes } => match owner(&bytes) {
            Owner::Other => Err(LeftAlone::Foreign),
            Owner::Edited => Err(LeftAlone::Edited),
            Owner::Us if bytes == after => Ok(What::Unchanged(bytes)),
            Owner::Us => Ok(write(Some(bytes), after, attributes, Vec::new())),
        },
    }
}

fn shared(found: Found, mirror: &str, known: Option<&Shared>) -> Result<What, LeftAlone> {
    let (bytes, attributes, folders) = match found {
        Found::Unsafe(hazard) => return Err(hazard.into()),
        Found::Nothing { folders } => (None, NEW, folders),
        Found::File { bytes, attributes } => (Some(bytes), attributes, Vec::new()),
    };
    let not_text = |error: std::string::FromUtf8Error| docker::DockerError::NotAnObject(error.to_string());
    let text = bytes.clone().map(String::from_utf8).transpose().map_err(not_text)?;
    let before = original(text, attributes, known)?;
    let old = before.as_ref().map_or("", |before| before.text.as_str());
    let after = docker::with(old, mirror)?;
    if bytes.as_deref() == Some(after.as_bytes()) {
        return Ok(What::Unchanged(after.into_bytes()));
    }
    let mut shared = Shared { before, wrote: BTreeSet::new(), mirrors: BTreeSet::new() };
    if let Some(known) = known {
        shared.wrote.clone_from(&known.wrote);
        shared.mirrors.clone_from(&known.mirrors);
    }
    shared.wrote.insert(Digest::sha256(after.as_bytes()).to_string());
    shared.mirrors.insert(mirror.to_owned());
    let write = Write { before: bytes, after: after.into_bytes(), attributes, folders, shared: Some(shared) };
    Ok(What::Write(Box::new(write)))
}

/// The document before us: the one of the journal as long as the present one is ours, else the present one without our
/// mirrors, because its owner changed it.
fn original(
    present: Option<String>,
    attributes: Attributes,
    known: Option<&Shared>,
) -> Result<Option<Before>, LeftAlone> {
    let Some(text) = present else { return Ok(None) };
    let Some(known) = known else { return Ok(Some(Before { text, attributes })) };
    if known.wrote.contains(&Digest::sha256(text.as_bytes()).to_string()) {
        return Ok(known.before.clone());
    }
    Ok(Some(Before { text: docker::without(&text, &known.mirrors)?, attributes }))
}

/// The files of the target that are no longer wanted.
fn stale(journal: &Journal, target: Target, decided: &[Decided]) -> Vec<PathBuf> {
    let wanted: BTreeSet<&Path> = decided.iter().map(|decided| decided.path.as_path()).collect();
    journal.of(Some(target)).into_iter().filter(|path| !wanted.contains(path.as_path())).collect()
}

impl Decided {
    fn line(&self) -> Line {
        match &self.what {
            What::LeftAlone(why) => Line::left(self.full.clone(), why.clone()),
            What::Unchanged(bytes) => {
                Line::new(self.full.clone(), Change::Unchanged, Some(bytes), Some(bytes))
            }
            What::Write(write) => {
                let change = if write.before.is_some() { Change::Changed } else { Change::Written };
                Line::new(self.full.clone(), change, write.before.as_deref(), Some(&write.after))
            }
        }
    }

    fn note(&self, root: &Root, target: Target, journal: &mut Journal) {
        let What::Write(write) = &self.what else { return };
        let entry = Entry { target: target.as_str().to_owned(), shared: write.shared.clone() };
        journal.files.insert(self.path.clone(), entry);
        let below = |folder: &PathBuf| folder.strip_prefix(&root.path).map(Path::to_path_buf).ok();
        journal.folders.extend(write.folders.iter().filter_map(below));
    }

    fn carry_out(&self, disk: &mut dyn Disk) -> Line {
        let What::Write(write) = &self.what else { return self.line() };
        let folders = write.folders.iter().try_for_each(|folder| make(disk, folder));
        match folders.and_then(|()| replace(disk, &self.full, &write.after, write.attributes)) {
            Ok(()) => self.line(),
            Err(error) => Line::left(self.full.clone(), LeftAlone::Write(error.to_string())),
        }
    }
}

/// Makes a folder. Another document of the same run may have made it.
fn make(disk: &mut dyn Disk, folder: &Path) -> std::io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    disk.make_folder(folder)?;
    folder.parent().map_or(Ok(()), |parent| disk.sync_folder(parent))
}

const NEW: Attributes = Attributes { mode: 0o644, owner: None };
