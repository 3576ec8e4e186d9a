//! Access of clients to content, by the upstream's `access` setting (design decisions 7, 8 and 19).
//!
//! `public` and `shared` upstreams check no client. With `per-client`, each request needs the upstream's current
//! consent that this caller may read this repository:
//!
//! ```text
//! Authorization ── none ───► anonymous: the upstream is asked without a token         ┐
//!               ── Bearer ─► the caller is the holder of this token                   ├─► lease ── allowed ──► answered
//!               ── Basic ──► 403: a password is never taken                           │     └──── refused ──► 401, 403
//!               ── else ───► 400                                                      ┘
//! ```
//!
//! [`presented`] reads the token, [`subject`] names caller and content, [`verify`] asks the upstream, [`lease`] keeps
//! its verdict for a while, [`challenge`] tells a client where to get a token, and [`gate`] joins them. A [`pass`]
//! proves that a request was admitted. Callers share bytes, but never access: a lease is for one caller and one
//! repository, and content fetched with a caller's token is linked to that repository only.

pub(crate) mod challenge;
pub(crate) mod gate;
pub(crate) mod identity;
mod lease;
pub(crate) mod pass;
mod presented;
mod subject;
mod verify;
