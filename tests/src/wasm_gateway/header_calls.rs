//! The host calls on header maps.
//!
//! A map can be reached from its headers hook until the hook continues or is resumed, and again, to read, in `on_log`; otherwise it is null.
//! A null map gives `BadArgument` on single values and an empty list of pairs, as in Envoy. Must never give trailers: this host has none.

use wasmtime::Caller;

use super::abi::{self, Fault, MapType, Status};
use super::host::Host;
use super::pairs::Pairs;
use super::stream::{Half, Phase, Stream};
use super::{HostKind, nginx};

/// `proxy_get_header_map_pairs`.
pub(super) fn pairs(
    caller: &mut Caller<'_, Host>,
    map: u32,
    data: u32,
    data_size: u32,
) -> Result<(), Fault> {
    let map = MapType::try_from(map)?;
    let bytes = readable(caller.data_mut(), map).map(|(pairs, _)| pairs.clone());
    let as_nginx = caller.data().settings.host == HostKind::Nginx;
    let bytes = match bytes {
        Some(pairs) if as_nginx && map == MapType::RequestHeaders => {
            nginx::request_pairs(&pairs).encode()
        }
        Some(pairs) => pairs.encode(),
        None => Vec::new(),
    };
    abi::hand_over(caller, &bytes, data, data_size)
}

/// `proxy_get_header_map_value`: the first value.
pub(super) fn value(
    caller: &mut Caller<'_, Host>,
    map: u32,
    key: u32,
    key_size: u32,
    data: u32,
    data_size: u32,
) -> Result<(), Fault> {
    let map = MapType::try_from(map)?;
    let key = abi::read(caller, key, key_size)?.to_ascii_lowercase();
    let (pairs, _) = readable(caller.data_mut(), map).ok_or(Status::BadArgument)?;
    let value = pairs.get(&key).ok_or(Status::NotFound)?.to_vec();
    abi::hand_over(caller, &value, data, data_size)
}

/// `proxy_set_header_map_pairs`: replaces the whole map.
pub(super) fn set_pairs(
    caller: &mut Caller<'_, Host>,
    map: u32,
    data: u32,
    data_size: u32,
) -> Result<(), Fault> {
    let map = MapType::try_from(map)?;
    let pairs = Pairs::decode(&abi::read(caller, data, data_size)?);
    *writable(caller.data_mut(), map)? = pairs;
    Ok(())
}

/// `proxy_remove_header_map_value`.
pub(super) fn remove(
    caller: &mut Caller<'_, Host>,
    map: u32,
    key: u32,
    key_size: u32,
) -> Result<(), Fault> {
    let map = MapType::try_from(map)?;
    let key = abi::read(caller, key, key_size)?;
    writable(caller.data_mut(), map)?.remove(&key);
    Ok(())
}

/// `proxy_replace_header_map_value`.
pub(super) fn replace(
    caller: &mut Caller<'_, Host>,
    map: u32,
    key: u32,
    key_size: u32,
    value: u32,
    value_size: u32,
) -> Result<(), Fault> {
    let map = MapType::try_from(map)?;
    let key = abi::read(caller, key, key_size)?;
    let value = abi::read(caller, value, value_size)?;
    writable(caller.data_mut(), map)?.set(&key, &value);
    Ok(())
}

/// `proxy_add_header_map_value`.
pub(super) fn add(
    caller: &mut Caller<'_, Host>,
    map: u32,
    key: u32,
    key_size: u32,
    value: u32,
    value_size: u32,
) -> Result<(), Fault> {
    let map = MapType::try_from(map)?;
    let key = abi::read(caller, key, key_size)?;
    let value = abi::read(caller, value, value_size)?;
    writable(caller.data_mut(), map)?.add(&key, &value);
    Ok(())
}

fn readable(host: &mut Host, map: MapType) -> Option<(&mut Pairs, Phase)> {
    if map == MapType::CalloutHeaders {
        return host
            .callout_reply
            .as_mut()
            .map(|reply| (&mut reply.headers, Phase::Request));
    }
    let stream = host.acting_stream()?;
    let phase = stream.phase;
    let half = half(stream, map)?;
    (half.exposed || phase == Phase::Log).then_some((&mut half.headers, phase))
}

fn writable(host: &mut Host, map: MapType) -> Result<&mut Pairs, Status> {
    match readable(host, map) {
        Some((pairs, Phase::Request | Phase::Response)) => Ok(pairs),
        Some((_, Phase::Log)) | None => Err(Status::BadArgument),
    }
}

fn half(stream: &mut Stream, map: MapType) -> Option<&mut Half> {
    match map {
        MapType::RequestHeaders => Some(&mut stream.request),
        MapType::ResponseHeaders => Some(&mut stream.response),
        MapType::CalloutHeaders | MapType::Absent => None,
    }
}
