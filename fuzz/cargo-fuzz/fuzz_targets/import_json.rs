//! See `ase_fuzz::daemon::import_json`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ase_fuzz::daemon::import_json(bytes));
