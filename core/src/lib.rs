//! The pure heart of ASE: client identifiers and their extraction, the sideband contract, the API registry,
//! the attack list, the decision and the transaction record.
//!
//! Used by the gateway filter (wasm32) and by the daemon (native), which never depend on each other.
//! Nothing here does IO, reads a clock, draws randomness or starts a thread; `clippy.toml` beside this crate holds that.
#![forbid(unsafe_code)]

pub mod address;
pub mod api_id;
pub mod credential;
pub mod decision;
pub mod fault;
pub mod headers;
pub mod host;
pub mod identifier_list;
pub mod identity;
pub mod json;
pub mod jwt;
pub mod metadata;
pub mod path;
pub mod policy_image;
pub mod redaction;
pub mod registry;
pub mod text;
pub mod time;
pub mod transaction;
pub mod wire;
