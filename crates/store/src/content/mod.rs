//! Content: from the partial file through the commit to the readers.
//!
//! - [`ingest`]: content that is being written, with its [`spans`], its one [`writers::Writer`] and its [`checkpoint`]
//! - [`unsynced`]: verified content that is served before its commit has ended (design decision 4a)
//! - [`settle`] and [`small`]: the commit, crash-safely (design decision 4)
//! - [`blob`]: committed content open for reading, through [`mapped`] windows or copies in [`buffers`]
//! - [`recent`]: small content in memory and files that stay open
//! - [`limits`]: the size up to which content is small

pub(crate) mod blob;
pub(crate) mod buffers;
pub(crate) mod checkpoint;
pub(crate) mod ingest;
pub(crate) mod limits;
pub(crate) mod mapped;
pub(crate) mod recent;
pub(crate) mod settle;
pub(crate) mod small;
pub mod spans;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
pub(crate) mod unsynced;
pub(crate) mod writers;
