//! The protocol of the control socket: one line of JSON is the request, one line the reply; then the connection ends.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A request of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    /// List every image.
    Ls,
    /// Explain an image or a digest.
    Explain(String),
    /// Pull an image.
    Warm { image: String, platforms: Vec<String> },
    /// Remove an image or a digest.
    Purge { subject: String, dry_run: bool },
    /// Remove all content of a registry.
    PurgeRegistry { registry: String, dry_run: bool },
    /// Remove all content.
    PurgeAll { dry_run: bool },
    /// Judge which workloads could restart.
    Coverage,
    /// Treat a registry as down for this time.
    DrillBegin { registry: String, seconds: u64 },
    /// End the drill of a registry.
    DrillEnd { registry: String },
    /// Reply when the drill of a registry has ended.
    DrillWait { registry: String },
    /// Report what could not be pulled without a registry, and the pulls that failed since the time in milliseconds
    /// since 1970.
    DrillReport { registry: String, since: Option<u64> },
}

/// The reply to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reply {
    /// The requested document.
    Fine(Value),
    /// The request is wrong.
    Usage(String),
    /// A failure of the registry, or of the network to it.
    Upstream(String),
    /// A failure of the instance itself.
    Failed(String),
}

/// The path of the control socket in the cache folder `dir`.
pub(crate) fn socket(dir: &Path) -> PathBuf {
    dir.join("control.sock")
}

/// `document` as one line.
pub(super) fn line(document: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(document)?;
    line.push(b'\n');
    Ok(line)
}
