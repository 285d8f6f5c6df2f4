//! See `ase_fuzz::management`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ase_fuzz::management(bytes));
