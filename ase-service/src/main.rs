//! The `ase` binary.

fn main() {}
