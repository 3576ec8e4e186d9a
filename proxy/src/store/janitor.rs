//! Keeps the store within its limits, and what it believes within the truth.

use std::collections::HashSet;
use std::io;
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, timeout};

use super::blob::off_worker;
use super::recover;
use super::room::Room;

/// Cleans until `gone` says the store is closed.
pub(super) async fn run(room: Room, gone: impl Fn() -> bool + Send) {
    let mut reconciled: Option<Instant> = None;
    loop {
        let _due = timeout(PERIOD, room.index.concern.notified()).await;
        if gone() {
            return;
        }
        if reconciled.is_none_or(|last| last.elapsed() >= PERIOD) && room.index.take_lost() {
            reconciled = Some(Instant::now());
            if let Err(error) = reconcile(&room).await {
                room.folder.watch.disk_failed(&error);
            }
        }
        room.index.prune(Instant::now());
        room.settle().await;
        tidy_boot(&room).await;
        // A disk that cannot be written serves all the same; the order of leaving then ends with the process.
        let _ = note_uses(&room).await;
    }
}

/// Somebody removed files, or the folder: what is not there is forgotten.
async fn reconcile(room: &Room) -> io::Result<()> {
    let since = SystemTime::now();
    let folder = room.folder.clone();
    let present: HashSet<_> = off_worker(move || {
        for needed in folder.layout.folders() {
            folder.disk.make_dir(&needed)?;
        }
        Ok(recover::content(&folder)?.into_iter().map(|(digest, _)| digest).collect())
    })
    .await?;
    room.index.retain(&present, since);
    room.index.tell(&*room.folder.watch);
    Ok(())
}

/// Keeps the record of what was hashed from growing with what has left.
async fn tidy_boot(room: &Room) {
    let (folder, index) = (room.folder.clone(), room.index.clone());
    // As it was is as good.
    let _ = off_worker(move || folder.boot.tidy(&folder, index.count_checked(), || index.checked())).await;
}

/// Lets files tell when they were last used, so that the order of leaving outlives the process.
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

/// Between two rounds when nothing calls for one.
const PERIOD: Duration = Duration::from_secs(30);
/// Files touched in a round at most.
const NOTED_AT_ONCE: usize = 1000;
