//! Programs for tests.
#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// Only one test at a time writes and starts a script: a fork in another thread would inherit the script open for
/// writing, and the start would fail (`ETXTBSY`).
pub(crate) static FORKS: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// A folder with a program that runs `body`, and the path of the program.
pub(crate) fn program(body: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("program");
    std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    (dir, path)
}
