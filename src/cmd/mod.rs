//! The commands, one file or folder each; [`mod@dispatch`] chooses it.

mod cache;
mod check;
mod completion;
mod coverage;
mod demo;
pub(crate) mod diagnose;
mod dispatch;
mod drill;
mod findings;
mod incidents;
mod instance;
mod load;
mod man;
mod mirror;
mod node;
mod output;
mod prober;
mod proxy;
mod pulls;
mod serve;
mod top;

pub(crate) use dispatch::dispatch;
