//! The answers of the data port as `docs/wire.md` tables them.

use std::fmt::Display;

use ase_core::transaction::VerdictLabel;
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    ALLOW, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderName, HeaderValue, RETRY_AFTER,
    SERVER,
};
use hyper::{Response, StatusCode};

const X_ASE_VERDICT: HeaderName = HeaderName::from_static("x-ase-verdict");

/// How long a gateway should wait before it sends a refused batch again, in seconds.
const RETRY_AFTER_SECONDS: &str = "1";

/// What nearly every answer begins with, up to its date.
const ALLOWED: &[u8] =
    b"HTTP/1.1 200 OK\r\nserver: ASE\r\nx-ase-verdict: allowed\r\ncontent-length: 2\r\ndate: ";

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
    /// A whole policy image.
    Image(Bytes),
    /// What was listed since the gateway's policy image.
    ImageOverlay(Vec<u8>),
    /// The gateway's policy image is up to date.
    ImageUnchanged,
    /// What was listed since the gateway's policy image; ASE has replaced it, and has no other one yet.
    ImageReplaced(Vec<u8>),
    /// There is no policy image yet.
    ImageNotReady,
}

/// What becomes of a connection after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// More calls may come.
    Stay,
    /// It is closed.
    Close,
}

impl Answer {
    /// Names every fault.
    pub fn malformed(faults: &[impl Display]) -> Self {
        Self::Malformed(faults.iter().map(|fault| format!("\n{fault}")).collect())
    }

    /// As an HTTP response.
    #[must_use]
    pub fn into_response(self) -> Response<Full<Bytes>> {
        let (status, own) = (self.status(), self.headers());
        let mut response = Response::new(Full::new(self.into_body()));
        *response.status_mut() = status;
        for (name, value) in own.into_iter().flatten() {
            response
                .headers_mut()
                .insert(name, HeaderValue::from_static(value));
        }
        response
    }

    /// Appends the HTTP/1.1 message that hyper makes of [`Self::into_response`] with this status. `date` is the value of that header.
    pub fn write(self, status: StatusCode, after: After, date: &[u8], out: &mut Vec<u8>) {
        if let (Self::Allowed, After::Stay) = (&self, after) {
            out.extend_from_slice(ALLOWED);
            out.extend_from_slice(date);
            out.extend_from_slice(b"\r\n\r\nOK");
            return;
        }
        out.extend_from_slice(b"HTTP/1.1 ");
        out.extend_from_slice(status.as_str().as_bytes());
        out.push(b' ');
        out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
        let mut line = |name: &HeaderName, value: &[u8]| {
            out.extend_from_slice(b"\r\n");
            out.extend_from_slice(name.as_str().as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value);
        };
        for (name, value) in self.headers().iter().flatten() {
            line(name, value.as_bytes());
        }
        if after == After::Close {
            line(&CONNECTION, b"close");
        }
        let body = self.into_body();
        line(&CONTENT_LENGTH, body.len().to_string().as_bytes());
        line(&DATE, date);
        out.extend_from_slice(b"\r\n\r\n");
        out.extend_from_slice(&body);
    }

    /// The headers of ASE's own, in their order.
    fn headers(&self) -> [Option<(HeaderName, &'static str)>; 4] {
        let verdict = self.verdict();
        let overloaded = verdict == Some(VerdictLabel::Overloaded);
        let other = if let Self::MethodNotAllowed(methods) = self {
            Some((ALLOW, *methods))
        } else if let Self::Batch(_) = self {
            Some((CONTENT_TYPE, "application/json"))
        } else if let Self::Image(_) = self {
            Some((CONTENT_TYPE, "application/vnd.ase.image"))
        } else if let Self::ImageOverlay(_) | Self::ImageReplaced(_) = self {
            Some((CONTENT_TYPE, "application/vnd.ase.image-overlay"))
        } else {
            None
        };
        [
            Some((SERVER, "ASE")),
            verdict.map(|verdict| (X_ASE_VERDICT, verdict.as_str())),
            overloaded.then_some((RETRY_AFTER, RETRY_AFTER_SECONDS)),
            other,
        ]
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
            Self::Overloaded | Self::ImageNotReady => Some(VerdictLabel::Overloaded),
            Self::Accepted
            | Self::Alive
            | Self::Batch(_)
            | Self::Image(_)
            | Self::ImageOverlay(_)
            | Self::ImageUnchanged
            | Self::ImageReplaced(_) => None,
        }
    }

    /// The status that `docs/wire.md` tables.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Allowed
            | Self::WouldBlock
            | Self::Accepted
            | Self::Alive
            | Self::Batch(_)
            | Self::Image(_)
            | Self::ImageOverlay(_) => StatusCode::OK,
            Self::ImageUnchanged => StatusCode::NO_CONTENT,
            Self::Blocked => StatusCode::FORBIDDEN,
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::UnknownApi
            | Self::UnknownHostname
            | Self::Overloaded
            | Self::ImageReplaced(_)
            | Self::ImageNotReady => StatusCode::SERVICE_UNAVAILABLE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TimedOut => StatusCode::REQUEST_TIMEOUT,
            Self::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
        }
    }

    fn into_body(self) -> Bytes {
        let fixed = |body: &'static str| Bytes::from_static(body.as_bytes());
        match self {
            Self::Allowed | Self::WouldBlock | Self::Accepted | Self::Alive => fixed("OK"),
            Self::Blocked => fixed("Error: Unauthorized"),
            Self::Malformed(faults) => format!("Error: Malformed Request{faults}").into(),
            Self::Unauthorized => fixed("Error: Unauthorized ASE-Token"),
            Self::UnknownApi => fixed("Error: Unknown API"),
            Self::UnknownHostname => fixed("Error: Unknown Hostname"),
            Self::Overloaded => fixed("Error: Overloaded"),
            Self::TooLarge => fixed("Error: Body Too Large"),
            Self::TimedOut => fixed("Error: Request Timeout"),
            Self::HeadersTooLarge => fixed("Error: Headers Too Large"),
            Self::NotFound => fixed("Error: Not Found"),
            Self::MethodNotAllowed(_) => fixed("Error: Method Not Allowed"),
            Self::ImageUnchanged => fixed(""),
            Self::ImageNotReady => fixed("Error: Policy Image Not Ready"),
            Self::Image(content) => content,
            Self::Batch(content) | Self::ImageOverlay(content) | Self::ImageReplaced(content) => {
                content.into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_listed_since_a_replaced_image_comes_with_a_status_that_confirms_nothing() {
        let response = Answer::ImageReplaced(b"overlay".to_vec()).into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        let header = |name: HeaderName| response.headers().get(name).map(HeaderValue::as_bytes);
        let overlay = &b"application/vnd.ase.image-overlay"[..];
        assert_eq!(header(CONTENT_TYPE), Some(overlay));
        assert_eq!((header(RETRY_AFTER), header(X_ASE_VERDICT)), (None, None));
    }
}
