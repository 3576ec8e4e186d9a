//! The `pullgate` executable.
fn main() {}
