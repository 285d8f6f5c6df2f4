//! The settings of the data port's listeners and of what a connection may cost.
//!
//! Files that TLS needs are named here and read by whoever serves, so that settings stay free of what is in them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ase_core::fault::Fields;

use crate::tls::TlsFiles;

/// Listeners of the data port beside the plain one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transport {
    /// A listener with TLS.
    pub tls: Option<TlsListen>,
    /// A Unix socket.
    pub unix: Option<UnixListen>,
}

/// A listener with TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsListen {
    /// Where gateways call.
    pub listen: SocketAddr,
    /// Certificate, key and authority.
    pub files: TlsFiles,
}

/// A Unix socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnixListen {
    /// Its name.
    pub path: PathBuf,
    /// Who may connect, as the permission bits of the file.
    pub mode: u32,
}

/// What the connections of the data port may cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportLimits {
    /// Most connections that are open at a time, over all listeners.
    pub connections: usize,
    /// Most calls that are under way at a time.
    pub in_flight: usize,
    /// Most header lines of a call.
    pub headers: usize,
    /// Longest header section of a call, in bytes.
    pub header_bytes: usize,
    /// Longest wait for the rest of a header section, and for a TLS handshake.
    pub header_timeout: Duration,
    /// Longest wait for a whole body.
    pub body_timeout: Duration,
    /// How long a connection may stay open without a call.
    pub idle_timeout: Duration,
    /// Most calls at a time on one HTTP/2 connection.
    pub h2_streams: u32,
}

impl Default for TransportLimits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            in_flight: 4096,
            headers: 100,
            header_bytes: 65_536,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(120),
            h2_streams: 256,
        }
    }
}

impl Transport {
    /// Reads `data_tls`, `data_unix` and `data_unix_mode`.
    pub(super) fn read(fields: &mut Fields<'_, '_>, folder: &Path) -> Self {
        let tls = fields.item("data_tls").and_then(|mut item| {
            let mut tls = item.fields();
            let listen = tls.required_custom("listen", |text| {
                text.parse::<SocketAddr>().map_err(|_| {
                    format!("{text:?} is not an address and port, such as 127.0.0.1:8443")
                })
            });
            let cert = tls.required_text("cert");
            let key = tls.required_text("key");
            let client_ca = tls.text("client_ca");
            tls.finish();
            Some(TlsListen {
                listen: listen?,
                files: TlsFiles {
                    cert: folder.join(cert?),
                    key: folder.join(key?),
                    client_ca: client_ca.map(|file| folder.join(file)),
                },
            })
        });
        let path = fields.text("data_unix");
        let mode = fields.custom("data_unix_mode", permission_bits);
        if path.is_none() {
            fields.refuse("data_unix_mode", "has no meaning without data_unix");
        }
        let unix = path.map(|path| UnixListen {
            path: folder.join(path),
            mode: mode.unwrap_or(0o660),
        });
        Self { tls, unix }
    }
}

impl TransportLimits {
    /// Reads its keys of `limits`.
    pub(super) fn read(limits: &mut Fields<'_, '_>) -> Self {
        let default = Self::default();
        let mut count = |key: &str, low: u64, high: u64, default: usize| {
            let default_wide = u64::try_from(default).unwrap_or(u64::MAX);
            usize::try_from(limits.integer(key, low..=high, default_wide)).unwrap_or(default)
        };
        let connections = count("connections", 1, 1_000_000, default.connections);
        let in_flight = count("in_flight", 1, 1_000_000, default.in_flight);
        let headers = count("headers", 8, 10_000, default.headers);
        let header_bytes = count("header_bytes", 8192, 1 << 20, default.header_bytes);
        let mut seconds = |key: &str, default: Duration| {
            Duration::from_secs(limits.integer(key, 1..=3600_u64, default.as_secs()))
        };
        let header_timeout = seconds("header_timeout_s", default.header_timeout);
        let body_timeout = seconds("body_timeout_s", default.body_timeout);
        let idle_timeout = seconds("idle_timeout_s", default.idle_timeout);
        Self {
            connections,
            in_flight,
            headers,
            header_bytes,
            header_timeout,
            body_timeout,
            idle_timeout,
            h2_streams: limits.integer("h2_streams", 1..=10_000_u32, default.h2_streams),
        }
    }
}

fn permission_bits(text: &str) -> Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(bits) if bits <= 0o777 && text.len() <= 4 => Ok(bits),
        Ok(_) | Err(_) => Err(format!(
            "{text:?} is not a file mode: use octal digits, such as \"0660\""
        )),
    }
}
