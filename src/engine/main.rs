//! The `annals-engine` program.

fn main() {}
