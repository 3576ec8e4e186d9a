//! The client of one upstream: its methods, the requests to the endpoints in turn, and the reading of answers.
//!
//! - `api` has the methods that other crates call; `values` has their parameters and results.
//! - `request` describes a request; `turns` asks the endpoints in order; `call` asks one of them; `walk` holds the
//!   inputs of such a call; `inner` and `connections` hold what the clones of a client share.
//! - `verdict` decides whether an answer is a failure; `answer` turns a good answer into a value; `failures` chooses
//!   the failure that is reported when several endpoints fail; `account` reports one request to the observer.

pub(crate) mod account;
mod answer;
mod api;
mod call;
pub(crate) mod connections;
mod failures;
pub(crate) mod inner;
pub(crate) mod request;
mod turns;
mod values;
mod verdict;
pub(crate) mod walk;

pub use api::Client;
pub use connections::Connections;
pub use oci::mark::VIA;
pub use values::{
    Answer, BlobStream, ByteRange, ManifestHead, RawManifest, ReferrersPage, Rest, TagsPage, Validator,
};

pub use crate::wire::build::BuildError;
