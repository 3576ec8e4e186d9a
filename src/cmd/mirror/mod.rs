//! The mirror as nodes see it: what their configuration says of it, whether it answers, which registries it serves, and
//! its content.

pub(super) mod client;
pub(super) mod image;
pub(super) mod serves;
pub(super) mod setup;
