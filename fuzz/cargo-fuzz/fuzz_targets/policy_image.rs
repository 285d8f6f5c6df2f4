//! See `ase_fuzz::policy_image`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ase_fuzz::policy_image(bytes));
