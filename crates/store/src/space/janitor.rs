//! Keeps the store within its limits, and its index consistent with the disk.

use std::collections::HashSet;
use std::io;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::evict::Rank;
use super::room::Room;
use crate::checks::recover;
use crate::disk::blocking::off_worker;
use crate::records::layout::digest_of;

/// Runs cleaning rounds until `gone` returns true, which means that the store is closed. Each change of `foundings`
/// triggers a comparison with the disk.
pub(crate) async fn run(room: Room, mut foundings: watch::Receiver<u64>, gone: impl Fn() -> bool + Send) {
    let mut reconciled: Option<Instant> = None;
    // Wiping a large folder takes a while and may also remove files that are written at the same time, so one more
    // comparison follows.
    let mut once_more = false;
    loop {
        let founded = tokio::select! {
            _due = timeout(PERIOD, room.index.concern.notified()) => false,
            changed = foundings.changed() => changed.is_ok(),
        };
        if gone() {
            return;
        }
        let rested = reconciled.is_none_or(|last| last.elapsed() >= PERIOD);
        if founded || rested && (room.index.take_lost() || once_more) {
            (reconciled, once_more) = (Some(Instant::now()), founded);
            if let Err(error) = reconcile(&room).await {
                room.folder.events.disk_failed(&error);
            }
        }
        room.index.prune(Instant::now());
        room.settle().await;
        room.look_again().await;
        tidy_boot(&room).await;
        // An error is ignored: a disk that cannot be written still serves, and only the order of eviction is lost with
        // the process.
        let _ = note_uses(&room).await;
    }
}

/// Compares the index with the disk, after files were removed or another instance owned the folder. Forgets content
/// that is gone and the records in memory, and adds new files.
async fn reconcile(room: &Room) -> io::Result<()> {
    // No eviction may run: content that is evicted during the comparison would be added again.
    let _turn = room.turn.lock().await;
    let since = Instant::now();
    room.recent.forget_all();
    room.links.forget_remembered();
    room.tags.forget_remembered();
    let folder = room.folder.clone();
    let (content, partials) = off_worker(move || {
        for needed in folder.layout.folders() {
            folder.disk.make_dir(&needed)?;
        }
        let partials = folder.disk.names(&folder.layout.partials())?;
        Ok((recover::committed(&folder)?, partials.iter().filter_map(|name| digest_of(name)).collect()))
    })
    .await?;
    let present: HashSet<_> = content.iter().map(|(digest, _)| digest.clone()).collect();
    room.index.retain(&present, &partials, since);
    for (digest, entry) in content {
        let size = entry.size.unwrap_or_default();
        room.index.restore(&digest, Rank::Blob, size, entry.modified, SystemTime::now());
    }
    room.index.tell(&*room.folder.events);
    Ok(())
}

/// Removes content that has left the store from the record of hashed digests, when there is much of it.
async fn tidy_boot(room: &Room) {
    let (folder, index) = (room.folder.clone(), room.index.clone());
    // If this fails, the record stays unchanged, which does no harm.
    let _ = off_worker(move || folder.boot.tidy(index.count_checked(), || index.checked())).await;
}

/// Writes the last uses into the files' timestamps, so that the order of eviction survives a restart.
async fn note_uses(room: &Room) -> io::Result<()> {
    let (folder, uses) = (room.folder.clone(), room.index.take_unnoted(NOTED_AT_ONCE));
    off_worker(move || {
        for (digest, at) in uses {
            match folder.disk.note_use(&folder.layout.blob(&digest), at) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    })
    .await
}

/// Time between two rounds if nothing triggers one earlier.
const PERIOD: Duration = Duration::from_secs(30);
/// Maximum number of files whose timestamps are written in one round.
const NOTED_AT_ONCE: usize = 1000;
