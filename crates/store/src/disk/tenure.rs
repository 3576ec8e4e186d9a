//! Keeps the lock of the cache folder while the process runs. The folder may be wiped together with its lock file, and
//! another instance may start there. An instance that does not hold the lock file at its path writes nothing.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::time::sleep;

use super::blocking::off_worker;
use super::files::parent;
use super::io::{Disk, Entry, File, Space};
use super::local::LocalDisk;
use super::lock;
use super::lock::Lock;
use crate::events::Events;

/// The ownership of a folder, until [`Tenure::release`].
pub(crate) struct Tenure {
    path: PathBuf,
    /// The lock file, while this process holds it. The mutex ensures that only one thread checks the lock at a time.
    lock: Mutex<Option<fs::File>>,
    /// The reason why the folder may not be written, from the last check of the lock. Never locked during a check.
    refusal: Mutex<Option<Refusal>>,
    foundings: watch::Sender<u64>,
    events: Arc<dyn Events>,
}

/// The reason why nothing is written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Refusal {
    #[error(
        "somebody removed the cache folder's lock and {0} took it: pulls pass through, unstored, until that is gone"
    )]
    Theirs(String),
    #[error("the cache folder's lock is gone and cannot be taken anew ({0}): pulls pass through, unstored")]
    Failed(String),
    #[error("the store is closed")]
    Released,
}

impl Tenure {
    /// Begins with the lock that was taken at `path`.
    pub(crate) fn new(path: PathBuf, lock: fs::File, events: Arc<dyn Events>) -> Self {
        let (lock, refusal) = (Mutex::new(Some(lock)), Mutex::default());
        Self { path, lock, refusal, foundings: watch::Sender::new(0), events }
    }

    /// Makes sure that this process holds the lock at its path. If the lock file is gone, takes the lock again; what
    /// was known about the folder's files is then no longer valid ([`Tenure::foundings`]). Blocks.
    ///
    /// # Errors
    /// Another instance holds the lock, or the disk failed: nothing may be written.
    pub(crate) fn assure(&self) -> io::Result<()> {
        let mut lock = held(&self.lock);
        if lock.as_ref().is_some_and(|file| lock::is_at(file, &self.path)) {
            return Ok(());
        }
        if let Some(Refusal::Released) = self.refusal() {
            return Err(io::Error::other(Refusal::Released));
        }
        *lock = None;
        let taken = LocalDisk.make_dir(parent(&self.path));
        match taken.and_then(|()| lock::try_lock(&self.path, &lock::holder())) {
            Ok(Lock::Ours(file)) => {
                *lock = Some(file);
                *held(&self.refusal) = None;
                self.foundings.send_modify(|foundings| *foundings += 1);
                self.events.folder_founded();
                Ok(())
            }
            Ok(Lock::Theirs(holder)) => Err(io::Error::other(self.refuse(Refusal::Theirs(holder)))),
            Err(error) => {
                self.refuse(Refusal::Failed(error.to_string()));
                Err(error)
            }
        }
    }

    /// Succeeds if this process held the lock at the last check.
    ///
    /// # Errors
    /// The reason why it did not.
    pub(crate) fn last_known(&self) -> io::Result<()> {
        self.refusal().map_or(Ok(()), |refusal| Err(io::Error::other(refusal)))
    }

    /// A counter that changes each time the folder is set up again.
    pub(crate) fn foundings(&self) -> watch::Receiver<u64> {
        self.foundings.subscribe()
    }

    /// Releases the folder; it is not taken again.
    pub(crate) fn release(&self) {
        let mut lock = held(&self.lock);
        *held(&self.refusal) = Some(Refusal::Released);
        *lock = None;
    }

    fn refuse(&self, refusal: Refusal) -> Refusal {
        let before = held(&self.refusal).replace(refusal.clone());
        if before.as_ref() != Some(&refusal) {
            self.events.folder_lost(&refusal.to_string());
        }
        refusal
    }

    fn refusal(&self) -> Option<Refusal> {
        held(&self.refusal).clone()
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Tenure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tenure").field(&self.path).finish()
    }
}

/// Checks the lock regularly until `gone` returns true, which means that the store is closed. If the folder is wiped
/// while nothing is written, the lock is thus taken again before another instance takes it.
pub(crate) async fn keep(tenure: Arc<Tenure>, gone: impl Fn() -> bool + Send) {
    while !gone() {
        let looking = tenure.clone();
        // The refusal is kept; later writes fail with it.
        let _ = off_worker(move || looking.assure()).await;
        sleep(LOOK).await;
    }
}

/// True if `error` means that the lock is not held; that is not a failure of the disk.
pub(crate) fn is_refusal(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Refusal>())
}

/// A disk that refuses to change anything while the folder's lock is not held.
#[derive(Debug)]
pub(crate) struct HeldDisk {
    disk: Arc<dyn Disk>,
    tenure: Arc<Tenure>,
}

impl HeldDisk {
    pub(crate) fn new(disk: Arc<dyn Disk>, tenure: Arc<Tenure>) -> Self {
        Self { disk, tenure }
    }
}

impl Disk for HeldDisk {
    fn may_write(&self) -> io::Result<()> {
        self.tenure.last_known()
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        self.tenure.assure()?;
        self.disk.make_dir(path)
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        self.disk.open(path)
    }

    fn open_partial(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        self.tenure.assure()?;
        self.disk.open_partial(path)
    }

    fn replace(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.tenure.assure()?;
        self.disk.replace(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.tenure.assure()?;
        self.disk.remove(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.sync_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        self.disk.list(path)
    }

    fn names(&self, path: &Path) -> io::Result<Vec<String>> {
        self.disk.names(path)
    }

    fn note_use(&self, path: &Path, at: SystemTime) -> io::Result<()> {
        self.tenure.assure()?;
        self.disk.note_use(path, at)
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        self.disk.space(path)
    }
}

/// Time between two checks of the lock.
const LOOK: Duration = Duration::from_secs(1);
