//! Writes containerd's `hosts.toml` tree.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use crate::host::scratch::Scratch;

/// A folder of `<registry>/hosts.toml` files, as containerd reads it on every pull.
#[derive(Debug, Clone)]
pub struct HostsDir {
    path: PathBuf,
}

impl HostsDir {
    /// Makes an empty tree.
    pub fn new(scratch: &Scratch) -> Self {
        Self { path: scratch.folder("certs.d") }
    }

    /// The tree at a path, which need not exist. A list of paths is a value of `config_path` too.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The folder, for `--hosts-dir` and `config_path`.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Sends pulls from `registry` to `mirror` first and to `upstream` when that fails. Both are URLs.
    pub fn mirror(&self, registry: &str, mirror: &str, upstream: &str) -> &Self {
        self.mirrors(registry, &[mirror], upstream)
    }

    /// Sends pulls from `registry` to these mirrors in turn and to `upstream` last.
    pub fn mirrors(&self, registry: &str, mirrors: &[&str], upstream: &str) -> &Self {
        let mut text = format!("server = {upstream:?}\n");
        for mirror in mirrors {
            // With `referrers`, containerd before 2.2 would ignore the whole file.
            write!(text, "\n[host.{mirror:?}]\ncapabilities = [\"pull\", \"resolve\"]\n").unwrap();
        }
        self.write(registry, &text)
    }

    /// Sends pulls from `registry` to `mirror` alone, without a fallback.
    pub fn only(&self, registry: &str, mirror: &str) -> &Self {
        self.mirrors(registry, &[mirror], mirror)
    }

    /// Sends pulls from `registry` to `mirror` alone, with the name of the node in a header.
    pub fn named(&self, registry: &str, mirror: &str, node: &str) -> &Self {
        let host = format!("[host.{mirror:?}]\ncapabilities = [\"pull\", \"resolve\"]\n");
        self.write(registry, &format!("{host}[host.{mirror:?}.header]\nX-Pullgate-Node = {node:?}\n"))
    }

    /// Writes this text as the file of `registry`.
    pub fn write(&self, registry: &str, text: &str) -> &Self {
        let folder = self.path.join(folder_name(registry));
        fs::create_dir_all(&folder).expect("a folder for hosts.toml");
        fs::write(folder.join("hosts.toml"), text).expect("hosts.toml to be written");
        self
    }
}

/// A port is written `host_port_`, the form that containerd looks for first.
fn folder_name(registry: &str) -> String {
    registry.split_once(':').map_or_else(|| registry.to_owned(), |(host, port)| format!("{host}_{port}_"))
}
