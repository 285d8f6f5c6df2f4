//! One permit lets one request go on.

use ase_filter::exchange::Permit;

fn twice(permit: Permit) -> (Permit, Permit) {
    (permit.clone(), permit)
}

fn main() {}
