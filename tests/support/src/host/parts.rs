//! The paths of the real programs that the tests drive.

use std::path::{Path, PathBuf};

/// The path of a program installed on the system. Panics with the advice to run `make setup` if it is missing.
pub fn installed(program: &str) -> PathBuf {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let found = std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{program} is not installed; run `make setup`"))
}

/// The path of a program that `make setup` unpacked into `.parts/<folder>`. Panics like [`installed`].
pub fn unpacked(folder: &str, program: &str) -> PathBuf {
    let path = checkout().join(".parts").join(folder).join("usr/bin").join(program);
    assert!(path.is_file(), "{folder} ({program}) is not installed; run `make setup`");
    path
}

/// The root of the checkout.
pub fn checkout() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}
