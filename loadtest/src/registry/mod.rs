//! The misbehaving registry.
//!
//! [`Registry`] is the handle for content, access, quota, rules, log and outages.
//!
//! ```text
//!   hosts: host ── greeting (TLS or trouble) ── connection (hyper) ──┬── rules: book picks a rule's script
//!                                                                    ├── answers: correct, then changed by the script
//!                                                                    └── by_hand, when no proper HTTP server would send it
//! ```
//!
//! [`message`] holds a request and an answer, `state` is shared by all connections, and `log` records every exchange.

mod answers;
mod handle;
mod hosts;
mod lock;
mod log;
mod message;
mod rules;
mod state;

pub use answers::{Access, Quota, Tokens, TooMany};
pub use handle::Registry;
pub use hosts::{Greeting, Host};
pub use log::{Exchange, Log};
pub use message::{Answer, Kind, Request};
pub use rules::{At, FaultId, Gate, Rule};
