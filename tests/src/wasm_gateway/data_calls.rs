//! The host calls on buffers, properties, shared data and metrics.
//!
//! They read and write what the host holds and have no effect on any stream's flow. Must never block.

use wasmtime::Caller;

use super::abi::{self, BufferType, Fault, Status};
use super::host::Host;
use super::property;
use super::{HostKind, nginx};

/// `proxy_get_buffer_bytes`.
pub(super) fn buffer_bytes(
    caller: &mut Caller<'_, Host>,
    kind: u32,
    start: u32,
    size: u32,
    data: u32,
    data_size: u32,
) -> Result<(), Fault> {
    if start.checked_add(size).is_none() {
        return Err(Status::BadArgument.into());
    }
    let host = caller.data_mut();
    let root = host.acting_root();
    let buffer: &[u8] = match BufferType::try_from(kind)? {
        BufferType::RequestBody => &host.acting_stream().ok_or(Status::NotFound)?.request.body,
        BufferType::ResponseBody => &host.acting_stream().ok_or(Status::NotFound)?.response.body,
        BufferType::CalloutBody => &host.callout_reply.as_ref().ok_or(Status::NotFound)?.body,
        BufferType::PluginConfiguration => {
            &host
                .roots
                .get(&root)
                .ok_or(Status::NotFound)?
                .plugin_configuration
        }
        BufferType::VmConfiguration | BufferType::Absent => return Err(Status::NotFound.into()),
    };
    let start = usize::try_from(start).map_err(|_| Status::BadArgument)?;
    let size = usize::try_from(size).map_err(|_| Status::BadArgument)?;
    let end = start.saturating_add(size).min(buffer.len());
    let bytes = buffer.get(start..end).unwrap_or_default().to_vec();
    if bytes.is_empty() {
        return Ok(());
    }
    abi::hand_over(caller, &bytes, data, data_size)
}

/// `proxy_set_buffer_bytes`.
pub(super) fn set_buffer_bytes(
    caller: &mut Caller<'_, Host>,
    kind: u32,
    start: u32,
    size: u32,
    data: u32,
    data_size: u32,
) -> Result<(), Fault> {
    let bytes = abi::read(caller, data, data_size)?;
    let kind = BufferType::try_from(kind)?;
    let stream = caller.data_mut().acting_stream().ok_or(Status::NotFound)?;
    let body = match kind {
        BufferType::RequestBody => &mut stream.request.body,
        BufferType::ResponseBody => &mut stream.response.body,
        BufferType::CalloutBody
        | BufferType::VmConfiguration
        | BufferType::PluginConfiguration
        | BufferType::Absent => {
            return Err(Status::BadArgument.into());
        }
    };
    let start = usize::try_from(start)
        .map_err(|_| Status::BadArgument)?
        .min(body.len());
    let size = usize::try_from(size).map_err(|_| Status::BadArgument)?;
    let end = start.saturating_add(size).min(body.len());
    body.splice(start..end, bytes);
    Ok(())
}

/// `proxy_get_property`.
pub(super) fn get_property(
    caller: &mut Caller<'_, Host>,
    path: u32,
    path_size: u32,
    data: u32,
    data_size: u32,
) -> Result<(), Fault> {
    let path = abi::read(caller, path, path_size)?;
    let value = property::read(caller.data(), &path).ok_or(Status::NotFound)?;
    abi::hand_over(caller, &value, data, data_size)
}

/// `proxy_set_property`.
pub(super) fn set_property(
    caller: &mut Caller<'_, Host>,
    path: u32,
    path_size: u32,
    data: u32,
    data_size: u32,
) -> Result<(), Fault> {
    let mut path = abi::read(caller, path, path_size)?;
    let value = abi::read(caller, data, data_size)?;
    if caller.data().settings.host == HostKind::Nginx {
        path = nginx::variable(caller.data(), &path).ok_or(Status::NotFound)?;
    }
    caller
        .data_mut()
        .acting_stream()
        .ok_or(Status::NotFound)?
        .properties
        .insert(path, value);
    Ok(())
}

/// `proxy_get_shared_data`.
pub(super) fn shared_data(
    caller: &mut Caller<'_, Host>,
    key: u32,
    key_size: u32,
    data: u32,
    data_size: u32,
    cas: u32,
) -> Result<(), Fault> {
    let key = abi::read(caller, key, key_size)?;
    let (value, current) = caller.data().telemetry.shared_datum(&key)?;
    abi::hand_over(caller, &value, data, data_size)?;
    abi::write(caller, cas, &current.to_le_bytes())
}

/// `proxy_set_shared_data`.
pub(super) fn set_shared_data(
    caller: &mut Caller<'_, Host>,
    key: u32,
    key_size: u32,
    data: u32,
    data_size: u32,
    cas: u32,
) -> Result<(), Fault> {
    let key = abi::read(caller, key, key_size)?;
    let value = abi::read(caller, data, data_size)?;
    Ok(caller.data().telemetry.set_shared_datum(key, value, cas)?)
}

/// `proxy_define_metric`.
pub(super) fn define_metric(
    caller: &mut Caller<'_, Host>,
    kind: u32,
    name: u32,
    name_size: u32,
    return_id: u32,
) -> Result<(), Fault> {
    let name = abi::text(caller, name, name_size)?;
    let id = caller.data().telemetry.define_metric(kind, name)?;
    abi::write(caller, return_id, &id.to_le_bytes())
}

/// `proxy_get_metric`.
pub(super) fn get_metric(
    caller: &mut Caller<'_, Host>,
    id: u32,
    return_value: u32,
) -> Result<(), Fault> {
    let value = caller.data().telemetry.metric(id)?;
    abi::write(caller, return_value, &value.to_le_bytes())
}

/// `proxy_record_metric`.
pub(super) fn record_metric(
    caller: &mut Caller<'_, Host>,
    id: u32,
    value: u64,
) -> Result<(), Fault> {
    Ok(caller.data().telemetry.record_metric(id, value)?)
}

/// `proxy_increment_metric`.
pub(super) fn increment_metric(
    caller: &mut Caller<'_, Host>,
    id: u32,
    offset: i64,
) -> Result<(), Fault> {
    Ok(caller.data().telemetry.increment_metric(id, offset)?)
}
