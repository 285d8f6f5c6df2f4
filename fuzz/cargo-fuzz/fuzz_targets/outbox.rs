//! See `ase_fuzz::outbox`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ase_fuzz::outbox(bytes));
