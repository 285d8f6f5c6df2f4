//! Faults come out of a collector only: made-up ones cannot be written.

use ase_core::fault::{Fault, Faults};

fn forged(fault: Fault) -> Faults {
    Faults {
        first: fault,
        rest: Vec::new(),
    }
}

fn main() {
    let _ = forged(Fault {
        path: String::new(),
        rule: String::new(),
    });
}
