//! One line of an access log: combined format (Apache, nginx) or an Envoy JSON object.
//!
//! Servers escape odd bytes in their logs; the bytes that the client sent are restored. Any bytes are taken.

use std::net::{IpAddr, SocketAddr};

use serde_json::{Map, Value};

use super::target::{self, Change};

/// What ASE's own log says of an exchange that had not ended.
pub(super) const STILL_OPEN: &str = "open";

/// How the lines of a log look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// `client - user [time] "request" status bytes "referer" "user agent"`.
    Combined,
    /// One JSON object a line.
    Json,
}

/// A request to send.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// The client, where the log names an address.
    pub(super) client: Option<IpAddr>,
    pub(super) method: hyper::Method,
    pub(super) target: hyper::Uri,
    /// What had to be done to the target.
    pub(super) change: Change,
    pub(super) host: Option<Vec<u8>>,
    pub(super) user_agent: Option<Vec<u8>>,
    pub(super) referer: Option<Vec<u8>>,
}

/// Why a line gives no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Unsendable {
    /// Not a line of this format.
    Unparsable,
    /// The server got no request: `-` or nothing.
    NoRequest,
    /// The server got something that is not HTTP.
    NotHttp,
    /// CONNECT opens a tunnel, which is nothing to replay.
    Connect,
    /// A target that no HTTP client can send, such as one over 64 KiB.
    Target,
    /// ASE's word on an exchange before its end, of which another line tells.
    StillOpen,
}

impl Unsendable {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Unparsable => "not a line of the log's format",
            Self::NoRequest => "no request",
            Self::NotHttp => "not HTTP",
            Self::Connect => "CONNECT",
            Self::Target => "target cannot be sent",
            Self::StillOpen => "still open, and in another line when it had ended",
        }
    }
}

impl Format {
    /// The format of a log that begins with this line.
    pub(super) fn of(line: &[u8]) -> Self {
        match line.trim_ascii_start().first() {
            Some(b'{') => Self::Json,
            Some(_) | None => Self::Combined,
        }
    }

    pub(super) fn parse(self, line: &[u8]) -> Result<Request, Unsendable> {
        match self {
            Self::Combined => combined(line),
            Self::Json => json(line),
        }
    }
}

fn combined(line: &[u8]) -> Result<Request, Unsendable> {
    let client = line.split(|&byte| byte == b' ').next().unwrap_or_default();
    // The time stands in brackets; a user name before it may hold quotes.
    let after_time = find(line, b"] \"").and_then(|at| line.get(at + 2..));
    let (request, rest) = after_time.and_then(quoted).ok_or(Unsendable::Unparsable)?;
    let mut quoted_fields = Vec::new();
    let mut rest = rest;
    while let Some(at) = rest.iter().position(|&byte| byte == b'"') {
        let Some((field, after)) = rest.get(at..).and_then(quoted) else {
            break;
        };
        quoted_fields.push(field);
        rest = after;
    }
    let mut fields = quoted_fields
        .into_iter()
        .map(|field| (field != b"-").then_some(field));
    let (referer, user_agent) = (fields.next().flatten(), fields.next().flatten());
    let (method, target) = request_line(&request)?;
    let (target, change) = target::sendable(target).ok_or(Unsendable::Target)?;
    Ok(Request {
        client: std::str::from_utf8(client).ok().and_then(address),
        method,
        target,
        change,
        host: None,
        user_agent,
        referer,
    })
}

/// Splits `METHOD target HTTP/x`; the target of a clumsy client may hold blanks, that of HTTP/0.9 ends the line.
fn request_line(line: &[u8]) -> Result<(hyper::Method, &[u8]), Unsendable> {
    let line = line.trim_ascii();
    if line.is_empty() || line == b"-" {
        return Err(Unsendable::NoRequest);
    }
    let at = line
        .iter()
        .position(|&byte| byte == b' ')
        .ok_or(Unsendable::NotHttp)?;
    let (name, target) = line.split_at(at);
    let target = target.trim_ascii();
    let version = target
        .iter()
        .rposition(|&byte| byte == b' ')
        .and_then(|at| target.split_at_checked(at));
    let target = match version {
        Some((before, version)) if version.starts_with(b" HTTP/") => before.trim_ascii_end(),
        Some(_) | None => target,
    };
    Ok((method(name)?, target))
}

fn method(name: &[u8]) -> Result<hyper::Method, Unsendable> {
    let letters = name
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte));
    match hyper::Method::from_bytes(name) {
        Ok(hyper::Method::CONNECT) => Err(Unsendable::Connect),
        Ok(method) if letters => Ok(method),
        Ok(_) | Err(_) => Err(Unsendable::NotHttp),
    }
}

fn json(line: &[u8]) -> Result<Request, Unsendable> {
    let fields: Map<String, Value> =
        serde_json::from_slice(line).map_err(|_| Unsendable::Unparsable)?;
    if fields.get("outcome").and_then(Value::as_str) == Some(STILL_OPEN) {
        return Err(Unsendable::StillOpen);
    }
    let fields = Fields::of(&fields);
    let name = fields
        .first(&["method", "request_method"])
        .ok_or(Unsendable::NoRequest)?;
    let path = fields.first(&[
        "x_envoy_original_path",
        "original_path",
        "path",
        "url",
        "uri",
        "request_uri",
    ]);
    let path = path.ok_or(Unsendable::NoRequest)?;
    let (target, change) = target::sendable(path.as_bytes()).ok_or(Unsendable::Target)?;
    let client = [
        "downstream_remote_address",
        "client_ip",
        "remote_addr",
        "source_ip",
        "downstream_direct_remote_address",
    ];
    let forwarded = || {
        fields
            .first(&["x_forwarded_for"])?
            .rsplit(',')
            .next()
            .and_then(address)
    };
    let owned = |text: &str| text.as_bytes().to_vec();
    Ok(Request {
        client: fields.first(&client).and_then(address).or_else(forwarded),
        method: method(name.as_bytes())?,
        target,
        change,
        host: fields.first(&["authority", "host"]).map(owned),
        user_agent: fields.first(&["user_agent"]).map(owned),
        referer: fields.first(&["referer"]).map(owned),
    })
}

/// The texts of a JSON line under names in one spelling: lower case, `_` for `-`, no `:` in front.
struct Fields<'v>(Vec<(String, &'v str)>);

impl<'v> Fields<'v> {
    fn of(object: &'v Map<String, Value>) -> Self {
        let spelled = |key: &str| {
            key.trim_start_matches(':')
                .to_ascii_lowercase()
                .replace('-', "_")
        };
        let texts = object
            .iter()
            .filter_map(|(key, value)| Some((spelled(key), value.as_str()?)));
        Self(
            texts
                .filter(|(_, text)| !text.is_empty() && *text != "-")
                .collect(),
        )
    }

    fn first(&self, names: &[&str]) -> Option<&'v str> {
        names
            .iter()
            .find_map(|name| self.0.iter().find(|(key, _)| key == name))
            .map(|(_, text)| *text)
    }
}

/// An address, with or without a port.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    bare.parse()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()))
}

/// The content of the quotes that `text` begins with, without the server's escapes, and what follows.
pub(super) fn quoted(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut rest = text.strip_prefix(b"\"")?;
    let mut content = Vec::new();
    loop {
        match rest {
            [b'"', after @ ..] => return Some((content, after)),
            [b'\\', b'x', high, low, after @ ..] if hex(*high, *low).is_some() => {
                content.extend(hex(*high, *low));
                rest = after;
            }
            [b'\\', escaped, after @ ..] => {
                match escaped {
                    b'n' => content.push(b'\n'),
                    b'r' => content.push(b'\r'),
                    b't' => content.push(b'\t'),
                    b'"' | b'\\' => content.push(*escaped),
                    other => content.extend_from_slice(&[b'\\', *other]),
                }
                rest = after;
            }
            [byte, after @ ..] => {
                content.push(*byte);
                rest = after;
            }
            [] => return None,
        }
    }
}

fn hex(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    Some((digit(high)? << 4) | digit(low)?)
}

pub(super) fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests;
