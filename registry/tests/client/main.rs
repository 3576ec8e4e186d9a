//! The client against a registry that misbehaves on demand: every failure is provoked for real and must be named right.

mod answers;
mod auth;
mod bodies;
mod endpoints;
mod redirects;
mod setup;
mod way;
