//! `ase replay`: sends the requests of an access log through a gateway.

use std::path::PathBuf;

use clap::Args;
use thiserror::Error;

/// What to send, where and how fast.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The access log: combined format or Envoy's JSON
    file: PathBuf,
}

/// How a replay ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The gateway answered.
    Sent,
    /// The gateway never answered.
    Unreachable,
}

/// Why nothing was sent.
#[derive(Debug, Error)]
#[error("not built yet")]
pub struct ReplayError;

/// Runs it.
///
/// # Errors
/// Always.
pub fn run(_arguments: &Arguments) -> Result<Outcome, ReplayError> {
    Err(ReplayError)
}
