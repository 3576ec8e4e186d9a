//! Measures the structure of the code base and compares it with ARCHITECTURE.md.

mod arrows;
mod circles;
mod rooms;
mod workspace;
