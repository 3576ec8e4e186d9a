//! Start-up: whose folder it is, what a crash left behind, and what is there.

use std::io;
use std::time::Duration;

use registry::Digest;
use registry::digest::Algorithm;
use tokio::time::{Instant, sleep_until};

use super::blob::off_worker;
use super::disk::{self, Disk, Lock};
use super::index::Index;
use super::layout::{Layout, digest_of};
use super::record::Folder;
use super::{OpenError, StoreConfig};

/// Waits for the folder's lock as long as the configuration allows.
pub(super) async fn lock(layout: &Layout, config: &StoreConfig) -> Result<Lock, OpenError> {
    let until = Instant::now() + config.lock_wait;
    loop {
        let path = layout.lock();
        let taken = off_worker(move || disk::try_lock(&path, &disk::holder())).await;
        let dir = config.dir.clone();
        match taken.map_err(|source| OpenError::Folder { dir: dir.clone(), source })? {
            Lock::Theirs(holder) if Instant::now() >= until => return Err(OpenError::Locked { dir, holder }),
            Lock::Theirs(_) => sleep_until(until.min(Instant::now() + LOCK_POLL)).await,
            ours => return Ok(ours),
        }
    }
}

/// Removes what no one will finish: temporaries, and partial fills without a checkpoint.
pub(super) fn sweep(layout: &Layout, disk: &dyn Disk) -> io::Result<()> {
    for folder in layout.folders() {
        disk.make_dir(&folder)?;
    }
    for entry in disk.list(&layout.temporaries())? {
        disk.remove(&layout.temporaries().join(entry.name))?;
    }
    let partials = disk.list(&layout.partials())?;
    for entry in &partials {
        let resumable = digest_of(&entry.name).is_some_and(|digest| {
            let parts = [layout.partial(&digest), layout.checkpoint(&digest)];
            parts.iter().all(|part| partials.iter().any(|entry| part.ends_with(&entry.name)))
        });
        if !resumable {
            disk.remove(&layout.partials().join(&entry.name))?;
        }
    }
    Ok(())
}

/// Enters every committed file into the index, by its name and size.
pub(super) fn scan(folder: &Folder, index: &Index) {
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        if let Err(error) = scan_algorithm(folder, index, algorithm) {
            folder.watch.disk_failed(&error);
        }
    }
    let usage = index.complete();
    folder.watch.holds(usage.objects, usage.bytes);
}

fn scan_algorithm(folder: &Folder, index: &Index, algorithm: Algorithm) -> io::Result<()> {
    let top = folder.layout.blobs(algorithm);
    for shard in folder.disk.list(&top)?.into_iter().filter(|entry| entry.size.is_none()) {
        for entry in folder.disk.list(&top.join(shard.name))? {
            let digest = format!("{}:{}", algorithm.as_str(), entry.name).parse::<Digest>();
            if let (Ok(digest), Some(size)) = (digest, entry.size) {
                index.add(&digest, size);
            }
        }
    }
    Ok(())
}

/// How often a held lock is tried again.
const LOCK_POLL: Duration = Duration::from_millis(250);
