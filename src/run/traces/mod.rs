//! Traces: each pull as a trace, exported over OTLP HTTP if the standard `OTEL_` variables name a collector.
//!
//! [`Traces`] takes the record of a pull that ended into a bounded queue. `worker` gathers records, has `spans` draw
//! them, connects those that `fills` knows to have waited for another pull, and exports them through `collector`.
//! `variables` reads the environment. Nothing here delays a pull, and `losses` counts a trace that cannot be exported.

mod collector;
mod fills;
mod handle;
mod losses;
mod spans;
mod variables;
mod worker;

pub(crate) use handle::Traces;
