//! Replies that the gateway makes itself, for the guest or for its own reasons, in the form that each kind of client understands.
//!
//! The rules are Envoy's: a gRPC client gets HTTP 200 and a `grpc-status`, HEAD gets no body. Must never look at anything but the request
//! headers and the reply.

use hyper::body::Bytes;

use super::host::LocalReply;
use super::pairs::Pairs;
use super::stream::{Direction, End};

/// A reply ready to be sent.
pub(super) struct Message {
    pub(super) head: Pairs,
    pub(super) head_end: End,
    /// Empty if `head_end` is `Last`.
    pub(super) body: Bytes,
}

/// A reply of the host's own.
pub(super) fn host_made(code: u16, body: &str, details: &str) -> LocalReply {
    LocalReply {
        code,
        details: details.to_owned(),
        headers: Pairs::default(),
        body: body.as_bytes().to_vec(),
        grpc_status: None,
    }
}

/// The reply when a held body outgrows the buffer.
pub(super) fn over_limit(direction: Direction) -> LocalReply {
    match direction {
        Direction::Request => host_made(413, "Payload Too Large", "request_payload_too_large"),
        Direction::Response => {
            host_made(500, "Internal Server Error", "response_payload_too_large")
        }
    }
}

/// Puts a reply into the form that the client understands.
pub(super) fn message(request: &Pairs, reply: &LocalReply) -> Message {
    if is_grpc(request) {
        grpc(request, reply)
    } else {
        plain(request, reply)
    }
}

fn plain(request: &Pairs, reply: &LocalReply) -> Message {
    let mut head = status(reply.code, &reply.headers);
    if !reply.body.is_empty() {
        head.set(b"content-length", reply.body.len().to_string().as_bytes());
        if head.get(b"content-type").is_none() {
            head.add(b"content-type", b"text/plain");
        }
    }
    let silent = reply.body.is_empty() || request.get(b":method") == Some(b"HEAD");
    Message {
        head,
        head_end: if silent { End::Last } else { End::More },
        body: if silent {
            Bytes::new()
        } else {
            Bytes::copy_from_slice(&reply.body)
        },
    }
}

fn grpc(request: &Pairs, reply: &LocalReply) -> Message {
    let mut head = status(200, &reply.headers);
    head.set(b"content-type", b"application/grpc");
    let grpc_status = reply.grpc_status.unwrap_or_else(|| grpc_status(reply.code));
    head.set(b"grpc-status", grpc_status.to_string().as_bytes());
    if !reply.body.is_empty() && request.get(b":method") != Some(b"HEAD") {
        head.set(b"grpc-message", percent_encoded(&reply.body).as_bytes());
    }
    Message {
        head,
        head_end: End::Last,
        body: Bytes::new(),
    }
}

fn status(code: u16, headers: &Pairs) -> Pairs {
    let mut head: Pairs = [(":status", code.to_string())].into_iter().collect();
    for (name, value) in headers.iter().filter(|(name, _)| !name.starts_with(b":")) {
        head.add(name, value);
    }
    head
}

fn is_grpc(request: &Pairs) -> bool {
    let content_type = request.get(b"content-type").unwrap_or_default();
    content_type == b"application/grpc" || content_type.starts_with(b"application/grpc+")
}

/// gRPC's mapping of HTTP statuses (`doc/http-grpc-status-mapping.md` of the gRPC project).
fn grpc_status(code: u16) -> u32 {
    match code {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502..=504 => 14,
        _ => 2,
    }
}

fn percent_encoded(bytes: &[u8]) -> String {
    let mut out = String::new();
    for byte in bytes {
        match byte {
            b' '..=b'~' if *byte != b'%' => out.push(char::from(*byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
