//! See `ase_fuzz::host`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ase_fuzz::host(bytes));
