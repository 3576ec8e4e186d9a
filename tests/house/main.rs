//! The shape of the code base, as ARCHITECTURE.md describes it, measured.

mod arrows;
mod circles;
mod rooms;
mod workspace;
