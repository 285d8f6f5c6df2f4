//! One connection to the gateway: sends requests one after the other and counts the answers.
//!
//! A request is sent again only when the first try certainly never left, so that none is counted twice behind the gateway.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{HOST, HeaderName, HeaderValue, REFERER, USER_AGENT};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::{Mutex, mpsc};

use super::line::Request;
use super::summary::Summary;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Longest wait for one answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Which host to ask for.
#[derive(Clone, Debug)]
pub(super) enum Host {
    /// This one, whatever the log says.
    Always(String),
    /// This one where the log names none.
    Unlogged(String),
}

pub(super) struct Sender {
    gateway: SocketAddr,
    host: Host,
    connection: Option<SendRequest<Empty<Bytes>>>,
    counted: Summary,
}

impl Sender {
    pub(super) fn new(gateway: SocketAddr, host: Host) -> Self {
        Self {
            gateway,
            host,
            connection: None,
            counted: Summary::default(),
        }
    }

    /// Sends until the queue ends, or until it is clear that there is no gateway.
    pub(super) async fn run(mut self, requests: Arc<Mutex<mpsc::Receiver<Request>>>) -> Summary {
        loop {
            let next = requests.lock().await.recv().await;
            let Some(request) = next else {
                return self.counted;
            };
            match tokio::time::timeout(TIMEOUT, self.send(&request)).await {
                Ok(Ok(status)) => self.counted.status(status),
                Ok(Err(failure)) => {
                    self.connection = None;
                    self.counted.error(failure.to_string());
                    if failure.is_refusal() && self.counted.answered() == 0 {
                        return self.counted;
                    }
                }
                Err(_) => {
                    self.connection = None;
                    self.counted.error("no answer in time".to_owned());
                }
            }
        }
    }

    async fn send(&mut self, request: &Request) -> Result<u16, Failure> {
        let mut connection = match self.connection.take() {
            Some(mut open) => match open.ready().await {
                Ok(()) => open,
                Err(_) => self.connect().await?,
            },
            None => self.connect().await?,
        };
        let response = match connection.send_request(self.http(request)?).await {
            // The gateway closed an idle connection; the request was never written.
            Err(error) if error.is_canceled() => {
                connection = self.connect().await?;
                connection.send_request(self.http(request)?).await?
            }
            other => other?,
        };
        let status = response.status().as_u16();
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            drop(frame?);
        }
        self.connection = Some(connection);
        Ok(status)
    }

    async fn connect(&self) -> Result<SendRequest<Empty<Bytes>>, Failure> {
        let stream = TcpStream::connect(self.gateway)
            .await
            .map_err(Failure::Connect)?;
        stream.set_nodelay(true).map_err(Failure::Connect)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // The sender learns of every error of the connection itself.
        tokio::spawn(async move { drop(connection.await) });
        Ok(sender)
    }

    fn http(&self, request: &Request) -> Result<hyper::Request<Empty<Bytes>>, Failure> {
        let host = match (&self.host, &request.host) {
            (Host::Unlogged(_), Some(logged)) => logged,
            (Host::Always(host) | Host::Unlogged(host), _) => &host.clone().into_bytes(),
        };
        let mut message = hyper::Request::new(Empty::new());
        *message.method_mut() = request.method.clone();
        *message.uri_mut() = request.target.clone();
        let headers = message.headers_mut();
        headers.insert(HOST, header_value(host)?);
        if let Some(client) = request.client {
            headers.insert(
                X_FORWARDED_FOR,
                header_value(client.to_string().as_bytes())?,
            );
        }
        for (name, value) in [
            (USER_AGENT, &request.user_agent),
            (REFERER, &request.referer),
        ] {
            if let Some(value) = value {
                headers.insert(name, header_value(value)?);
            }
        }
        Ok(message)
    }
}

/// Control characters cannot stand in a header; they become blanks.
fn header_value(value: &[u8]) -> Result<HeaderValue, Failure> {
    let sendable = |byte: &u8| if byte.is_ascii_control() { b' ' } else { *byte };
    let value: Vec<u8> = value.iter().map(sendable).collect();
    HeaderValue::from_bytes(&value).map_err(|_| Failure::Header)
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("no connection: {0}")]
    Connect(std::io::Error),
    #[error("{0}")]
    Http(#[from] hyper::Error),
    #[error("a header cannot be sent")]
    Header,
}

impl Failure {
    fn is_refusal(&self) -> bool {
        match self {
            Self::Connect(_) => true,
            Self::Http(_) | Self::Header => false,
        }
    }
}
