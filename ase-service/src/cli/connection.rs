//! The way to the management port of a running daemon: where it is, what is shown there, and what becomes of its answer.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http_body_util::{BodyExt as _, Full};
use hyper::header::{HOST, USER_AGENT};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use serde_json::{Map, Value, json};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{DONE, REFUSED, UNREACHABLE, complain, say, tls};
use crate::config::{DEFAULT_ADMIN_LISTEN, DEFAULT_STATE_DIR};
use crate::daemon::{ADDRESSES_FILE, SECRET_FILE};
use crate::management::tls::CERTIFICATE_FILE;
use crate::management::{ACCESS_KEY, ACCESS_KEY_HEADER, SECRET_KEY_HEADER};

/// Longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Args)]
pub(super) struct Connection {
    /// The management port, such as http://127.0.0.1:8010 [default: where the daemon of the state folder serves]
    #[arg(long, value_name = "URL", env = "ASE_ADMIN_URL")]
    admin: Option<String>,
    #[arg(long, value_name = "DIR", env = "ASE_STATE_DIR", help = format!("The daemon's state folder, with its secret and address [default: {DEFAULT_STATE_DIR}]"))]
    pub(super) state_dir: Option<PathBuf>,
    /// The management secret, in place of the state folder's
    #[arg(
        long,
        env = "ASE_ADMIN_SECRET",
        hide_env_values = true,
        value_name = "SECRET",
        hide = true
    )]
    secret: Option<String>,
    /// The certificate that the management port must show [default: admin.crt in the state folder, with https]
    #[arg(long, value_name = "FILE", env = "ASE_ADMIN_CERT")]
    admin_cert: Option<PathBuf>,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Error)]
pub(super) enum Failure {
    #[error("{0}")]
    Usage(String),
    #[error("no daemon answers at {0}: {1}")]
    Unreachable(String, String),
    #[error("{0}")]
    Refused(String),
}

/// Prints an answer or a refusal; the exit code.
pub(super) fn finish(
    answer: Result<Value, Failure>,
    connection: &Connection,
    show: impl FnOnce(&Value) -> String,
) -> u8 {
    match answer {
        Ok(answer) => {
            let text = if connection.json {
                answer.to_string()
            } else {
                show(&answer)
            };
            if !text.is_empty() {
                say(&text);
            }
            DONE
        }
        Err(failure) => {
            complain(&failure.to_string());
            match failure {
                Failure::Usage(_) => 2,
                Failure::Unreachable(..) => UNREACHABLE,
                Failure::Refused(_) => REFUSED,
            }
        }
    }
}

/// A text of an answer; empty when it has none.
pub(super) fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn put(body: &mut Map<String, Value>, key: &str, value: Option<Value>) {
    if let Some(value) = value {
        body.insert(key.to_owned(), value);
    }
}

pub(super) fn call(
    what: &str,
    method: Method,
    body: Result<Map<String, Value>, Failure>,
    connection: &Connection,
) -> Result<Value, Failure> {
    let body = body?;
    let body = if body.is_empty() {
        String::new()
    } else {
        json!(body).to_string()
    };
    send(what, method, &body, connection)
}

/// Calls `/v1/<what>`.
pub(super) fn send(
    what: &str,
    method: Method,
    body: &str,
    connection: &Connection,
) -> Result<Value, Failure> {
    let (way, request) = prepare(what, method, body, connection)?;
    let address = way.address.clone();
    let unreachable =
        |error: &dyn std::fmt::Display| Failure::Unreachable(address.clone(), error.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| unreachable(&error))?;
    let exchanged =
        runtime.block_on(async { tokio::time::timeout(TIMEOUT, exchange(&way, request)).await });
    let (status, body) = match exchanged {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return Err(unreachable(&error)),
        Err(_) => return Err(unreachable(&"no answer in time")),
    };
    judge(status, &body).map_err(|refusal| {
        refusal.unwrap_or_else(|| {
            unreachable(&format_args!(
                "status {status} without JSON, so it is no ASE"
            ))
        })
    })
}

/// Makes a call with any body and returns what an accepted one is answered, whatever that is.
pub(super) fn fetch(
    what: &str,
    method: Method,
    body: Bytes,
    (connection, patience): (&Connection, Duration),
) -> Result<Bytes, Failure> {
    let (way, request) = prepare(what, method, "", connection)?;
    let request = request.map(|_| Full::new(body));
    let unreachable = |why: String| Failure::Unreachable(way.address.clone(), why);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| unreachable(error.to_string()))?;
    let exchanged =
        runtime.block_on(async { tokio::time::timeout(patience, exchange(&way, request)).await });
    let (status, body) = match exchanged {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return Err(unreachable(error.to_string())),
        Err(_) => return Err(unreachable("no answer in time".to_owned())),
    };
    if (200..300).contains(&status) {
        return Ok(body);
    }
    match judge(status, &body) {
        Err(Some(refusal)) => Err(refusal),
        Ok(_) | Err(None) => Err(unreachable(format!(
            "status {status} without JSON, so it is no ASE"
        ))),
    }
}

/// The answer, or the refusal; `None` when it is no answer of ASE's.
pub(super) fn judge(status: u16, body: &[u8]) -> Result<Value, Option<Failure>> {
    let answer: Value = serde_json::from_slice(body).map_err(|_| None)?;
    if (200..300).contains(&status) {
        return Ok(answer);
    }
    let faults = answer.get("faults").and_then(Value::as_array);
    let faults: Vec<&str> = faults
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    Err(Some(Failure::Refused(faults.join("\n"))))
}

/// Where a call of `/v1/<what>` goes, and the call.
pub(super) fn prepare(
    what: &str,
    method: Method,
    body: &str,
    connection: &Connection,
) -> Result<(Way, Request<Full<Bytes>>), Failure> {
    let folder = connection
        .state_dir
        .clone()
        .unwrap_or_else(|| DEFAULT_STATE_DIR.into());
    let address = address(connection.admin.as_deref(), &folder)?;
    let shown = folder.join(CERTIFICATE_FILE);
    let certificate = connection.admin_cert.clone().or_else(|| {
        let given = connection.admin.as_deref();
        let secure = given.map_or_else(|| shown.exists(), |url| url.starts_with("https://"));
        secure.then_some(shown)
    });
    let tls = certificate.as_deref().map(tls::connector).transpose();
    let tls = tls.map_err(Failure::Refused)?;
    let secret = secret(connection.secret.as_deref(), &folder)?;
    let request = Request::builder()
        .method(method)
        .uri(format!("/v1/{what}"))
        .header(HOST, &address)
        .header(USER_AGENT, concat!("ase-cli/", env!("CARGO_PKG_VERSION")))
        .header(ACCESS_KEY_HEADER, ACCESS_KEY)
        .header(SECRET_KEY_HEADER, secret)
        .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))
        .map_err(|error| {
            Failure::Usage(format!("the secret or the address cannot be sent: {error}"))
        })?;
    Ok((Way { address, tls }, request))
}

/// How the management port is reached.
pub(super) struct Way {
    pub(super) address: String,
    tls: Option<TlsConnector>,
}

/// A connection in the clear or not.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Way {
    pub(super) async fn connect(&self) -> io::Result<TokioIo<Box<dyn Stream>>> {
        let stream = TcpStream::connect(&self.address).await?;
        let stream: Box<dyn Stream> = match &self.tls {
            None => Box::new(stream),
            Some(tls) => {
                // The certificate is compared as a whole, so its names do not count.
                let peer = ServerName::from(stream.peer_addr()?.ip());
                Box::new(tls.connect(peer, stream).await?)
            }
        };
        Ok(TokioIo::new(stream))
    }
}

async fn exchange(
    way: &Way,
    request: Request<Full<Bytes>>,
) -> Result<(u16, Bytes), Box<dyn std::error::Error + Send + Sync>> {
    let io = way.connect().await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await?;
    let answered = async {
        let response = sender.send_request(request).await?;
        let status = response.status().as_u16();
        Ok::<_, hyper::Error>((status, response.into_body().collect().await?.to_bytes()))
    };
    tokio::pin!(answered);
    tokio::select! {
        answer = &mut answered => Ok(answer?),
        ended = connection => {
            ended?;
            Ok(answered.await?)
        }
    }
}

/// `host:port` of the management port.
fn address(admin: Option<&str>, folder: &Path) -> Result<String, Failure> {
    if let Some(url) = admin {
        let rest = url
            .strip_prefix("http://")
            .or_else(|| url.strip_prefix("https://"))
            .unwrap_or(url)
            .trim_end_matches('/');
        if rest.is_empty() || rest.contains('/') {
            return Err(Failure::Usage(format!(
                "--admin: {url:?} is not a URL such as http://{DEFAULT_ADMIN_LISTEN}"
            )));
        }
        return Ok(rest.to_owned());
    }
    let written = std::fs::read(folder.join(ADDRESSES_FILE)).ok();
    let written: Option<Value> = written.and_then(|json| serde_json::from_slice(&json).ok());
    let admin = written
        .as_ref()
        .map(|written| text(written, "admin"))
        .filter(|admin| !admin.is_empty());
    Ok(admin.unwrap_or(DEFAULT_ADMIN_LISTEN).to_owned())
}

fn secret(given: Option<&str>, folder: &Path) -> Result<String, Failure> {
    if let Some(secret) = given {
        return Ok(secret.to_owned());
    }
    let path = folder.join(SECRET_FILE);
    match std::fs::read_to_string(&path) {
        Ok(secret) => Ok(secret.trim().to_owned()),
        Err(error) => Err(Failure::Refused(format!(
            "no management secret: {}: {error}; name the daemon's state folder with --state-dir, or set ASE_ADMIN_SECRET",
            path.display()
        ))),
    }
}

/// A name as one segment of a path, or as a value of a query.
pub(super) fn escaped(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let escape = |byte| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    name.bytes().map(escape).collect()
}
