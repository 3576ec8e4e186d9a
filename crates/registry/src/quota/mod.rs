//! The quotas of registries: the stated limits, the spent requests, and the decision whether a request may be sent.
//!
//! - `headers` and `retry_after` read the headers of one answer.
//! - `ledger` is the trait of the store of all quotas; `memory` implements it, with one `standing` for each quota.
//! - `admission` asks the ledger before a request is sent; a request that may wait for quota waits there.

pub(crate) mod admission;
pub mod headers;
pub mod ledger;
pub mod memory;
pub(crate) mod retry_after;
mod standing;

pub use headers::Quota;
pub use ledger::Ledger;
pub use memory::MemoryLedger;
