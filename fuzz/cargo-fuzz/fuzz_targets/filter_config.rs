//! See `ase_fuzz::filter_config`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ase_fuzz::filter_config(bytes));
