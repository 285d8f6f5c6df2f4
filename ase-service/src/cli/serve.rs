//! `ase serve`: the daemon under the signals of its process.
//!
//! SIGTERM and SIGINT stop it without losing what it took; SIGHUP opens the access log again, after a rotation, and reads certificates
//! again.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{DONE, REFUSED, complain, say};
use crate::config::{Overrides, Settings};
use crate::daemon::{Daemon, Stopped};
use crate::log_level;
use crate::management::BLOCKING_THREADS;

/// Longest wait for the access log's queue when it is to be opened again.
const REOPEN_PATIENCE: Duration = Duration::from_secs(1);

pub(super) fn run((config, overrides, level): (Option<PathBuf>, Overrides, tracing::Level)) -> u8 {
    log_level::install(level);
    let settings = match Settings::load(config.as_deref(), &overrides) {
        Ok(settings) => settings,
        Err(error) => {
            for fault in error.to_string().lines() {
                complain(fault);
            }
            return REFUSED;
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .build();
    match runtime {
        Ok(runtime) => {
            let code = runtime.block_on(serve(settings));
            // A writer that the disk blocks must not keep the process.
            runtime.shutdown_background();
            code
        }
        Err(error) => {
            complain(&format!("no threads to serve with: {error}"));
            REFUSED
        }
    }
}

async fn serve(settings: Settings) -> u8 {
    let state_dir = settings.state_dir.clone();
    let mut signals = match Signals::install() {
        Ok(signals) => signals,
        Err(error) => {
            complain(&format!("signals cannot be handled: {error}"));
            return REFUSED;
        }
    };
    let daemon = match Daemon::start(settings).await {
        Ok(daemon) => daemon,
        Err(error) => {
            complain(&error.to_string());
            return REFUSED;
        }
    };
    if let Some(secret) = &daemon.new_secret {
        let folder = state_dir.display();
        complain(&format!(
            "the management secret is {} (shown this once; kept in {folder}/admin.secret)",
            secret.reveal()
        ));
    }
    say(&daemon.ready_line());
    while let Asked::Reopen = signals.next().await {
        // A disk that takes nothing must not keep a stop from being heard.
        let reopened = tokio::time::timeout(REOPEN_PATIENCE, daemon.reopen_log());
        if reopened.await.is_err() {
            tracing::warn!("the access log is busy and was not opened again");
        }
        daemon.reload_certificates().await;
    }
    tracing::info!("stopping");
    match daemon.stop().await {
        Stopped::Whole => {
            tracing::info!("stopped");
            DONE
        }
        Stopped::Cut => REFUSED,
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

enum Asked {
    Stop,
    Reopen,
}

impl Signals {
    fn install() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.hang_up.recv() => Asked::Reopen,
        }
    }
}
