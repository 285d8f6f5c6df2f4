//! The ASE daemon and its command line.
//!
//! Start at [`daemon`]: it opens the state, loads the API definitions, and binds the data port ([`data_port`], what gateways
//! call) and the management port ([`management`]). Both share one [`ase::Ase`]. Lists change only through [`lists`]; exchanges leave through [`access_log`].
#![forbid(unsafe_code)]

pub mod access_log;
pub mod ase;
pub mod audit;
pub mod background;
pub mod call_headers;
pub mod check;
pub mod cli;
pub mod clock;
pub mod config;
pub mod correlation;
pub mod counters;
pub mod daemon;
pub mod data_port;
pub mod definitions;
pub mod engine_host;
pub mod exchange;
pub mod fingerprint;
pub mod health;
pub mod leniency;
pub mod lifetimes;
pub mod lists;
pub mod log_level;
pub mod management;
pub mod policy_image;
pub mod real_time;
pub mod replay;
pub mod secret;
pub mod state;
pub mod telemetry;
pub mod tls;
pub mod tokens;
pub mod whole_file;
