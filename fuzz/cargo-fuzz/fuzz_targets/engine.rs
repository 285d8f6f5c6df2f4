//! See `ase_fuzz::engine`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ase_fuzz::engine(bytes));
