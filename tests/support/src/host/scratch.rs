//! One folder per test: removed when the test passes, kept and printed when it fails.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// The folder of one test.
///
/// It lies in the system's temporary folder, because unix sockets allow paths of 108 bytes only.
#[derive(Debug)]
pub struct Scratch {
    dir: Option<TempDir>,
}

impl Scratch {
    /// Makes an empty folder.
    #[allow(clippy::new_without_default, reason = "a `Default` would hide that a folder is made")]
    pub fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("pullgate-").tempdir().expect("a scratch folder");
        Self { dir: Some(dir) }
    }

    /// The path of the folder.
    pub fn path(&self) -> &Path {
        self.dir.as_ref().expect("invariant: present until drop").path()
    }

    /// Makes a new folder inside: `name`, or `name-2` and so on if that exists.
    pub fn folder(&self, name: &str) -> PathBuf {
        let numbered = (2..).map(|n| format!("{name}-{n}"));
        for candidate in std::iter::once(name.to_owned()).chain(numbered) {
            let path = self.path().join(candidate);
            match fs::create_dir(&path) {
                Ok(()) => return path,
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => panic!("cannot make {}: {error}", path.display()),
            }
        }
        unreachable!("the numbers do not end")
    }

    /// Writes a file inside.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        fs::write(&path, text).unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let Some(dir) = self.dir.take() else { return };
        if std::thread::panicking() {
            let path = dir.keep();
            eprintln!("\nthe scratch folder is kept: {}", path.display());
            show_scarce_room(&path);
            show_logs(&path);
        }
    }
}

/// Prints a note if the disk is nearly full. A full disk can be the cause of the failure, because pullgate fetches
/// content again that it could not store.
fn show_scarce_room(folder: &Path) {
    let Ok(room) = rustix::fs::statvfs(folder) else { return };
    let percent = |free: u64, all: u64| free.saturating_mul(100).checked_div(all).unwrap_or(100);
    let (bytes, files) = (percent(room.f_bavail, room.f_blocks), percent(room.f_favail, room.f_files));
    if bytes.min(files) < SCARCE_PERCENT {
        eprintln!(
            "its file system has {bytes} % of its bytes and {files} % of its files left: below 5 % pullgate keeps \
             nothing, and tests that count requests fail"
        );
    }
}

/// Prints the end of every log in the folder and in its folders.
fn show_logs(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "log") {
            let bytes = fs::read(&path).unwrap_or_default();
            eprintln!("\n--- end of {}\n{}", path.display(), tail(&String::from_utf8_lossy(&bytes)));
        } else if entry.file_type().is_ok_and(|kind| kind.is_dir()) && path.parent() == Some(folder) {
            show_logs_of(&path);
        }
    }
}

/// Prints the logs one level down, where daemons write them. The data that daemons store is not searched.
fn show_logs_of(folder: &Path) {
    let logs = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    for path in logs.filter(|path| path.extension().is_some_and(|extension| extension == "log")) {
        let bytes = fs::read(&path).unwrap_or_default();
        eprintln!("\n--- end of {}\n{}", path.display(), tail(&String::from_utf8_lossy(&bytes)));
    }
}

/// The last lines of a log, each cut to a readable length.
pub(crate) fn tail(log: &str) -> String {
    let lines: Vec<String> = log.lines().map(|line| line.chars().take(SHOWN_COLUMNS).collect()).collect();
    lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
}

/// Free space in percent. With less, pullgate may have stored nothing during a test, because other tests used more
/// space then.
const SCARCE_PERCENT: u64 = 8;
const SHOWN_LINES: usize = 30;
const SHOWN_COLUMNS: usize = 300;
