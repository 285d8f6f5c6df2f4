//! See `ase_fuzz::import_csv`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ase_fuzz::import_csv(bytes));
