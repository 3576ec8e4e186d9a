//! The words of OCI images and registries: names, digests, manifests, failure classes and stages.
//!
//! Every other crate speaks in these types. This crate knows none of ours, opens nothing and asks nobody.
//!
//! - [`name`]: registries, repositories, tags and references, parsed once into types that cannot be wrong.
//! - [`digest`]: digests, and the proof [`Verified`] that only a finished [`Verifier`] can make.
//! - [`manifest`]: the lenient, bounded reading of foreign manifests.
//! - [`mark`]: the headers by which one pullgate recognises another.
//! - [`class`]: the closed lists of failure classes and of the stages of a pull.
//! - [`credential`]: secrets, and where the credential of a registry comes from.
//! - [`zone`] and [`demand`]: what an operator decides about a registry: whom it may lead us to, what its quota is kept for.
//! - [`labels`] declares closed lists of named values; [`go_duration`] reads durations as Go prints them.

pub mod class;
pub mod credential;
pub mod demand;
pub mod digest;
pub mod go_duration;
pub mod labels;
pub mod manifest;
pub mod mark;
pub mod name;
pub mod zone;

pub use class::{Class, Stage};
pub use credential::{Credential, CredentialSource, Secret};
pub use demand::{Demand, OnExhausted, Reserve};
pub use digest::{Digest, Verified, Verifier};
pub use manifest::Manifest;
pub use name::{ImageName, Reference, RegistryHost, Repository, RepositoryPattern, Tag};
