//! The server of the control socket, in the cache folder.
//!
//! One line of JSON asks, one line answers, and the connection ends. Nothing of this is reachable over TCP.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use proxy::Proxy;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::answer::answer;
use super::protocol::{Reply, line, socket};
use crate::process::accept::accept;

/// The socket, bound and not yet answering.
pub(crate) struct Control {
    path: PathBuf,
    named: Named,
}

/// A listener with a name in a folder, which goes with it if it still is its own.
struct Named {
    listener: UnixListener,
    path: PathBuf,
    /// Device and number of the name's file.
    file: Option<(u64, u64)>,
}

impl Control {
    /// Binds in `dir`, whose lock this process holds: a socket there belongs to a process that has ended. Without the
    /// socket everything but the commands works, so a failure is only logged.
    pub(crate) fn bind(dir: &Path) -> Option<Self> {
        let path = socket(dir);
        let named = Named::bind(&path).inspect_err(|error| {
            tracing::warn!(path = %path.display(), %error, "no control socket: `pullgate cache` cannot reach this instance");
        });
        Some(Self { named: named.ok()?, path })
    }

    /// Answers until dropped. A name that is gone, with a folder that was wiped, is made anew as soon as the
    /// folder's lock is.
    pub(crate) async fn serve(mut self, proxy: Proxy) {
        let seats = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let listener = &self.named.listener;
            let accepting = accept(
                "control socket",
                &seats,
                || listener.accept(),
                |stream| {
                    let proxy = proxy.clone();
                    async move { converse(stream, &proxy).await }
                },
            );
            // Unlike the admin endpoint's, this listener has a name in a folder, which may vanish.
            let _looking = timeout(LOOK, accepting).await;
            self.look_after_name(&proxy).await;
        }
    }

    /// A name that cannot be bound is tried again at the next look.
    async fn look_after_name(&mut self, proxy: &Proxy) {
        // Asked in this order: in a folder that another instance holds, the name is another's.
        if self.named.is_there() || !proxy.store().holds_folder().await {
            return;
        }
        if let Ok(named) = Named::bind(&self.path) {
            self.named = named;
        }
    }
}

impl Named {
    fn bind(path: &Path) -> io::Result<Self> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
        Ok(Self { listener, path: path.to_owned(), file: file_at(path) })
    }

    fn is_there(&self) -> bool {
        self.file.is_some() && file_at(&self.path) == self.file
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        if self.is_there() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn file_at(path: &Path) -> Option<(u64, u64)> {
    let found = std::fs::symlink_metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

async fn converse(stream: UnixStream, proxy: &Proxy) -> io::Result<()> {
    let (reading, mut writing) = stream.into_split();
    let mut asked = String::new();
    let mut reading = BufReader::new(reading.take(ASK_MAX));
    let told = match timeout(ASK_TIMEOUT, reading.read_line(&mut asked)).await {
        Ok(Ok(_)) => answer(proxy, &asked).await,
        _ => Reply::Usage("nothing was asked".to_owned()),
    };
    writing.write_all(&line(&told)?).await
}

/// Commands served at once.
const CONNECTIONS_MAX: usize = 8;
/// Longest question, bytes.
const ASK_MAX: u64 = 8192;
/// The time limit for the question; the answer may take as long as a pull.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);
/// The time between two looks at the socket's name.
const LOOK: Duration = Duration::from_secs(1);
