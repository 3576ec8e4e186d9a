//! `pullgate check`: one look, a verdict, and what to do next.

mod config;
mod login;
mod upstream;

pub(crate) use config::config;
pub(crate) use upstream::upstream;
