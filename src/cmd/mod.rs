//! The commands, a file or folder a verb; [`mod@dispatch`] picks the file.

mod cache;
mod check;
mod completion;
mod demo;
mod dispatch;
mod load;
mod man;
mod prober;
mod proxy;
mod pulls;
mod serve;

pub(crate) use dispatch::dispatch;
