//! Real containerds of several releases, each on folders and a socket of its own.

mod daemon;
mod options;
mod release;

pub use daemon::{Containerd, files_of};
pub use options::Options;
pub use release::Release;
