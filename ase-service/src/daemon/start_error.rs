//! Why a daemon does not start: which part, which file or which address, with what its owner says.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::audit::AuditError;
use crate::definitions::FolderError;
use crate::lists::ListFileError;
use crate::management::tls::AdminTlsError;
use crate::state::StateError;
use crate::tls::TlsError;

/// Why the daemon does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The state.
    #[error(transparent)]
    State(#[from] StateError),
    /// The data port would be open to a network.
    #[error("{0}")]
    Unguarded(String),
    /// The folder of API definitions.
    #[error(transparent)]
    Definitions(#[from] FolderError),
    /// A list file.
    #[error(transparent)]
    ListFile(#[from] ListFileError),
    /// The audit log.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// TLS of the management port.
    #[error("admin_tls: {0}")]
    AdminTls(#[from] AdminTlsError),
    /// A file that must be written.
    #[error("{}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// A thread that the system does not give.
    #[error("no thread for lists, engine or policy images: {0}")]
    Thread(io::Error),
    /// Certificate and key.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A port that cannot be listened on.
    #[error("{flag} {address}: {error}")]
    Listen {
        /// The flag that changes it.
        flag: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system says.
        error: io::Error,
    },
}

/// The fault of a file that must be there or be written.
pub(super) fn of_file(path: &Path, error: io::Error) -> StartError {
    StartError::File {
        path: path.to_path_buf(),
        error,
    }
}
