//! The commands, one file each; [`mod@dispatch`] chooses the file.

mod cache;
mod check;
mod completion;
mod demo;
mod dispatch;
mod load;
mod man;
mod prober;
mod proxy;
mod serve;
mod top;

pub(crate) use dispatch::dispatch;
