//! The status page, without scripts, with a dark mode, for small screens and screen readers too.
//!
//! [`home`] is the page of the whole instance, [`pull`] the page of one pull, [`incidents::one`] the page of one incident. `past` reads the record file for the home page;
//! `shell` is the frame of every page. The other files are sections: `registries` (with `state` and `strip`), `probes`,
//! `pulls`, `incidents`, `savings`, `mirror`, `waterfall`.

pub(super) mod home;
pub(super) mod incidents;
mod mirror;
pub(super) mod past;
mod probes;
pub(super) mod pull;
mod pulls;
mod registries;
mod savings;
mod shell;
mod state;
mod strip;
mod style;
mod waterfall;
