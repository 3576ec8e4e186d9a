//! What lies at a path below the root: a regular file, nothing, or something that must not be touched.

use std::fs::{self, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

use super::disk::Attributes;

/// What lies at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing. The folders on the way that do not exist either, outermost first.
    Nothing {
        /// The missing folders.
        folders: Vec<PathBuf>,
    },
    /// A regular file.
    File {
        /// Its bytes.
        bytes: Vec<u8>,
        /// Its mode and owner.
        attributes: Attributes,
    },
    /// Something that must not be touched, and the reason.
    Unsafe(Hazard),
}

/// The reason for which a path must not be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Hazard {
    /// A symbolic link.
    #[error("{} is a symbolic link, and pullgate does not write through links: configure the place that it leads to, or remove the link", .0.display())]
    Link(PathBuf),
    /// A file where a folder must be, or a folder, device or pipe where a file must be.
    #[error("{path} is no {1}: move it away", path = .0.display())]
    Kind(PathBuf, &'static str),
    /// Another user's file or folder.
    #[error("{path} belongs to user {1}, who could change what is written there: run as that user, or give it to root", path = .0.display())]
    Owner(PathBuf, u32),
    /// A file that is too large to be a configuration.
    #[error("{} is larger than 1 MiB, so it is no configuration", .0.display())]
    Size(PathBuf),
    /// Something that cannot be read or written.
    #[error("{path} cannot be used: {1}", path = .0.display())]
    Io(PathBuf, String),
}

/// Looks at `path`, which is relative, below `root`. No link on the way is followed.
pub(super) fn look(root: &Path, path: &Path) -> Found {
    match walk(root, path) {
        Ok(Some(missing)) => Found::Nothing { folders: missing },
        Ok(None) => read(&root.join(path)),
        Err(hazard) => Found::Unsafe(hazard),
    }
}

/// Looks at the folders on the way. `Some` if the path is missing, with the folders that are missing too.
fn walk(root: &Path, path: &Path) -> Result<Option<Vec<PathBuf>>, Hazard> {
    let (mut here, mut missing) = (root.to_path_buf(), Vec::new());
    let mut parts = path.components().filter(|part| matches!(part, Component::Normal(_))).peekable();
    while let Some(part) = parts.next() {
        here.push(part);
        let is_last = parts.peek().is_none();
        if !missing.is_empty() {
            if !is_last {
                missing.push(here.clone());
            }
            continue;
        }
        match fs::symlink_metadata(&here) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && is_last => return Ok(Some(Vec::new())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => missing.push(here.clone()),
            Err(error) => return Err(Hazard::Io(here, error.to_string())),
            Ok(found) => judge(&here, &found, is_last)?,
        }
    }
    Ok((!missing.is_empty()).then_some(missing))
}

fn judge(path: &Path, found: &Metadata, is_file: bool) -> Result<(), Hazard> {
    let (kind, right) = match is_file {
        true => ("regular file", found.is_file()),
        false => ("folder", found.is_dir()),
    };
    if found.is_symlink() {
        return Err(Hazard::Link(path.to_path_buf()));
    }
    if !right {
        return Err(Hazard::Kind(path.to_path_buf(), kind));
    }
    let own = rustix::process::geteuid().as_raw();
    if is_trusted(found.uid(), own) { Ok(()) } else { Err(Hazard::Owner(path.to_path_buf(), found.uid())) }
}

/// True if the owner of a file could do no harm that root or the present user could not do.
fn is_trusted(owner: u32, own: u32) -> bool {
    owner == 0 || owner == own
}

fn read(path: &Path) -> Found {
    let failed = |error: io::Error| Found::Unsafe(Hazard::Io(path.to_path_buf(), error.to_string()));
    // The flags keep a link or a pipe that appears now from being followed or waited for.
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let opened = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) => return failed(error),
    };
    let mut bytes = Vec::new();
    match (file.metadata(), (&file).take(SIZE_MAX + 1).read_to_end(&mut bytes)) {
        (Ok(_), Ok(length)) if length as u64 > SIZE_MAX => Found::Unsafe(Hazard::Size(path.to_path_buf())),
        (Ok(found), Ok(_)) => {
            let attributes =
                Attributes { mode: found.mode() & 0o7777, owner: Some((found.uid(), found.gid())) };
            Found::File { bytes, attributes }
        }
        (Err(error), _) | (_, Err(error)) => failed(error),
    }
}

/// The largest configuration that is read, bytes.
const SIZE_MAX: u64 = 1 << 20;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_root_and_the_present_user_are_trusted() {
        assert!(is_trusted(0, 1000) && is_trusted(1000, 1000) && is_trusted(0, 0));
        assert!(!is_trusted(1001, 1000) && !is_trusted(1000, 0));
        let said = Hazard::Owner("/etc/containerd".into(), 1001).to_string();
        assert!(said.contains("belongs to user 1001"), "{said}");
    }

    #[test]
    fn a_pipe_is_not_waited_for_and_a_huge_file_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        assert!(matches!(look(folder.path(), Path::new("pipe")), Found::Unsafe(Hazard::Kind(..))));
        fs::File::create(folder.path().join("huge")).unwrap().set_len(SIZE_MAX + 1).unwrap();
        assert!(matches!(look(folder.path(), Path::new("huge")), Found::Unsafe(Hazard::Size(_))));
        fs::write(folder.path().join("file"), "").unwrap();
        assert!(matches!(look(folder.path(), Path::new("file/below")), Found::Unsafe(Hazard::Kind(..))));
    }
}
