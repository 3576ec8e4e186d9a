//! Everything that is wrong with references, pull secrets and service accounts, found without a failing pod. Pure.
//!
//! - [`code`]: the closed list of findings; each has a page in `docs/checks/`, written from its row in `pages`.
//! - [`finding`]: a finding with what was seen and a fix that a person can paste.
//! - [`secrets`]: the faults of one secret, and of an image's match with the secrets of its pod.
//! - [`accounts`]: pods whose secrets are not those of their service account.
//! - [`access`]: what could not be looked at, with the rule that would allow it.

mod access;
mod accounts;
mod code;
mod finding;
mod pages;
mod secrets;
mod shell;

pub use access::Refused;
pub use accounts::{Account, account};
pub use code::{Code, Level};
pub use finding::{About, Finding};
pub use pages::page;
pub use secrets::{Lookup, absent, near, poisoned, pull, references, secret};
