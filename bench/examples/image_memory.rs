//! How large policy images are: bytes an entry by number of entries and by width, for IPv4 clients and for a mix with IPv6 clients and credentials.
//!
//! `cargo run --release -p ase-bench --example image_memory`.
#![expect(clippy::print_stdout, reason = "the person who runs it reads it")]

use std::time::Instant;

use anyhow::Result;
use ase_bench::images::{addresses, built, mixed};
use ase_core::decision::Snapshot;
use ase_core::policy_image::FingerprintBits;

fn main() -> Result<()> {
    println!("| entries | of | bits | bytes | bytes an entry | built in |");
    println!("|---|---|---|---|---|---|");
    for entries in [1_000, 10_000, 100_000, 1_000_000] {
        tell("IPv4", entries, &addresses(entries))?;
        tell("mixed", entries, &mixed(entries))?;
    }
    Ok(())
}

fn tell(name: &str, entries: u32, snapshot: &Snapshot) -> Result<()> {
    for width in [FingerprintBits::Eight, FingerprintBits::Sixteen] {
        let began = Instant::now();
        let bytes = built(snapshot, width)?.len();
        let took = began.elapsed();
        let each = bytes as f64 / f64::from(entries);
        let bits = width.bits();
        println!("| {entries} | {name} | {bits} | {bytes} | {each:.2} | {took:.1?} |");
    }
    Ok(())
}
