//! The quotas of registries: the stated limits, the spent requests, and the decision which request may go out.
//!
//! - `headers` and `retry_after` read one answer.
//! - `ledger` is the trait that remembers them all; `memory` implements it, with one `standing` for each quota.
//! - `admission` asks the ledger before a request, and waits where waiting is the policy.

pub(crate) mod admission;
pub mod headers;
pub mod ledger;
pub mod memory;
pub(crate) mod retry_after;
mod standing;

pub use headers::Quota;
pub use ledger::Ledger;
pub use memory::MemoryLedger;
