//! The second tier: a store that is asked for content after the local disk has missed and before the upstream is asked.
//!
//! - [`second`]: the trait, and [`NoTier`], which holds no content

pub(crate) mod second;

pub use second::{NoTier, Recalled, SecondTier};
