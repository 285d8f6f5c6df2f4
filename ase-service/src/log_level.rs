//! The operational log of the process and its level, which can be changed while ASE runs.
//!
//! One per process, as the log itself is; a daemon inside another program, as in tests, has none to change.

use std::io;
use std::sync::OnceLock;

use thiserror::Error;
use tracing::Level;
use tracing_subscriber::Registry;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt as _;

static HANDLE: OnceLock<Handle<LevelFilter, Registry>> = OnceLock::new();

/// A level that was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the operational log of this process is not ASE's to change")]
pub struct NotOurs;

/// Lets the process log to standard error from `level` on. Only the first call counts.
pub fn install(level: Level) {
    let (filter, handle) = reload::Layer::new(LevelFilter::from_level(level));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(false)
        .with_target(false);
    let log = tracing_subscriber::registry().with(filter).with(lines);
    if log.try_init().is_ok() && HANDLE.set(handle).is_err() {
        tracing::warn!("the level of the operational log cannot be changed");
    }
}

/// The level in force.
#[must_use]
pub fn current() -> Option<Level> {
    let level = HANDLE.get()?.clone_current()?;
    level.into_level()
}

/// Changes the level from the next line on.
///
/// # Errors
/// When [`install`] was not called in this process.
pub fn set(level: Level) -> Result<(), NotOurs> {
    let handle = HANDLE.get().ok_or(NotOurs)?;
    handle
        .reload(LevelFilter::from_level(level))
        .map_err(|_| NotOurs)
}
