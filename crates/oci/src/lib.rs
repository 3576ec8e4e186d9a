//! The basic types of OCI images and registries: names, digests, manifests, failure classes and stages.
//!
//! Every other crate uses these types. This crate depends on no other crate of the workspace, opens no file and makes
//! no request.
//!
//! - [`name`]: registries, repositories, tags and references, each a type that holds only valid names.
//! - [`digest`]: digests, and the proof [`Verified`] that only a finished [`Verifier`] can make.
//! - [`manifest`]: the lenient, bounded reading of foreign manifests.
//! - [`platform`]: platforms, and the choice of the child of an index for a platform.
//! - [`mark`]: the headers by which pullgate instances recognise each other.
//! - [`class`]: the closed lists of failure classes and of the stages of a pull.
//! - [`pulled`]: the closed lists of the kinds and outcomes of a pull's objects.
//! - [`credential`]: secrets, and the trait of the sources of credentials.
//! - [`zone`] and [`demand`]: the operator's decisions about a registry. The zone is the hosts that it may send us to;
//!   the demand decides which requests its quota is kept for.
//! - [`mod@labels`] declares closed lists of named values; [`go_duration`] reads durations as Go prints them.

pub mod class;
pub mod credential;
pub mod demand;
pub mod digest;
pub mod go_duration;
pub mod labels;
pub mod manifest;
pub mod mark;
pub mod media_type;
pub mod name;
pub mod platform;
pub mod pulled;
pub mod zone;

pub use class::{Class, Stage};
pub use credential::{Credential, CredentialSource, Secret};
pub use demand::{Demand, OnExhausted, Reserve};
pub use digest::{Digest, Verified, Verifier};
pub use manifest::Manifest;
pub use name::{ImageName, Reference, RegistryHost, Repository, RepositoryPattern, Tag};
pub use platform::{Platform, PlatformError};
pub use pulled::{ObjectKind, ObjectOutcome};
