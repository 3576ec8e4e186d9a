//! The health of endpoints: the breakers that pause failing ones, and the budget of repeated requests.
//!
//! - `breaker` is the state machine of one endpoint, with the states and limits of `state`; `breakers` holds the
//!   breakers of the process; `guard` is a client's access to one of them.
//! - `scope` decides whether a failure concerns an endpoint or one object; `objects` pauses single objects.
//! - `hosts` pauses the hosts that registries redirect to.
//! - `drills` marks registries that are treated as down on purpose.
//! - `callers` pauses the callers whose own quota is spent; `pauses` is the table that both use.
//! - `retry` is the budget of repeated requests.

pub mod breaker;
pub mod breakers;
pub(crate) mod callers;
pub mod drills;
pub(crate) mod guard;
pub(crate) mod hosts;
pub(crate) mod objects;
mod pauses;
pub(crate) mod retry;
pub(crate) mod scope;
pub mod state;
