//! Rules: each selects requests and gives their fault.

pub(super) mod book;
pub(super) mod gate;
mod presets;
pub(super) mod rule;
pub(super) mod script;

pub use book::FaultId;
pub use gate::Gate;
pub use rule::Rule;
pub use script::At;
