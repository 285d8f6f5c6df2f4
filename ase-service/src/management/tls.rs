//! TLS of the management port: which certificate serves, and where the command line finds it.
//!
//! The certificate that serves is copied into the state folder, so that the command line accepts that one and no other.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

use crate::config::AdminTls;
use crate::tls::{Tls, TlsError, TlsFiles};
use crate::whole_file::{self, Audience, WriteError};

/// The certificate of the management port, in the state folder; absent when the port speaks plain HTTP.
pub const CERTIFICATE_FILE: &str = "admin.crt";
const OWN_CERTIFICATE: &str = "admin-self-signed.crt";
const OWN_KEY: &str = "admin-self-signed.key";

/// The certificate that serves, and the copy that the command line accepts.
#[derive(Clone, Debug)]
pub struct AdminCertificate {
    /// What serves.
    pub tls: Arc<Tls>,
    source: PathBuf,
    shown: PathBuf,
}

impl AdminCertificate {
    /// Copies the certificate to where the command line finds it. Blocks on the disk.
    pub fn show(&self) {
        if let Err(error) = self.copy() {
            tracing::error!(%error, "the command line does not find the new certificate");
        }
    }

    fn copy(&self) -> Result<(), AdminTlsError> {
        let certificate = std::fs::read(&self.source).map_err(|error| AdminTlsError::File {
            path: self.source.clone(),
            error,
        })?;
        whole_file::write(&self.shown, &certificate, Audience::Owner)?;
        Ok(())
    }
}

/// Why there is no TLS.
#[derive(Debug, Error)]
pub enum AdminTlsError {
    /// The certificate or key cannot serve.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A file of the state folder cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A file cannot be read or removed.
    #[error("{}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// No certificate could be made.
    #[error("no certificate could be made: {0}")]
    Made(#[from] rcgen::Error),
}

/// Opens what is configured. A self-signed certificate is made at the first start that asks for one.
///
/// # Errors
/// When it cannot serve.
pub fn open(
    configured: &AdminTls,
    folder: &Path,
    hosts: &[String],
) -> Result<Option<AdminCertificate>, AdminTlsError> {
    let shown = folder.join(CERTIFICATE_FILE);
    let files = match configured {
        AdminTls::Off => {
            return match std::fs::remove_file(&shown) {
                Ok(()) => Ok(None),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(AdminTlsError::File { path: shown, error }),
            };
        }
        AdminTls::Files(files) => files.clone(),
        AdminTls::SelfSigned => own(folder, hosts)?,
    };
    let serving = AdminCertificate {
        tls: Arc::new(Tls::load(files.clone(), &["http/1.1"])?),
        source: files.cert,
        shown,
    };
    serving.copy()?;
    Ok(Some(serving))
}

fn own(folder: &Path, hosts: &[String]) -> Result<TlsFiles, AdminTlsError> {
    let files = TlsFiles {
        cert: folder.join(OWN_CERTIFICATE),
        key: folder.join(OWN_KEY),
        client_ca: None,
    };
    if !(files.cert.exists() && files.key.exists()) {
        let mut names = vec![
            "localhost".to_owned(),
            "127.0.0.1".to_owned(),
            "::1".to_owned(),
        ];
        names.extend(hosts.iter().cloned());
        let made = rcgen::generate_simple_self_signed(names)?;
        let key = made.signing_key.serialize_pem();
        whole_file::write(&files.key, key.as_bytes(), Audience::Owner)?;
        whole_file::write(&files.cert, made.cert.pem().as_bytes(), Audience::Owner)?;
    }
    Ok(files)
}
