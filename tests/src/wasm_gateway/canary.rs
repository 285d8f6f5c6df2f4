//! What a VM is made from, and the throw-away VM that tries a configuration first, as Envoy does.
//!
//! A canary shares log, metrics and shared data with the working VM; what it started (callouts, ticks) vanishes with it. Must never serve.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use wasmtime::Module;

use super::StartError;
use super::filter_chain::{Chain, Configured, HeadersPause};
use super::guest::Guest;
use super::host::{Host, Settings};
use super::stream::ContextId;
use super::telemetry::Telemetry;

/// What a VM is made of, and its canaries.
pub(super) struct Parts {
    pub(super) module: Module,
    pub(super) settings: Arc<Settings>,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) headers_pause: HeadersPause,
    pub(super) contexts: Arc<AtomicU32>,
    pub(super) trapped: Arc<AtomicBool>,
    /// The size of the working VM's memory.
    pub(super) memory_bytes: Arc<AtomicUsize>,
    /// How many instructions the heaviest hook of the working VM took.
    pub(super) heaviest_hook: Arc<AtomicU64>,
}

impl Parts {
    pub(super) fn next_context(&self) -> ContextId {
        ContextId(self.contexts.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) fn instantiate(&self) -> Result<Chain, StartError> {
        let host = Host::new(Arc::clone(&self.settings), Arc::clone(&self.telemetry));
        let guest =
            Guest::new(&self.module, host).map_err(|source| StartError::Instance { source })?;
        Ok(Chain {
            guest,
            headers_pause: self.headers_pause,
        })
    }

    /// Tries a configuration in a VM that is thrown away, with all that it started.
    pub(super) fn canary(&self, configuration: &str) -> Result<(), StartError> {
        let mark = self.telemetry.mark();
        let outcome = self.instantiate()?.add_root(ContextId(1), configuration);
        let log = self.telemetry.since(mark);
        match outcome {
            Ok(Configured::Accepted) => Ok(()),
            Ok(Configured::Refused) => Err(StartError::ConfigurationRefused { log }),
            Err(_) => Err(StartError::Trapped { log }),
        }
    }
}
