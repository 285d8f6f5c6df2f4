//! One HTTP/1.1 exchange with an upstream or a callout's cluster, and how it can fail.
//!
//! Each exchange has its own connection, which ends with it. Must never retry.

use std::net::SocketAddr;

use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// Why there are no reply headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// Nobody listens.
    Refused,
    /// The peer closed before its reply's headers were complete.
    Terminated,
    /// What came is not HTTP/1.1.
    NotHttp,
}

impl Failure {
    /// The status of Envoy's reply in the upstream's place.
    pub(super) fn code(self) -> u16 {
        match self {
            Self::Refused | Self::Terminated => 503,
            Self::NotHttp => 502,
        }
    }

    /// The body of Envoy's reply in the upstream's place.
    pub(super) fn body(self) -> String {
        format!(
            "upstream connect error or disconnect/reset before headers. reset reason: {}",
            self.reason()
        )
    }

    /// `response.code_details` of Envoy's reply in the upstream's place.
    pub(super) fn details(self) -> String {
        format!(
            "upstream_reset_before_response_started{{{}}}",
            self.reason().replace(' ', "_")
        )
    }

    fn reason(self) -> &'static str {
        match self {
            Self::Refused => "remote connection failure",
            Self::Terminated => "connection termination",
            Self::NotHttp => "protocol error",
        }
    }
}

impl From<hyper::Error> for Failure {
    fn from(error: hyper::Error) -> Self {
        if error.is_parse() {
            Self::NotHttp
        } else {
            Self::Terminated
        }
    }
}

/// Drives a connection until it is dropped.
#[derive(Debug)]
pub(super) struct Connection(JoinHandle<()>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Sends a request and waits for the reply's headers. The body arrives as long as the connection is kept.
pub(super) async fn send<B>(
    address: SocketAddr,
    request: Request<B>,
) -> Result<(Response<Incoming>, Connection), Failure>
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let stream = TcpStream::connect(address)
        .await
        .map_err(|_| Failure::Refused)?;
    stream.set_nodelay(true).map_err(|_| Failure::Refused)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = Connection(tokio::spawn(async move {
        // How the connection ends is seen by who waits for the reply.
        connection.with_upgrades().await.ok();
    }));
    let response = sender.send_request(request).await?;
    Ok((response, connection))
}
