//! The protocol of the control socket: one line of JSON asks, one line answers, and the connection ends.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A request of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    /// Every image.
    Ls,
    /// Everything known of an image or a digest.
    Explain(String),
    /// Pull an image.
    Warm { image: String, platforms: Vec<String> },
    /// Take out an image or a digest.
    Purge { subject: String, dry_run: bool },
    /// Take out a registry.
    PurgeRegistry { registry: String, dry_run: bool },
    /// Take out everything.
    PurgeAll { dry_run: bool },
}

/// The reply to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reply {
    /// The document asked for.
    Fine(Value),
    /// The question is wrong.
    Usage(String),
    /// A failure of the registry, or of the way to it.
    Upstream(String),
    /// A failure of the instance itself.
    Failed(String),
}

/// The path of the socket of the instance that holds `dir`.
pub(crate) fn socket(dir: &Path) -> PathBuf {
    dir.join("control.sock")
}

/// `document` as one line.
pub(super) fn line(document: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(document)?;
    line.push(b'\n');
    Ok(line)
}
