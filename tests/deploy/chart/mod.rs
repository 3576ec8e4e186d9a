//! The Helm chart, as both maintained majors of Helm render it.

mod copies;
mod helm;
mod monitoring;
mod refusals;
mod security;
mod shapes;
