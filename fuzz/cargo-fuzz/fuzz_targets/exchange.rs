//! See `ase_fuzz::exchange`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ase_fuzz::exchange(bytes));
