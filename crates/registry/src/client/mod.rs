//! The client of one upstream: a question, its walk over the endpoints, and what the answer means.
//!
//! - `api`: the methods that other crates call; `values`: the values that they return.
//! - `request` describes a request; `turns` asks the endpoints in order; `call` asks one of them; `walk` is
//!   what such a call needs to know; `inner` and `connections` are what clones of a client share.
//! - `verdict` tells a failure from a good answer; `answer` turns a good answer into a value; `failures` chooses
//!   which endpoint's failure is reported; `account` reports one request to the observer.

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
