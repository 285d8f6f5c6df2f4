//! A permit is not made out of its field.

use ase_filter::exchange::{Permit, PermitReason};

fn main() {
    let _forged = Permit { reason: PermitReason::Verdict };
}
