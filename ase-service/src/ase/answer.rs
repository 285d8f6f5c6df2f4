//! The answers of the data port as `docs/wire.md` tables them.

use std::fmt::Display;

use ase_core::transaction::VerdictLabel;
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, SERVER};
use hyper::{Response, StatusCode};

const X_ASE_VERDICT: HeaderName = HeaderName::from_static("x-ase-verdict");

/// How long a gateway should wait before it sends a refused batch again, in seconds.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// What a gateway is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Pass.
    Allowed,
    /// Pass: listed, and blocking is off.
    WouldBlock,
    /// Block.
    Blocked,
    /// The body is absent or malformed; its faults, one a line.
    Malformed(String),
    /// The sideband token is absent or wrong.
    Unauthorized,
    /// No API definition matches the path.
    UnknownApi,
    /// The path is known, but not on this host.
    UnknownHostname,
    /// No room at the moment.
    Overloaded,
    /// The body is over the limit.
    TooLarge,
    /// The call did not come in time.
    TimedOut,
    /// The header section is over a limit.
    HeadersTooLarge,
    /// No such path.
    NotFound,
    /// Not with this method; the methods that there are.
    MethodNotAllowed(&'static str),
    /// A response call was taken.
    Accepted,
    /// ASE serves.
    Alive,
    /// A batch was taken; the JSON report on it.
    Batch(Vec<u8>),
}

impl Answer {
    /// Names every fault.
    pub fn malformed(faults: &[impl Display]) -> Self {
        Self::Malformed(faults.iter().map(|fault| format!("\n{fault}")).collect())
    }

    /// As an HTTP response.
    #[must_use]
    pub fn into_response(self) -> Response<Full<Bytes>> {
        let verdict = self.verdict();
        let other = if let Self::MethodNotAllowed(methods) = &self {
            Some((ALLOW, *methods))
        } else if let Self::Batch(_) = &self {
            Some((CONTENT_TYPE, "application/json"))
        } else {
            None
        };
        let (status, body) = self.status_and_body();
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(SERVER, HeaderValue::from_static("ASE"));
        if let Some(verdict) = verdict {
            headers.insert(X_ASE_VERDICT, HeaderValue::from_static(verdict.as_str()));
            if verdict == VerdictLabel::Overloaded {
                headers.insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
            }
        }
        if let Some((name, value)) = other {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }

    /// What `x-ase-verdict` says, where there is one.
    #[must_use]
    pub fn verdict(&self) -> Option<VerdictLabel> {
        match self {
            Self::Allowed => Some(VerdictLabel::Allowed),
            Self::WouldBlock => Some(VerdictLabel::WouldBlock),
            Self::Blocked => Some(VerdictLabel::Blocked),
            Self::Malformed(_)
            | Self::Unauthorized
            | Self::TooLarge
            | Self::TimedOut
            | Self::HeadersTooLarge
            | Self::NotFound
            | Self::MethodNotAllowed(_) => Some(VerdictLabel::Rejected),
            Self::UnknownApi | Self::UnknownHostname => Some(VerdictLabel::Unregistered),
            Self::Overloaded => Some(VerdictLabel::Overloaded),
            Self::Accepted | Self::Alive | Self::Batch(_) => None,
        }
    }

    fn status_and_body(self) -> (StatusCode, Bytes) {
        let fixed = |status, body: &'static str| (status, Bytes::from_static(body.as_bytes()));
        match self {
            Self::Allowed | Self::WouldBlock | Self::Accepted | Self::Alive => {
                fixed(StatusCode::OK, "OK")
            }
            Self::Blocked => fixed(StatusCode::FORBIDDEN, "Error: Unauthorized"),
            Self::Malformed(faults) => {
                let body = format!("Error: Malformed Request{faults}");
                (StatusCode::BAD_REQUEST, body.into())
            }
            Self::Unauthorized => fixed(StatusCode::UNAUTHORIZED, "Error: Unauthorized ASE-Token"),
            Self::UnknownApi => fixed(StatusCode::SERVICE_UNAVAILABLE, "Error: Unknown API"),
            Self::UnknownHostname => {
                fixed(StatusCode::SERVICE_UNAVAILABLE, "Error: Unknown Hostname")
            }
            Self::Overloaded => fixed(StatusCode::SERVICE_UNAVAILABLE, "Error: Overloaded"),
            Self::TooLarge => fixed(StatusCode::PAYLOAD_TOO_LARGE, "Error: Body Too Large"),
            Self::TimedOut => fixed(StatusCode::REQUEST_TIMEOUT, "Error: Request Timeout"),
            Self::HeadersTooLarge => fixed(
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "Error: Headers Too Large",
            ),
            Self::NotFound => fixed(StatusCode::NOT_FOUND, "Error: Not Found"),
            Self::MethodNotAllowed(_) => {
                fixed(StatusCode::METHOD_NOT_ALLOWED, "Error: Method Not Allowed")
            }
            Self::Batch(report) => (StatusCode::OK, report.into()),
        }
    }
}
