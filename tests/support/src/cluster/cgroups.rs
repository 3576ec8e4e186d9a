//! The control groups of a node's containers.

use std::fs;
use std::path::{Path, PathBuf};

/// A control group below which the containers of one node are. Dropping it removes the group.
#[derive(Debug)]
pub(super) struct Cgroup {
    name: String,
}

impl Cgroup {
    /// Makes an empty group in each hierarchy. Groups that killed tests left behind are removed.
    pub(super) fn new() -> Self {
        sweep();
        let name = format!("{PREFIX}{}-{:08x}", std::process::id(), fastrand::u32(..));
        for root in hierarchies() {
            share_controllers(&root);
            let folder = root.join(&name);
            fs::create_dir(&folder)
                .unwrap_or_else(|error| panic!("cannot make {}: {error}", folder.display()));
        }
        Self { name }
    }

    /// The path below the root of each hierarchy.
    pub(super) fn path(&self) -> String {
        format!("/{}", self.name)
    }

    /// The folders of this name that exist now, in all hierarchies.
    pub(super) fn folders(&self) -> Vec<PathBuf> {
        hierarchies().into_iter().map(|root| root.join(&self.name)).filter(|path| path.is_dir()).collect()
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        self.folders().iter().for_each(|folder| remove(folder));
    }
}

/// Lets groups below a root of version 2 have its controllers, without which a kubelet refuses its group. A root of
/// version 1 has no such files.
fn share_controllers(root: &Path) {
    let controllers = fs::read_to_string(root.join("cgroup.controllers")).unwrap_or_default();
    for controller in controllers.split_whitespace() {
        let _ = fs::write(root.join("cgroup.subtree_control"), format!("+{controller}"));
    }
}

/// Removes the groups of tests that no longer run.
fn sweep() {
    let owner = |name: &str| name.strip_prefix(PREFIX)?.split('-').next()?.parse::<u32>().ok();
    for folder in hierarchies().iter().flat_map(|root| folders(root)) {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if owner(&name).is_some_and(|owner| !Path::new(&format!("/proc/{owner}")).exists()) {
            remove(&folder);
        }
    }
}

/// Removes a group and the groups below. The files of a group cannot be removed and do not need to be.
fn remove(folder: &Path) {
    folders(folder).iter().for_each(|inner| remove(inner));
    let _ = fs::remove_dir(folder);
}

/// The root of each hierarchy: one with version 2, one for each controller with version 1.
fn hierarchies() -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let parse = |line: &str| {
        let mut words = line.split(' ');
        let (path, kind) = (words.nth(1)?, words.next()?);
        kind.starts_with("cgroup").then(|| PathBuf::from(path))
    };
    mounts.lines().filter_map(parse).collect()
}

fn folders(parent: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

const PREFIX: &str = "pullgate-node-";
