//! The start of a store: it waits for the folder's lock, removes the leftovers of a crash, and indexes the content.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::time::{Duration, SystemTime};

use oci::Digest;
use oci::digest::Algorithm;
use tokio::time::{Instant, sleep_until};

use crate::config::{OpenError, StoreConfig};
use crate::disk::blocking::off_worker;
use crate::disk::io::{Disk, Entry};
use crate::disk::lock;
use crate::disk::lock::Lock;
use crate::records::folder::Folder;
use crate::records::layout::{Layout, digest_of, is_checkpoint, linked};
use crate::records::scope::Kind;
use crate::space::evict::Rank;
use crate::space::index::Index;

/// Waits for the folder's lock as long as the configuration allows.
pub(crate) async fn lock(layout: &Layout, config: &StoreConfig) -> Result<File, OpenError> {
    let until = Instant::now() + config.lock_wait;
    loop {
        let path = layout.lock();
        let taken = off_worker(move || lock::try_lock(&path, &lock::holder())).await;
        let dir = config.dir.clone();
        match taken.map_err(|source| OpenError::Folder { dir: dir.clone(), source })? {
            Lock::Theirs(holder) if Instant::now() >= until => return Err(OpenError::Locked { dir, holder }),
            Lock::Theirs(_) => sleep_until(until.min(Instant::now() + LOCK_POLL)).await,
            Lock::Ours(file) => return Ok(file),
        }
    }
}

/// Removes files that no fill can resume: temporary files, and partial files without a checkpoint.
pub(crate) fn sweep(layout: &Layout, disk: &dyn Disk) -> io::Result<()> {
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

/// Adds every committed file to the index with its digest and size, least recently used first, and every partial file.
pub(crate) fn scan(folder: &Folder, index: &Index) {
    if let Err(error) = scan_all(folder, index, SystemTime::now()) {
        folder.events.disk_failed(&error);
    }
    index.complete();
    index.tell(&*folder.events);
}

fn scan_all(folder: &Folder, index: &Index, now: SystemTime) -> io::Result<()> {
    for entry in folder.disk.list(&folder.layout.partials())? {
        if let (Some(digest), Some(size), false) =
            (digest_of(&entry.name), entry.size, is_checkpoint(&entry.name))
        {
            index.pause(&digest, size);
        }
    }
    let manifests = manifests(folder)?;
    let mut found = committed(folder)?;
    found.sort_unstable_by_key(|(_, entry)| entry.modified);
    for (digest, entry) in found {
        let rank = if manifests.contains(&digest) { Rank::Manifest } else { Rank::Blob };
        index.restore(&digest, rank, entry.size.unwrap_or_default(), entry.modified, now);
    }
    Ok(())
}

/// Every committed file, with its digest.
pub(crate) fn committed(folder: &Folder) -> io::Result<Vec<(Digest, Entry)>> {
    let mut found = Vec::new();
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        let top = folder.layout.blobs(algorithm);
        for shard in folder.disk.names(&top)? {
            for entry in folder.disk.list(&top.join(shard))? {
                let digest = format!("{}:{}", algorithm.as_str(), entry.name).parse::<Digest>();
                if let (Ok(digest), Some(_)) = (digest, entry.size) {
                    found.push((digest, entry));
                }
            }
        }
    }
    Ok(found)
}

/// The digests that a link records as manifests. The content alone does not show whether it is a manifest.
fn manifests(folder: &Folder) -> io::Result<HashSet<Digest>> {
    let mut manifests = HashSet::new();
    let links = folder.layout.links();
    for scope in folder.disk.names(&links)? {
        for shard in folder.disk.names(&links.join(&scope))? {
            let names = folder.disk.names(&links.join(&scope).join(shard))?;
            let linked = names.iter().filter_map(|name| linked(name));
            manifests.extend(linked.filter(|(_, kind)| *kind == Kind::Manifest).map(|(digest, _)| digest));
        }
    }
    Ok(manifests)
}

/// Time between two tries for a lock that another instance holds.
const LOCK_POLL: Duration = Duration::from_millis(250);
