//! See `ase_fuzz::daemon::import_plain`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ase_fuzz::daemon::import_plain(bytes));
