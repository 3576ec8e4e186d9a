//! Reads everything again, slowly and while nobody pulls, so that a disk's silent errors are found before a node is. Then
//! it sweeps out tags whose manifest has left.

use std::io;

use std::time::Duration;

use oci::{Digest, Verifier};
use tokio::time::sleep;

use super::check::hash_piece;
use crate::disk::blocking::off_worker;
use crate::disk::rot::is_rot;
use crate::events::Quarantined;
use crate::space::room::Room;

/// How fast to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// After each piece.
    pub(crate) pause: Duration,
    /// Nothing is read until requests were silent for so long, nor so soon after an object could not be read.
    pub(crate) quiet: Duration,
}

impl Pace {
    /// 8 MiB a second, while nobody pulls.
    pub(crate) const IDLE: Self = Self { pause: Duration::from_millis(125), quiet: Duration::from_secs(2) };
}

/// What reading an object again came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Right,
    Wrong(Quarantined),
    /// It left meanwhile.
    Gone,
    /// It cannot be read just now, for reasons that are not its own.
    Unknown,
}

/// Scrubs round after round until `gone` says the store is closed.
pub(crate) async fn run(room: Room, gone: impl Fn() -> bool + Send) {
    let mut wait = FIRST_AFTER;
    loop {
        // Looks up now and then, so that a store that is closed is let go of.
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

/// Reads every object that is there when it begins, then sweeps the tags.
pub(crate) async fn round(room: &Room, pace: Pace, gone: &(impl Fn() -> bool + Send)) {
    let digests = room.index.digests();
    room.scrubbed(|progress| {
        (progress.objects, progress.bytes, progress.of_objects) = (0, 0, digests.len() as u64);
    });
    for digest in digests {
        match check(room, pace, &digest, gone).await {
            Verdict::Gone if gone() => return,
            Verdict::Right | Verdict::Gone => {}
            Verdict::Unknown => sleep(pace.quiet).await,
            Verdict::Wrong(reason) => {
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

async fn check(room: &Room, pace: Pace, digest: &Digest, gone: &(impl Fn() -> bool + Send)) -> Verdict {
    // Waited for before anything is opened, too: a busy process needs its descriptors for those who pull.
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
            return Verdict::Gone;
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
        return Verdict::Wrong(Quarantined::Scrub);
    }
    room.hashed(digest).await;
    Verdict::Right
}

/// Returns when nobody pulls, or when the store is closed.
async fn silence(room: &Room, pace: Pace, gone: &(impl Fn() -> bool + Send)) {
    while !room.index.is_quiet(pace.quiet) && !gone() {
        sleep(pace.quiet).await;
    }
}

fn unreadable(room: &Room, error: &io::Error) -> Verdict {
    if error.kind() == io::ErrorKind::NotFound {
        return Verdict::Gone;
    }
    room.folder.events.disk_failed(error);
    if is_rot(error) { Verdict::Wrong(Quarantined::Unreadable) } else { Verdict::Unknown }
}

/// From the start to the first round.
const FIRST_AFTER: Duration = Duration::from_secs(3600);
/// From the end of a round to the next.
const BETWEEN_ROUNDS: Duration = Duration::from_secs(24 * 3600);
/// How soon a closed store is let go of.
const LOOK_UP: Duration = Duration::from_secs(60);
