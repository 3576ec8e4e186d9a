//! What runs in the cluster now: watches that fill an index, and pull secrets that are read one by one.
//!
//! ```text
//!   feed (one per resource and namespace) ──► index ──► wanted: images, each with its credential
//!   secrets (GET, one by one) ──────────────► keeper ──┘        └► faults: findings
//! ```
//!
//! - [`settings`]: the part of the cluster that is looked at.
//! - [`watched`]: from an object to its entry in the index; everything else of the object is dropped at once.
//! - [`feed`]: one watch. It survives 410, dropped connections and refusals; its state is in [`lines`].
//! - [`index`]: the entries.
//! - [`keeper`]: the secrets that running workloads name.
//! - [`wanted`] and [`faults`]: what follows from both. Pure.
//! - [`discovery`]: all of it together.

mod discovery;
mod faults;
mod feed;
mod index;
mod keeper;
mod lines;
mod logins;
mod settings;
mod shared;
mod wanted;
mod watched;

pub use discovery::Discovery;
pub use keeper::Waits;
pub use lines::{Line, WatchState};
pub use logins::PullLogin;
pub use settings::{Scope, Settings};
pub use wanted::Wanted;
