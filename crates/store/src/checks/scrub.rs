//! Hashes all stored content again, slowly and while there are no pulls, so that the store finds silent disk errors
//! before a node does. At the end of each round the store forgets the tags whose manifest is no longer stored.

use std::io;

use std::time::Duration;

use oci::{Digest, Verifier};
use tokio::time::sleep;

use super::check::hash_piece;
use crate::disk::blocking::off_worker;
use crate::disk::rot::is_rot;
use crate::events::Quarantined;
use crate::space::room::Room;

/// The speed of the scrub.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// The pause after each piece.
    pub(crate) pause: Duration,
    /// The scrub reads only after this time without a request. It waits the same time after an object that could not be
    /// read.
    pub(crate) quiet: Duration,
}

impl Pace {
    /// 8 MiB per second, while there are no pulls.
    pub(crate) const IDLE: Self = Self { pause: Duration::from_millis(125), quiet: Duration::from_secs(2) };
}

/// The result of reading an object again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finding {
    Right,
    Wrong(Quarantined),
    /// The object was removed before it was read.
    Gone,
    /// The object cannot be read now, but the file itself is not at fault.
    Unknown,
}

/// Runs scrub rounds until `gone` returns true, which means that the store is closed.
pub(crate) async fn run(room: Room, gone: impl Fn() -> bool + Send) {
    let mut wait = FIRST_AFTER;
    loop {
        // Wakes up regularly, so that a closed store is soon dropped.
        for _ in 0..wait.as_secs() / LOOK_UP.as_secs() {
            sleep(LOOK_UP).await;
            if gone() {
                return;
            }
        }
        round(&room, Pace::IDLE, &gone).await;
        wait = BETWEEN_ROUNDS;
    }
}

/// Checks every object that is stored when the round begins, then forgets the tags whose manifest is no longer stored.
pub(crate) async fn round(room: &Room, pace: Pace, gone: &(impl Fn() -> bool + Send)) {
    let digests = room.index.digests();
    room.scrubbed(|progress| {
        (progress.objects, progress.bytes, progress.of_objects) = (0, 0, digests.len() as u64);
    });
    for digest in digests {
        match check(room, pace, &digest, gone).await {
            Finding::Gone if gone() => return,
            Finding::Right | Finding::Gone => {}
            Finding::Unknown => sleep(pace.quiet).await,
            Finding::Wrong(reason) => {
                room.quarantine(&digest, reason).await;
                room.scrubbed(|progress| progress.wrong += 1);
            }
        }
        room.scrubbed(|progress| progress.objects += 1);
    }
    if let Err(error) = room.tags.sweep(|digest| room.index.look(digest).is_none()).await {
        room.folder.events.disk_failed(&error);
    }
    room.scrubbed(|progress| progress.rounds += 1);
}

async fn check(room: &Room, pace: Pace, digest: &Digest, gone: &(impl Fn() -> bool + Send)) -> Finding {
    // Waits for a quiet moment before it opens the file, too: a busy process needs its file descriptors for pulls.
    silence(room, pace, gone).await;
    let (disk, path) = (room.folder.disk.clone(), room.folder.layout.blob(digest));
    let file = match off_worker(move || disk.open(&path)).await {
        Ok(file) => file,
        Err(error) => return unreadable(room, &error),
    };
    let mut verifier = Verifier::new(digest.clone());
    loop {
        silence(room, pace, gone).await;
        if gone() {
            return Finding::Gone;
        }
        match hash_piece(&file, verifier).await {
            Err(error) => return unreadable(room, &error),
            Ok((moved, read)) => {
                verifier = moved;
                room.scrubbed(|progress| progress.bytes += read as u64);
                if read == 0 {
                    break;
                }
            }
        }
        sleep(pace.pause).await;
    }
    if verifier.finish().is_err() {
        return Finding::Wrong(Quarantined::Scrub);
    }
    room.hashed(digest).await;
    Finding::Right
}

/// Returns when there are no pulls, or when the store is closed.
async fn silence(room: &Room, pace: Pace, gone: &(impl Fn() -> bool + Send)) {
    while !room.index.is_quiet(pace.quiet) && !gone() {
        sleep(pace.quiet).await;
    }
}

fn unreadable(room: &Room, error: &io::Error) -> Finding {
    if error.kind() == io::ErrorKind::NotFound {
        return Finding::Gone;
    }
    room.folder.events.disk_failed(error);
    if is_rot(error) { Finding::Wrong(Quarantined::Unreadable) } else { Finding::Unknown }
}

/// Time from the start of the process to the first round.
const FIRST_AFTER: Duration = Duration::from_secs(3600);
/// Time from the end of a round to the next.
const BETWEEN_ROUNDS: Duration = Duration::from_secs(24 * 3600);
/// Longest time after which a closed store is dropped.
const LOOK_UP: Duration = Duration::from_secs(60);
