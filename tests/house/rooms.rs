//! Checks that no folder has too many files, and that every file has a module doc.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::workspace::root;

/// The most Rust files that one folder may contain without a reason.
const FILES_MAX: usize = 15;
/// The words by which a folder's module doc gives a reason for more files.
const REASON: &str = "lie beside each other because";

#[test]
fn no_folder_has_too_many_files() {
    let mut folders: BTreeMap<PathBuf, usize> = BTreeMap::new();
    for file in sources() {
        *folders.entry(file.parent().expect("a folder").to_owned()).or_default() += 1;
    }
    for (folder, files) in folders.into_iter().filter(|(_, files)| *files > FILES_MAX) {
        let doc = ["mod.rs", "lib.rs", "main.rs"]
            .map(|name| fs::read_to_string(folder.join(name)).unwrap_or_default());
        let reason = doc.iter().any(|text| module_doc(text).contains(REASON));
        assert!(reason, "{} has {files} files, and its module doc gives no reason", folder.display());
    }
}

#[test]
fn every_file_begins_with_its_module_doc() {
    for file in sources() {
        let text = fs::read_to_string(&file).expect("readable source");
        assert!(text.starts_with("//!"), "{} has no module doc", file.display());
    }
}

fn module_doc(text: &str) -> String {
    let lines = text.lines().map_while(|line| line.strip_prefix("//!"));
    lines.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
}

/// Every Rust file in the checkout, build output excluded.
fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["src", "config", "proxy", "prober", "crates", "loadtest", "tests"] {
        walk(&root().join(folder), &mut found);
    }
    assert!(found.len() > 100, "the sources are not where this test looks for them");
    found
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}
