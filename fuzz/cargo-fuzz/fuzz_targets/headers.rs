//! See `ase_fuzz::headers`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ase_fuzz::headers(bytes));
