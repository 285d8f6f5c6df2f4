//! The listeners of the data port: opened before anything is served, followed while it is.
//!
//! All are open or none is served.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::start_error::{StartError, of_file};
use super::{listen, local};
use crate::config::Settings;
use crate::counters::{Counter, Counters, PortEvent};
use crate::data_port::{self, Listener, PROTOCOLS, Port};
use crate::tls::{Tls, TlsError};

/// Where the data port is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataAddresses {
    /// Plain HTTP.
    pub plain: SocketAddr,
    /// HTTP over TLS.
    pub tls: Option<SocketAddr>,
    /// The Unix socket.
    pub unix: Option<PathBuf>,
}

/// Open listeners.
pub(super) struct Listeners {
    pub(super) addresses: DataAddresses,
    pub(super) tls: Option<Arc<Tls>>,
    listeners: Vec<Listener>,
}

impl DataAddresses {
    pub(super) fn write(&self, into: &mut Map<String, Value>) {
        into.insert("data".to_owned(), self.plain.to_string().into());
        if let Some(tls) = self.tls {
            into.insert("data_tls".to_owned(), tls.to_string().into());
        }
        if let Some(unix) = &self.unix {
            into.insert("data_unix".to_owned(), unix.to_string_lossy().into());
        }
    }
}

impl Listeners {
    pub(super) async fn open(settings: &Settings) -> Result<Self, StartError> {
        const FLAG: &str = "--data-listen";
        let plain = listen(FLAG, settings.data_listen).await?;
        let mut addresses = DataAddresses {
            plain: local(FLAG, &plain)?,
            tls: None,
            unix: None,
        };
        let mut listeners = vec![Listener::plain(plain)];
        let mut tls = None;
        if let Some(configured) = &settings.transport.tls {
            const KEY: &str = "data_tls.listen";
            let loaded = Arc::new(Tls::load(configured.files.clone(), &PROTOCOLS)?);
            let listener = listen(KEY, configured.listen).await?;
            addresses.tls = Some(local(KEY, &listener)?);
            listeners.push(Listener::tls(listener, Arc::clone(&loaded)));
            tls = Some(loaded);
        }
        if let Some(configured) = &settings.transport.unix {
            let listener =
                Listener::unix(configured).map_err(|error| of_file(&configured.path, error))?;
            addresses.unix = Some(configured.path.clone());
            listeners.push(listener);
        }
        Ok(Self {
            addresses,
            tls,
            listeners,
        })
    }

    /// Serves on all of them until `stop` changes, and ends when all have.
    pub(super) async fn serve(self, port: Arc<Port>, drain: Duration, stop: watch::Receiver<bool>) {
        let serve = |listener| data_port::serve(listener, Arc::clone(&port), drain, stop.clone());
        let serving: Vec<JoinHandle<()>> = self
            .listeners
            .into_iter()
            .map(|listener| tokio::spawn(serve(listener)))
            .collect();
        for listener in serving {
            if let Err(error) = listener.await {
                tracing::error!(%error, "a listener of the data port broke off");
            }
        }
    }
}

/// Follows the files of a certificate, where there is one. `changed` is called, off the request path, when another one serves.
pub(super) async fn follow(
    tls: Option<Arc<Tls>>,
    counters: Arc<Counters>,
    changed: impl Fn() + Clone + Send + 'static,
) {
    if let Some(tls) = tls {
        tls.follow(|error| refused(error, &counters), changed).await;
    }
}

/// Reads the files of a certificate again. `changed` is called as by [`follow`].
pub(super) async fn reload(
    tls: &Arc<Tls>,
    counters: &Counters,
    changed: impl FnOnce() + Send + 'static,
) {
    let reloading = Arc::clone(tls);
    let reload = move || reloading.reload().inspect(|_| changed());
    match tokio::task::spawn_blocking(reload).await {
        Ok(Ok(reloaded)) => tls.say(reloaded),
        Ok(Err(error)) => refused(&error, counters),
        Err(error) => tracing::error!(%error, "the reload of a certificate broke off"),
    }
}

fn refused(error: &TlsError, counters: &Counters) {
    counters.count(Counter::DataPort(PortEvent::CertificateRefused));
    tracing::error!(%error, "a certificate cannot serve, the one before it goes on");
}
