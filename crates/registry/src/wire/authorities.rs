//! The certificate authorities that an endpoint's connections trust. The files are read again for each new connection,
//! so that a rotated authority is trusted without a restart.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::timeout;

use crate::wire::build::BuildError;
use crate::wire::tls::{Pem, Roots, Tls};

/// The system's authorities and those of files.
pub(crate) struct Authorities {
    roots: Roots,
    files: Arc<[PathBuf]>,
    held: Mutex<Held>,
}

struct Held {
    /// The result of the last read of the files, whether it was usable or not.
    seen: Result<Vec<Pem>, BuildError>,
    tls: Tls,
}

impl Authorities {
    /// Reads the files for the first time.
    pub(crate) fn load<'a>(
        roots: &Roots,
        files: impl IntoIterator<Item = &'a Path>,
    ) -> Result<Self, BuildError> {
        let files: Arc<[PathBuf]> = files.into_iter().map(Path::to_owned).collect();
        let seen = read(&files)?;
        let tls = Tls::new(roots, &seen)?;
        Ok(Self { roots: roots.clone(), files, held: Mutex::new(Held { seen: Ok(seen), tls }) })
    }

    /// TLS with the present content of the files. If a file became unreadable or invalid, the last valid content of all
    /// files is used.
    pub(crate) async fn tls(&self) -> Tls {
        if !self.files.is_empty() {
            let files = Arc::clone(&self.files);
            // The read is blocking and has a timeout, because a secret may be on a network file system.
            let reading = tokio::task::spawn_blocking(move || read(&files));
            if let Ok(Ok(now)) = timeout(LOOK_MAX, reading).await {
                self.take(now);
            }
        }
        self.held().tls.clone()
    }

    fn take(&self, now: Result<Vec<Pem>, BuildError>) {
        let mut held = self.held();
        if now == held.seen {
            return;
        }
        let made = now.clone().and_then(|files| Tls::new(&self.roots, &files));
        match made {
            Ok(tls) => {
                tracing::info!(files = ?self.files, "authorities reloaded");
                held.tls = tls;
            }
            Err(error) => tracing::warn!(%error, "the authorities stay as they were"),
        }
        held.seen = now;
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(files: &[PathBuf]) -> Result<Vec<Pem>, BuildError> {
    let read = |path: &PathBuf| {
        let mut bytes = Vec::new();
        let ended =
            std::fs::File::open(path).and_then(|file| file.take(FILE_MAX + 1).read_to_end(&mut bytes));
        let broken = |reason: String| BuildError::CaFile { path: path.clone(), reason };
        match ended {
            Ok(_) if bytes.len() as u64 > FILE_MAX => Err(broken("larger than 4 MiB".to_owned())),
            Ok(_) => Ok(Pem { path: path.clone(), bytes }),
            Err(error) => Err(broken(error.to_string())),
        }
    };
    files.iter().map(read).collect()
}

/// Longest time for reading the files before a new connection.
const LOOK_MAX: Duration = Duration::from_secs(1);
/// Largest file, in bytes. The authorities of a whole system take a quarter of a mebibyte.
const FILE_MAX: u64 = 4 * 1024 * 1024;
