//! The health of endpoints: when one is left alone, and how often a request is repeated.
//!
//! - `breaker` is the state machine of one endpoint, with the states and limits of `state`; `breakers` holds those
//!   of the process; `guard` is one of them as a client uses it.
//! - `scope` decides which part of a registry a failure speaks of; `objects` holds back single objects.
//! - `hosts` pauses the hosts that registries redirect to.
//! - `callers` pauses the callers whose own quota is spent; `pauses` is the table of both.
//! - `retry` is the budget of repeated requests.

pub mod breaker;
pub mod breakers;
pub(crate) mod callers;
pub(crate) mod guard;
pub(crate) mod hosts;
pub(crate) mod objects;
mod pauses;
pub(crate) mod retry;
pub(crate) mod scope;
pub mod state;
