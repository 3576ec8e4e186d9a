//! The releases of containerd that the tests drive.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::host::parts;

/// A release of containerd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// The release of the machine's own distribution: 1.6 on Debian 12.
    System,
    /// 1.7, unpacked below `.parts`.
    V1_7,
    /// 2.1 or later, unpacked below `.parts`; it pulls with its transfer service.
    V2,
}

impl Release {
    /// A search path on which the programs of this release come first.
    pub(super) fn path(self) -> OsString {
        let own = self.program("containerd").parent().map(PathBuf::from);
        let system = std::env::var_os("PATH").unwrap_or_default();
        let folders =
            own.into_iter().chain(std::env::split_paths(&system)).chain(["/usr/sbin".into(), "/sbin".into()]);
        std::env::join_paths(folders).expect("a search path")
    }

    /// The path of one of the release's programs.
    pub fn program(self, name: &str) -> PathBuf {
        match self {
            Self::System => parts::installed(name),
            Self::V1_7 => parts::unpacked("containerd-1.7", name),
            Self::V2 => parts::unpacked("containerd-2", name),
        }
    }
}

/// The snapshotter that copies instead of using overlays: it works on every file system, also inside containers.
pub(super) const SNAPSHOTTER: &str = "native";
