//! `/api/v1`: pulls, incidents, the history of registries, and savings, as JSON; read-only.
//!
//! [`answer`] routes a request, [`question`] reads its parameters, [`documents`] are the answers, and [`openapi`] describes
//! them.

mod answer;
mod documents;
mod openapi;
mod question;

pub(super) use answer::{Api, ApiAnswer};
