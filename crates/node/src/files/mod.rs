//! Writes the documents of a node and takes them back, byte for byte.
//!
//! Whole files carry a mark with a hash ([`mark`]); a file without it is somebody else's and stays as it is. Of docker's
//! configuration, which has no comments, only one key is ours ([`docker`]). The journal ([`journal`]) has what was there
//! before, and it is written first, so that a crash at any step can be taken back. A new content replaces the old one by
//! a rename of a file that is on the disk ([`place`]).

mod apply;
mod disk;
mod docker;
mod found;
mod journal;
mod mark;
mod place;
mod report;
mod restore;

#[cfg(test)]
mod tests;

pub use apply::{apply, apply_on, preview};
pub use disk::{Attributes, Disk, RealDisk};
pub use docker::DockerError;
pub use found::Hazard;
pub use journal::JournalError;
pub use mark::{Owner, marked, owner};
pub use place::Root;
pub use report::{Change, LeftAlone, Line};
pub use restore::{is_applied, preview_restore, restore, restore_on};
