//! See `ase_fuzz::image_overlay`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ase_fuzz::image_overlay(bytes));
