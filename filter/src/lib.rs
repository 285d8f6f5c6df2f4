//! The gateway policy: a proxy-wasm filter that asks ASE about each request and reports each exchange.
//!
//! Start at [`exchange`]: one HTTP exchange as a pure state machine. [`config`], [`breaker`], [`outbox`] and [`head`] are pure as well and are tested
//! natively. Only `hooks`, `host` and `plugin`, which exist for wasm32 alone, know the host ABI. Nothing here may panic: a panic takes a whole
//! gateway worker down, and every request that waits on it.

pub mod breaker;
pub mod capability;
pub mod clock;
pub mod config;
pub mod counters;
pub mod dialect;
pub mod exchange;
pub mod form;
pub mod head;
pub mod host_profile;
pub mod kept;
pub mod local;
pub mod notice;
pub mod numbered;
pub mod outbox;
pub mod pairs;
pub mod site;
pub mod token_request;
pub mod unwritten;

#[cfg(target_arch = "wasm32")]
mod hooks;
#[cfg(target_arch = "wasm32")]
mod host;
#[cfg(target_arch = "wasm32")]
mod plugin;
