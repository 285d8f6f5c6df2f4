//! See `ase_fuzz::redaction`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ase_fuzz::redaction(bytes));
