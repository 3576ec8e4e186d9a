//! The manifest endpoint. [`answer`] decides, [`upstream`] asks the registry, and [`held`] is a manifest in memory.

pub(crate) mod answer;
pub(crate) mod held;
mod upstream;
