//! See `ase_fuzz::daemon::management`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ase_fuzz::daemon::management(bytes));
