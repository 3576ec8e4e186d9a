//! Questions to a mirror, as a node asks them: whether it answers, which registries it serves, and its content.

pub(super) mod client;
pub(super) mod image;
pub(super) mod serves;
