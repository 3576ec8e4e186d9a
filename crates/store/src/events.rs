//! The events of the store: commits, evictions, quarantine, disk trouble.

use std::io;

use oci::{RegistryHost, Repository, Tag};

use crate::checks::progress::Scrubbed;
use crate::disk::slow::{Slow, Spell};
use crate::records::scope::Kind;
use crate::records::tag_record::TagMove;
use crate::space::storing::Stopped;

/// Takes the store's events. Called on the path of a byte: must not block.
pub trait Events: Send + Sync + 'static {
    /// Content was committed.
    fn committed(&self, _kind: Kind, _bytes: u64) {}

    /// Content that does not hash to its name was taken out of reach.
    fn quarantined(&self, _reason: Quarantined) {}

    /// Committed content is hashed again, and quarantined for `reason` if it is wrong.
    fn checking(&self, _reason: Quarantined) {}

    /// The scrub went on.
    fn scrubbed(&self, _progress: &Scrubbed) {}

    /// A file operation failed; the work went on without the disk where it could.
    fn disk_failed(&self, _error: &io::Error) {}

    /// One content could not be stored, or one file operation failed, though others do not. The same trouble is reported
    /// once while it goes on.
    fn troubled(&self, _trouble: &str) {}

    /// An operation on the disk took longer than [`crate::SLOW`], or does so still. The class of requests that waited
    /// for it is `disk_slow`.
    fn disk_slow(&self, _slow: &Slow) {}

    /// The disk is slow from now on: this operation is the first of a spell.
    fn slow_began(&self, _slow: &Slow) {}

    /// The disk has not been slow for [`crate::CALM`].
    fn slow_ended(&self, _spell: &Spell) {}

    /// Content cannot be stored from now on, for this reason; pulls pass through. A second reason replaces the first.
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

    /// The cache folder's lock was gone and is taken anew. Files that were there are gone, or somebody else's.
    fn folder_founded(&self) {}

    /// The cache folder's lock is lost, for this reason: nothing is stored.
    fn folder_lost(&self, _reason: &str) {}

    /// The amount that the store holds of a kind, after a change.
    fn holds(&self, _kind: Kind, _objects: u64, _bytes: u64) {}

    /// Content left the store.
    fn evicted(&self, _reason: Evicted, _bytes: u64) {}

    /// The upstream gave a tag another meaning, and that is stored.
    fn tag_moved(&self, _registry: &RegistryHost, _repository: &Repository, _tag: &Tag, _move: &TagMove) {}
}

oci::labels! {
    /// The reason why content was quarantined.
    Quarantined {
        /// A fill's bytes did not hash to the digest asked for.
        Fill = "fill";
        /// A committed file has another size than it was committed with.
        Size = "size";
        /// A committed file did not hash to its name when the scrub came by.
        Scrub = "scrub";
        /// A committed file did not hash to its name when it was first asked for after the machine started.
        Boot = "boot";
        /// A manifest did not hash to its name when it was read into memory.
        Read = "read";
        /// A committed file did not hash to its name when a client that had all of it asked for it again.
        Repeat = "repeat";
        /// The disk would not give a committed file back.
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
        /// The file system can take too few files more.
        FreeFiles = "free_inodes";
        /// Somebody asked for it.
        Purge = "purge";
    }
}

/// A sink that ignores all events.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoEvents;

impl Events for NoEvents {}
