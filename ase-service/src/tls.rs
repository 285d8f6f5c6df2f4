//! TLS of a listener: certificate, key and, where asked for, the authority of client certificates, in PEM files.
//!
//! The files are read again when they change or on demand. A pair that cannot serve is refused with its fault, and the one
//! before it goes on serving. A key never reaches a log.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use thiserror::Error;
use tokio::time::MissedTickBehavior;
use tokio_rustls::TlsAcceptor;

/// Between two looks at the files. A change serves after two of them, so that a replacement is not read half-way.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Where certificate and key are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate and, below it, what leads to its authority.
    pub cert: PathBuf,
    /// The certificate's private key: PKCS#8, PKCS#1 or SEC1.
    pub key: PathBuf,
    /// The authorities whose client certificates are accepted; without it no client certificate is asked for.
    pub client_ca: Option<PathBuf>,
}

/// Why the files cannot serve.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// A file that holds nothing of what it is for.
    #[error("{}: holds no {what} in PEM form", path.display())]
    Nothing {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// A file whose content is refused.
    #[error("{}: {rule}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        rule: String,
    },
}

/// What a reload did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reloaded {
    /// New connections are served by what is in the files.
    Changed,
    /// The files hold what is served already.
    Unchanged,
}

/// Certificate and key of a listener, as last read.
#[derive(Debug)]
pub struct Tls {
    files: TlsFiles,
    /// The application protocols that are offered, the preferred one first.
    protocols: Vec<Vec<u8>>,
    current: ArcSwap<ServerConfig>,
    /// Stands for the content that was last tried, whether it serves or was refused.
    tried: AtomicU64,
}

/// What is in the files.
struct Content {
    cert: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Tls {
    /// Reads the files. `protocols` are offered by ALPN, the preferred one first.
    ///
    /// # Errors
    /// When the files cannot serve.
    pub fn load(files: TlsFiles, protocols: &[&str]) -> Result<Self, TlsError> {
        let protocols: Vec<_> = protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        let content = Content::read(&files)?;
        let config = content.configuration(&files, &protocols)?;
        Ok(Self {
            tried: AtomicU64::new(content.print()),
            current: ArcSwap::from_pointee(config),
            protocols,
            files,
        })
    }

    /// Shakes hands on a new connection, with the certificate of this moment.
    #[must_use]
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.current.load_full())
    }

    /// Reads the files again. Blocks on them.
    ///
    /// # Errors
    /// When the files cannot serve; what served before goes on.
    pub fn reload(&self) -> Result<Reloaded, TlsError> {
        let content = Content::read(&self.files)?;
        let config = content.configuration(&self.files, &self.protocols)?;
        let before = self.tried.swap(content.print(), Ordering::Relaxed);
        self.current.store(Arc::new(config));
        Ok(if before == content.print() {
            Reloaded::Unchanged
        } else {
            Reloaded::Changed
        })
    }

    /// Follows the files for as long as it is polled. `refused` hears of every version that cannot serve, once; `changed` of every
    /// other one, where it may block.
    pub async fn follow(
        self: Arc<Self>,
        refused: impl Fn(&TlsError),
        changed: impl Fn() + Clone + Send + 'static,
    ) {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last_seen = self.tried.load(Ordering::Relaxed);
        loop {
            ticks.tick().await;
            let tls = Arc::clone(&self);
            let seen = tokio::task::spawn_blocking(move || tls.seen()).await;
            let Ok(seen) = seen else { continue };
            let settled = std::mem::replace(&mut last_seen, seen) == seen;
            if !settled || seen == self.tried.load(Ordering::Relaxed) {
                continue;
            }
            let (tls, changed) = (Arc::clone(&self), changed.clone());
            let reload = move || tls.reload().inspect(|_| changed());
            match tokio::task::spawn_blocking(reload).await {
                Ok(Ok(reloaded)) => self.say(reloaded),
                Ok(Err(error)) => {
                    self.tried.store(seen, Ordering::Relaxed);
                    refused(&error);
                }
                Err(error) => tracing::error!(%error, "the reload of a certificate broke off"),
            }
        }
    }

    /// Logs what a reload did.
    pub fn say(&self, reloaded: Reloaded) {
        let cert = self.files.cert.display();
        match reloaded {
            Reloaded::Changed => {
                tracing::info!(%cert, "new connections are served by a new certificate")
            }
            Reloaded::Unchanged => tracing::debug!(%cert, "the certificate is the same"),
        }
    }

    fn seen(&self) -> u64 {
        match Content::read(&self.files) {
            Ok(content) => content.print(),
            Err(error) => {
                let mut hasher = DefaultHasher::new();
                error.to_string().hash(&mut hasher);
                hasher.finish()
            }
        }
    }
}

impl Content {
    fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        Ok(Self {
            cert: read(&files.cert)?,
            key: read(&files.key)?,
            client_ca: files.client_ca.as_deref().map(read).transpose()?,
        })
    }

    /// Equal for equal content within this process.
    fn print(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (&self.cert, &self.key, &self.client_ca).hash(&mut hasher);
        hasher.finish()
    }

    fn configuration(
        &self,
        files: &TlsFiles,
        protocols: &[Vec<u8>],
    ) -> Result<ServerConfig, TlsError> {
        let chain = certificates(&files.cert, &self.cert)?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|_| TlsError::Nothing {
            path: files.key.clone(),
            what: "private key",
        })?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let refused = |path: &Path, error: &dyn std::fmt::Display| TlsError::Refused {
            path: path.to_path_buf(),
            rule: error.to_string(),
        };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| refused(&files.cert, &error))?;
        let verifier = match (&files.client_ca, &self.client_ca) {
            (Some(path), Some(pem)) => {
                let mut roots = RootCertStore::empty();
                for authority in certificates(path, pem)? {
                    roots
                        .add(authority)
                        .map_err(|error| refused(path, &error))?;
                }
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                    .build()
                    .map_err(|error| refused(path, &error))?
            }
            (None, _) | (Some(_), None) => WebPkiClientVerifier::no_client_auth(),
        };
        let verifier: Arc<dyn ClientCertVerifier> = verifier;
        let mut config = builder
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .map_err(|error| refused(&files.key, &error))?;
        config.alpn_protocols = protocols.to_vec();
        Ok(config)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|error| TlsError::Unreadable {
        path: path.to_path_buf(),
        error,
    })
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match read {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) | Err(_) => Err(TlsError::Nothing {
            path: path.to_path_buf(),
            what: "certificate",
        }),
    }
}
