//! A permit is made by the exchange alone.

use ase_filter::exchange::{Permit, PermitReason};

fn main() {
    let _forged = Permit::grant(PermitReason::Verdict);
}
