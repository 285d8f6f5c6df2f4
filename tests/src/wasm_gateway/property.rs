//! The properties that a guest can read, per phase, in Envoy's binary forms: text as bytes, integers as eight little-endian bytes.
//!
//! What is not here is `NotFound`, as in a plain TCP Envoy; a map is a list of pairs. Must never show request attributes in the response phase.

use std::time::UNIX_EPOCH;

use super::host::Host;
use super::pairs::Pairs;
use super::stream::{Phase, Stream};
use super::{HostKind, nginx};

/// Reads a property by its NUL-separated path.
pub(super) fn read(host: &Host, path: &[u8]) -> Option<Vec<u8>> {
    let path = path.strip_suffix(b"\0").unwrap_or(path);
    if host.settings.host == HostKind::Nginx {
        return nginx::property(host, path);
    }
    let parts: Vec<&str> = path
        .split(|byte| *byte == 0)
        .map(std::str::from_utf8)
        .collect::<Result<_, _>>()
        .ok()?;
    match parts.as_slice() {
        ["plugin_name" | "plugin_root_id" | "plugin_vm_id"] => return Some(Vec::new()),
        ["xds", "listener_direction"] => return Some(integer(0)),
        _ => {}
    }
    let stream = host.streams.get(&host.acting())?;
    if let Some(value) = stream.properties.get(path) {
        return Some(value.clone());
    }
    match parts.as_slice() {
        ["xds", "route_metadata", "filter_metadata", "ase"] => route_metadata(host, stream),
        [
            "metadata",
            "filter_metadata",
            "envoy.filters.http.jwt_authn",
            "payload",
            claim,
        ] => host.settings.verified_claims.get(*claim).cloned(),
        ["source", name] => source(stream, name),
        ["destination", "address"] => Some(stream.peer.local.to_string().into_bytes()),
        ["destination", "port"] => Some(integer(stream.peer.local.port().into())),
        ["connection", "id"] => Some(stream.peer.connection.to_le_bytes().to_vec()),
        ["connection", "mtls"] => Some(vec![0]),
        ["connection", name] => host
            .settings
            .connection
            .get(*name)
            .map(|fact| fact.clone().into_bytes()),
        ["xds", "cluster_name"] => Some(b"upstream".to_vec()),
        ["xds", "route_name" | "virtual_host_name"] => Some(Vec::new()),
        ["request", rest @ ..] => request(stream, rest),
        ["response", rest @ ..] => response(stream, rest),
        _ => None,
    }
}

fn route_metadata(host: &Host, stream: &Stream) -> Option<Vec<u8>> {
    let path = stream.request.headers.get(b":path")?;
    let routes = &host.settings.route_metadata;
    let route = routes
        .iter()
        .find(|route| path.starts_with(route.prefix.as_bytes()))?;
    let settings = route.settings.iter();
    let pairs: Pairs = settings
        .map(|(key, value)| (key.as_bytes(), value.as_slice()))
        .collect();
    Some(pairs.encode())
}

fn source(stream: &Stream, name: &str) -> Option<Vec<u8>> {
    match name {
        "address" => Some(stream.peer.source.to_string().into_bytes()),
        "port" => Some(integer(stream.peer.source.port().into())),
        _ => None,
    }
}

fn request(stream: &Stream, path: &[&str]) -> Option<Vec<u8>> {
    match path {
        ["protocol"] => return Some(b"HTTP/1.1".to_vec()),
        ["time"] => {
            let since = stream.started_at.duration_since(UNIX_EPOCH).ok()?;
            return Some(integer(i64::try_from(since.as_nanos()).ok()?));
        }
        ["size"] => return Some(integer(i64::try_from(stream.request.received_bytes).ok()?)),
        ["duration"] if stream.phase == Phase::Log => {
            return Some(integer(
                i64::try_from(stream.started.elapsed().as_nanos()).ok()?,
            ));
        }
        _ => {}
    }
    if stream.phase == Phase::Response {
        return None;
    }
    let headers = &stream.request.headers;
    let header = |name: &str| headers.get(name.as_bytes()).map(<[u8]>::to_vec);
    match path {
        ["path"] => header(":path"),
        ["url_path"] => header(":path").map(|path| {
            path.split(|byte| *byte == b'?')
                .next()
                .unwrap_or_default()
                .to_vec()
        }),
        ["query"] => header(":path").map(|path| {
            path.splitn(2, |byte| *byte == b'?')
                .nth(1)
                .unwrap_or_default()
                .to_vec()
        }),
        ["host"] => header(":authority"),
        ["method"] => header(":method"),
        ["scheme"] => header(":scheme"),
        ["id"] => header("x-request-id"),
        ["useragent"] => header("user-agent"),
        ["referer"] => header("referer"),
        ["headers", name] => header(&name.to_ascii_lowercase()),
        ["total_size"] => {
            let head = u64::try_from(headers.bytes()).ok()?;
            Some(integer(
                i64::try_from(stream.request.received_bytes + head).ok()?,
            ))
        }
        _ => None,
    }
}

fn response(stream: &Stream, path: &[&str]) -> Option<Vec<u8>> {
    match path {
        ["code"] => stream.code.map(|code| integer(code.into())),
        ["code_details"] => stream.details.clone().map(String::into_bytes),
        ["flags"] if stream.phase != Phase::Request => Some(integer(0)),
        ["size"] if stream.phase == Phase::Log => {
            Some(integer(i64::try_from(stream.response.received_bytes).ok()?))
        }
        ["headers", name] => stream
            .response
            .headers
            .get(name.to_ascii_lowercase().as_bytes())
            .map(<[u8]>::to_vec),
        _ => None,
    }
}

fn integer(value: i64) -> Vec<u8> {
    value.to_le_bytes().to_vec()
}
