//! The second tier: a store that is asked for content that the local disk does not have, before the upstream is asked.
//!
//! - [`second`]: the trait, and [`NoTier`], which holds no content

pub(crate) mod second;

pub use second::{NoTier, Recalled, SecondTier};
