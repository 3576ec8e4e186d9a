//! The events of the store: commits, evictions, quarantine, disk trouble.

use std::io;

use oci::{RegistryHost, Repository, Tag};

use crate::checks::progress::Scrubbed;
use crate::disk::slow::{Slow, Spell};
use crate::records::scope::Kind;
use crate::records::tag_record::TagMove;
use crate::space::storing::Stopped;

/// Receives the store's events. The methods are called while content is served, so they must not block.
pub trait Events: Send + Sync + 'static {
    /// Content was committed.
    fn committed(&self, _kind: Kind, _bytes: u64) {}

    /// Content that does not hash to its name was quarantined.
    fn quarantined(&self, _reason: Quarantined) {}

    /// A check of committed content begins. If the content is wrong, it is quarantined for `reason`.
    fn checking(&self, _reason: Quarantined) {}

    /// The scrub made progress.
    fn scrubbed(&self, _progress: &Scrubbed) {}

    /// A file operation failed. The work continued without the disk if possible.
    fn disk_failed(&self, _error: &io::Error) {}

    /// One content could not be stored, or one file operation failed, though others succeed. The same trouble is reported
    /// once while it goes on.
    fn troubled(&self, _trouble: &str) {}

    /// A disk operation took longer than [`crate::SLOW`], or has already run longer. A request that waited for it has
    /// the class `disk_slow`.
    fn disk_slow(&self, _slow: &Slow) {}

    /// The disk is slow from now on: this operation is the first of a spell.
    fn slow_began(&self, _slow: &Slow) {}

    /// The disk has not been slow for [`crate::CALM`].
    fn slow_ended(&self, _spell: &Spell) {}

    /// Content cannot be stored from now on, for this reason; pulls pass through. A later reason replaces an earlier
    /// one.
    fn storing_stopped(&self, _stopped: &Stopped) {}

    /// Content can be stored again, and the state before did not come back for [`crate::CALM`].
    fn storing_resumed(&self, _stopped: &Stopped) {}

    /// Size of the file system of the cache folder, in bytes, when the store is opened and when it changes.
    fn file_system(&self, _bytes: u64) {}

    /// The budget, in bytes, is larger than what the cache may use of its file system, whose size in bytes is the second
    /// number. Reported when the store is opened, and when one of the numbers changes.
    fn oversized(&self, _limit: u64, _file_system: u64) {}

    /// The budget fits into the file system again.
    fn fits(&self, _limit: u64, _file_system: u64) {}

    /// The cache folder's lock file was gone, and the lock was taken again. Earlier files are gone, or were replaced by
    /// another program.
    fn folder_founded(&self) {}

    /// The cache folder's lock is lost, for this reason; nothing is stored.
    fn folder_lost(&self, _reason: &str) {}

    /// The number of objects of a kind in the store, and their bytes, after a change.
    fn holds(&self, _kind: Kind, _objects: u64, _bytes: u64) {}

    /// Content left the store.
    fn evicted(&self, _reason: Evicted, _bytes: u64) {}

    /// The upstream moved a tag to another manifest, and the new manifest is stored.
    fn tag_moved(&self, _registry: &RegistryHost, _repository: &Repository, _tag: &Tag, _move: &TagMove) {}
}

oci::labels! {
    /// The reason why content was quarantined.
    Quarantined {
        /// The bytes of a fill did not hash to the requested digest.
        Fill = "fill";
        /// The size of a committed file has changed since its commit.
        Size = "size";
        /// A committed file did not hash to its name when the scrub checked it.
        Scrub = "scrub";
        /// A committed file did not hash to its name at the first request after the machine started.
        Boot = "boot";
        /// A manifest did not hash to its name when it was read into memory.
        Read = "read";
        /// A committed file did not hash to its name when a client asked again for content that it had already received
        /// whole.
        Repeat = "repeat";
        /// The disk could not read a committed file.
        Unreadable = "unreadable";
    }
}

oci::labels! {
    /// The reason why content left the store.
    Evicted {
        /// The budget is spent.
        Size = "size";
        /// The file system has too few bytes left.
        FreeBytes = "free_bytes";
        /// The file system has too few free inodes.
        FreeFiles = "free_inodes";
        /// A purge was requested.
        Purge = "purge";
    }
}

/// A sink that ignores all events.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoEvents;

impl Events for NoEvents {}
