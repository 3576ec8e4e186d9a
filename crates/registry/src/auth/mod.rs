//! The identity a request is made with: what a registry asks for, and what we show it.
//!
//! - `challenge` reads what a registry asks for; `token` exchanges and caches bearer tokens for it; `credential`
//!   writes Basic headers and hides secrets; `caller` is a client's own token; `authorize` chooses among them.

pub(crate) mod authorize;
pub mod caller;
pub mod challenge;
pub(crate) mod credential;
pub mod token;
