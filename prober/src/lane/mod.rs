//! The lanes: the probes of each registry, one after another.
//!
//! - [`probing`]: one lane, and what it shares with the others. [`all`]: all lanes.
//! - [`slot`]: one target of a lane, with its schedule and its last verdict.
//! - [`assigned`]: the targets that change at run time. [`gate`] limits how often they are probed.

pub(crate) mod all;
pub(crate) mod assigned;
pub(crate) mod gate;
pub(crate) mod probing;
pub(crate) mod slot;
