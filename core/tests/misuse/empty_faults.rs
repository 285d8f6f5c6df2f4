//! A refusal without a fault cannot be written.

use ase_core::fault::Faults;

fn main() {
    let _ = Faults::default();
}
