//! `pullgate demo`: mirror, prober and a registry that misbehaves on a schedule, in one process on loopback.

mod play;
mod pull;
mod report;
mod scene;
mod stage;

pub(super) use play::run;
