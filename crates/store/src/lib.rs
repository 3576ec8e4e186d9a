//! The store on the local disk: content by digest, access by link, tags as small records.
//!
//! The files decide what is stored (design decision 2). Content is committed once and never changed; a record is one
//! line of JSON, replaced as a whole. A file that cannot be read counts as absent: a wiped or damaged folder is a cold
//! cache.
//!
//! ```text
//! lock                          held by one instance; names its holder
//! v1/blobs/<alg>/ab/<hex>       raw bytes that hash to their name
//! v1/partial/<alg>-<hex>        a fill under way or paused, with its checkpoint `.map`
//! v1/links/<scope>/ab/<digest>  the fact that a repository may see a digest (names of scopes are hashed)
//! v1/tags/<repository>/<tag>    the manifest that a tag named when the upstream was last asked (names are hashed)
//! v1/checked                    the digests that were hashed since the machine started, with the id of that boot
//! v1/tmp/                       records and small content before they are renamed into place; emptied at start
//! ```
//!
//! The rooms from the top down; the `mod.rs` of each is its map:
//!
//! - [`Store`] (`store.rs`) is the handle that the proxy uses; `open.rs` puts its parts together
//! - `inventory`: lists of images, and purges
//! - `tier/`: the trait of a second tier below this disk
//! - `checks/`: files on the disk are compared with their names
//! - `space/`: the limits of the store, and the evictions that keep it within them
//! - `content/`: writing and reading content
//! - `records/`: links, tags, pins, and the paths of all files
//! - `disk/`: the file calls, and the lock of the folder

mod checks;
mod config;
mod content;
mod disk;
pub mod events;
pub mod inventory;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod inventory_tests;
mod open;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod open_tests;
mod records;
mod space;
mod store;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod testing;
pub mod tier;

pub use checks::check::{Check, Verdict};
pub use checks::progress::Scrubbed;
pub use config::{OpenError, StoreConfig};
pub use content::blob::{Blob, Content, Touch};
pub use content::buffers::SMALL_WINDOW;
pub use content::ingest::{Ingest, Patch};
pub use content::limits::SMALL_MAX;
pub use content::settle::AppendError;
pub use content::spans;
#[cfg(any(test, feature = "faults"))]
pub use disk::faulty;
pub use disk::slow::{CALM, Operation, SLOW, Slow, Spell};
pub use events::Events;
pub use records::link::Links;
pub use records::scope::{Kind, Link, Scope};
pub use records::tag::Tags;
pub use records::tag_record::{CLOCK_STEP, TagMove, TagRecord};
pub use space::index::Reservation;
pub use space::standing::Standing;
pub use space::storing::{StopReason, Stopped};
pub use space::usage::Usage;
pub use store::Store;
