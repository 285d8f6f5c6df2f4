//! The harness: scenarios as data, gateways that run them, a scripted ASE and an upstream.
//!
//! Start at `scenario.rs` (what a scenario says) and `run.rs` (what is done with it). Traffic stays on loopback.
#![forbid(unsafe_code)]

pub mod envoy_gateway;
pub mod expectation;
pub mod forgetful;
pub mod gateway;
pub mod http1;
pub mod load;
pub mod matrix;
pub mod raw_client;
pub mod real_ase;
pub mod run;
pub mod scenario;
pub mod scripted_ase;
pub mod scripted_image;
pub mod server;
pub mod trapping_module;
pub mod upstream;
pub mod wait;
pub mod wasm_gateway;
