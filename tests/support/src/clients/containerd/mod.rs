//! Real containerds of several releases, each with its own folders and socket.

mod daemon;
mod options;
mod release;

pub use daemon::{Containerd, files_of};
pub use options::Options;
pub use release::Release;
