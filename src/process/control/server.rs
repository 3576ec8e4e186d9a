//! The server of the control socket, in the cache folder.
//!
//! The protocol is in [`super::protocol`]. The socket is not reachable over TCP.

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
use crate::coverage::desk::Desk;
use crate::process::accept::accept;

/// The control socket: bound, but not answering yet.
pub(crate) struct Control {
    path: PathBuf,
    named: Named,
}

/// A listener with the path of its socket file. Dropping it removes the file, if the file at the path is still its own.
struct Named {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode number of the socket file.
    file: Option<(u64, u64)>,
}

impl Control {
    /// Binds the socket in `dir`. This process holds the lock of `dir`, so an existing socket belongs to a process that
    /// has ended. A failure is only logged, because everything except the commands works without the socket.
    pub(crate) fn bind(dir: &Path) -> Option<Self> {
        let path = socket(dir);
        let named = Named::bind(&path).inspect_err(|error| {
            tracing::warn!(path = %path.display(), %error, "no control socket: `pullgate cache` cannot reach this instance");
        });
        Some(Self { named: named.ok()?, path })
    }

    /// Answers until the future is dropped. If the folder is wiped, the socket file is made again as soon as this instance
    /// has the folder's new lock.
    pub(crate) async fn serve(mut self, proxy: Proxy, desk: Desk) {
        let seats = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let listener = &self.named.listener;
            let accepting = accept(
                "control socket",
                &seats,
                || listener.accept(),
                |stream| {
                    let (proxy, desk) = (proxy.clone(), desk.clone());
                    async move { converse(stream, &proxy, &desk).await }
                },
            );
            // The time limit interrupts the loop, because the socket file may have been removed.
            let _looking = timeout(LOOK, accepting).await;
            self.look_after_name(&proxy).await;
        }
    }

    /// Binds the socket again if its file was removed. A failed bind is tried again after [`LOOK`].
    async fn look_after_name(&mut self, proxy: &Proxy) {
        // In a folder that another instance holds, the socket file belongs to that instance.
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

async fn converse(stream: UnixStream, proxy: &Proxy, desk: &Desk) -> io::Result<()> {
    let (reading, mut writing) = stream.into_split();
    let mut asked = String::new();
    let mut reading = BufReader::new(reading.take(ASK_MAX));
    let told = match timeout(ASK_TIMEOUT, reading.read_line(&mut asked)).await {
        Ok(Ok(_)) => answer(proxy, desk, &asked).await,
        _ => Reply::Usage("nothing was asked".to_owned()),
    };
    writing.write_all(&line(&told)?).await
}

/// Commands served at once.
const CONNECTIONS_MAX: usize = 8;
/// Longest request, bytes.
const ASK_MAX: u64 = 8192;
/// The time limit for reading the request; the answer may take as long as a pull.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);
/// The time between two checks of the socket file.
const LOOK: Duration = Duration::from_secs(1);
