//! What the host does as `ngx_wasm_module` does it, where that differs from Envoy; from its documents and its source (early 2025), not measured.
//!
//! A call that it does not offer, or not in this phase, ends the guest by a trap, as there. What it would write into its own error log is
//! logged with `nginx: ` in front. Must never be more lenient than the real one.

use super::HostKind;
use super::callout::Tried;
use super::exchange::Failure;
use super::host::{CalloutReply, Deferred, Host};
use super::pairs::Pairs;
use super::stream::{Phase, Stream};
use super::telemetry::LogLevel;

/// Calls that can be imported and trap.
const NOT_IMPLEMENTED: [&str; 5] = [
    "proxy_get_log_level",
    "proxy_done",
    "proxy_close_stream",
    "proxy_get_status",
    "proxy_call_foreign_function",
];

/// The name of the server in `:authority`.
const SERVER: &[u8] = b"gateway.test:80";

/// Where the reason for a call that failed is told.
const DISPATCH_STATUS: &[u8] = b":dispatch_status";

/// Why this call, made now, ends the guest; `None` where it may be made.
pub(super) fn trap(host: &Host, call: &str) -> Option<wasmtime::Error> {
    if host.settings.host == HostKind::Envoy {
        return None;
    }
    if NOT_IMPLEMENTED.contains(&call) {
        return Some(wasmtime::Error::msg(format!(
            "host trap (function not yet implemented): {call}"
        )));
    }
    let root = host.roots.get(&host.current);
    let stream = host.streams.get(&host.current);
    let reason = match (call, stream, root) {
        ("proxy_continue_stream" | "proxy_send_local_response", None, _) => {
            "outside a request the host reads a null pointer"
        }
        ("proxy_send_local_response", Some(stream), _) if stream.response.head_sent => {
            "response already sent"
        }
        ("proxy_send_local_response", Some(stream), _) if has_reply(host, stream) => {
            "local response already stashed"
        }
        ("proxy_set_tick_period_milliseconds", None, Some(root)) if root.tick_period_ms > 0 => {
            "tick_period already set"
        }
        ("proxy_http_call", Some(stream), _) if stream.phase != Phase::Request => {
            "dispatch failed: bad step"
        }
        // The documents name the tick alone.
        ("proxy_http_call", None, _) if host.hook != "proxy_on_tick" => {
            "dispatch failed: no request"
        }
        _ => return None,
    };
    Some(wasmtime::Error::msg(format!("host trap: {call}: {reason}")))
}

fn has_reply(host: &Host, stream: &Stream) -> bool {
    stream.replied_locally
        || host
            .deferred
            .iter()
            .any(|deferred| matches!(deferred, Deferred::Reply(id, _) if *id == host.current))
}

/// The request headers in the host's own form: the server's name, and a path that is decoded.
pub(super) fn request_pairs(headers: &Pairs) -> Pairs {
    let mut shown = Pairs::default();
    for (name, value) in headers.iter() {
        match name {
            b":authority" => {
                shown.add(name, SERVER);
                shown.add(b"Host", value);
            }
            b":path" => shown.add(name, &decoded(value)),
            _ => shown.add(name, value),
        }
    }
    shown
}

/// `$uri` and the query, which stays as it is.
fn decoded(target: &[u8]) -> Vec<u8> {
    let query = target.iter().position(|byte| *byte == b'?');
    let (path, query) = target.split_at(query.unwrap_or(target.len()));
    let mut segments: Vec<Vec<u8>> = Vec::new();
    for segment in unescaped(path).split(|byte| *byte == b'/').skip(1) {
        match segment {
            b"" | b"." => {}
            b".." => drop(segments.pop()),
            _ => segments.push(segment.to_vec()),
        }
    }
    let path = [b"/".to_vec(), segments.join(&b'/')].concat();
    [&path, query].concat()
}

fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((first, more)) = rest.split_first() {
        let digits = more.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let byte = digits.and_then(|two| u8::from_str_radix(two, 16).ok());
        if let (b'%', Some(byte)) = (first, byte) {
            out.push(byte);
            rest = more.get(2..).unwrap_or_default();
        } else {
            out.push(*first);
            rest = more;
        }
    }
    out
}

/// The body of a local reply as it goes out. What is given as details is the reason phrase, which clients see.
pub(super) fn local_body(host: &Host, details: &str, mut body: Vec<u8>) -> Vec<u8> {
    if !details.is_empty() {
        host.telemetry.log(
            LogLevel::Error,
            format!("nginx: the client is told {details:?}"),
        );
    }
    if !body.is_empty() {
        body.push(b'\n');
    }
    body
}

/// Reads a property; all are text, and one that is not there is an error in the host's log.
pub(super) fn property(host: &Host, path: &[u8]) -> Option<Vec<u8>> {
    let dotted = String::from_utf8_lossy(path).replace('\0', ".");
    let stream = host.streams.get(&host.current)?;
    let known = match dotted.as_str() {
        "request.path" => stream.request.headers.get(b":path").map(<[u8]>::to_vec),
        "request.protocol" => Some(b"HTTP/1.1".to_vec()),
        "source.address" => Some(stream.peer.source.ip().to_string().into_bytes()),
        // An address that the real-IP module took from a header has no port.
        "source.port" if stream.peer.source.port() == 0 => Some(Vec::new()),
        "source.port" => Some(stream.peer.source.port().to_string().into_bytes()),
        "response.code" => stream.code.map(|code| code.to_string().into_bytes()),
        "ngx.upstream_header_time" => return header_time(stream),
        "ngx.ase_decision" => stream.properties.get(b"ase_decision".as_slice()).cloned(),
        "connection.tls_version" | "connection.requested_server_name" => {
            let (_, name) = dotted.split_once('.')?;
            return host
                .settings
                .connection
                .get(name)
                .cloned()
                .map(String::into_bytes);
        }
        _ => None,
    };
    if known.is_none() {
        host.telemetry.log(
            LogLevel::Error,
            format!("nginx: property {dotted:?} not found"),
        );
    }
    known
}

/// `-` for an upstream that brought no response.
fn header_time(stream: &Stream) -> Option<Vec<u8>> {
    let details = stream.details.as_deref()?;
    if details == "via_upstream" {
        return Some(b"0.003".to_vec());
    }
    details
        .starts_with("upstream_reset_before_response_started")
        .then(|| b"-".to_vec())
}

/// The variable of the configuration that a property is, if it may be set.
pub(super) fn variable(host: &Host, path: &[u8]) -> Option<Vec<u8>> {
    if path == b"ngx\0ase_decision" {
        return Some(b"ase_decision".to_vec());
    }
    let dotted = String::from_utf8_lossy(path).replace('\0', ".");
    let line = format!("nginx: property {dotted:?} cannot be set");
    host.telemetry.log(LogLevel::Error, line);
    None
}

/// What comes of a try to call.
pub(super) fn reply(tried: Tried) -> CalloutReply {
    match tried {
        Tried::Reply(reply) if reply.headers.len() == 0 => failed("reader failure"),
        Tried::Reply(mut reply) => {
            reply.headers.remove(b"x-envoy-upstream-service-time");
            reply
        }
        Tried::TimedOut => failed("timeout"),
        Tried::Failed(Failure::NotHttp) => failed("reader failure"),
        Tried::Failed(Failure::Refused | Failure::Terminated) => failed("broken connection"),
    }
}

/// The answer to a call that failed: no headers but a word.
pub(super) fn failed(word: &str) -> CalloutReply {
    let mut headers = Pairs::default();
    headers.add(DISPATCH_STATUS, word.as_bytes());
    CalloutReply {
        headers,
        body: Vec::new(),
    }
}

/// How many headers the guest is told that an answer has.
pub(super) fn announced(headers: &Pairs) -> usize {
    match headers.get(DISPATCH_STATUS) {
        Some(_) => 0,
        None => headers.len(),
    }
}
