//! The second tier: where content may come from when it is not on this disk, before the upstream is asked.
//!
//! - [`second`]: the trait, and [`NoTier`], which has nothing

pub(crate) mod second;

pub use second::{NoTier, Recalled, SecondTier};
