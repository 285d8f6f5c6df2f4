//! The `env` host calls of proxy-wasm 0.2.1, linked with the signatures that crate `proxy-wasm` declares.
//!
//! Each call checks its arguments, acts on the `Host` and returns a status. Calls for gRPC and shared queues return `Unimplemented`.
//! Must never move a stream: what changes the flow is deferred until the guest has returned.

use std::time::{SystemTime, UNIX_EPOCH};

use wasmtime::{Caller, Linker};

use super::abi::{self, Fault, Status};
use super::host::{Deferred, Host, LocalReply};
use super::pairs::Pairs;
use super::stream::{ContextId, Direction};
use super::telemetry::LogLevel;
use super::{HostKind, data_calls, header_calls, nginx};

/// Links one call, which is counted: denied capabilities and faults become statuses, a trap inside the call stays one.
macro_rules! link {
    ($linker:ident, $name:literal, $function:path, ($($argument:ident: $type:ty),*)) => {
        $linker.func_wrap("env", $name, |mut caller: Caller<'_, Host>, $($argument: $type),*| -> wasmtime::Result<u32> {
            caller.data().telemetry.count_call(caller.data().hook, $name);
            if caller.data().denies($name) {
                return Ok(Status::InternalFailure as u32);
            }
            if let Some(trap) = nginx::trap(caller.data(), $name) {
                return Err(trap);
            }
            match $function(&mut caller, $($argument),*) {
                Ok(()) => Ok(Status::Ok as u32),
                Err(Fault::Status(status)) => Ok(status as u32),
                Err(Fault::Trap(trap)) => Err(trap),
            }
        })?;
    };
}

/// Links a call that this host does not offer.
macro_rules! link_absent {
    ($linker:ident, $name:literal, ($($argument:ident),*)) => {
        $linker.func_wrap("env", $name, |caller: Caller<'_, Host>, $($argument: u32),*| -> u32 {
            $(let _: u32 = $argument;)*
            if caller.data().denies($name) { Status::InternalFailure as u32 } else { Status::Unimplemented as u32 }
        })?;
    };
}

/// Links every `env` call.
pub(super) fn link(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    link!(linker, "proxy_log", log, (level: u32, start: u32, size: u32));
    link!(linker, "proxy_get_log_level", log_level, (return_level: u32));
    link!(linker, "proxy_get_current_time_nanoseconds", current_time, (return_time: u32));
    link!(linker, "proxy_set_tick_period_milliseconds", set_tick_period, (period_ms: u32));
    link!(linker, "proxy_get_buffer_bytes", data_calls::buffer_bytes, (kind: u32, start: u32, size: u32, data: u32, data_size: u32));
    link!(linker, "proxy_set_buffer_bytes", data_calls::set_buffer_bytes, (kind: u32, start: u32, size: u32, data: u32, data_size: u32));
    link!(linker, "proxy_get_property", data_calls::get_property, (path: u32, path_size: u32, data: u32, data_size: u32));
    link!(linker, "proxy_set_property", data_calls::set_property, (path: u32, path_size: u32, data: u32, data_size: u32));
    link!(linker, "proxy_get_shared_data", data_calls::shared_data, (key: u32, key_size: u32, data: u32, data_size: u32, cas: u32));
    link!(linker, "proxy_set_shared_data", data_calls::set_shared_data, (key: u32, key_size: u32, data: u32, data_size: u32, cas: u32));
    link!(linker, "proxy_continue_stream", continue_stream, (kind: u32));
    link!(linker, "proxy_close_stream", close_stream, (kind: u32));
    link!(linker, "proxy_send_local_response", send_local_response,
        (code: u32, details: u32, details_size: u32, body: u32, body_size: u32, headers: u32, headers_size: u32, grpc_status: i32));
    link!(linker, "proxy_http_call", http_call,
        (cluster: u32, cluster_size: u32, headers: u32, headers_size: u32, body: u32, body_size: u32,
         trailers: u32, trailers_size: u32, timeout_ms: u32, return_token: u32));
    link!(linker, "proxy_get_status", get_status, (return_code: u32, data: u32, data_size: u32));
    link!(linker, "proxy_set_effective_context", set_effective_context, (context: u32));
    link!(linker, "proxy_done", done, ());
    link!(linker, "proxy_define_metric", data_calls::define_metric, (kind: u32, name: u32, name_size: u32, return_id: u32));
    link!(linker, "proxy_get_metric", data_calls::get_metric, (id: u32, return_value: u32));
    link!(linker, "proxy_record_metric", data_calls::record_metric, (id: u32, value: u64));
    link!(linker, "proxy_increment_metric", data_calls::increment_metric, (id: u32, offset: i64));
    link!(linker, "proxy_call_foreign_function", foreign_function,
        (name: u32, name_size: u32, arguments: u32, arguments_size: u32, data: u32, data_size: u32));
    link_header_calls(linker)?;
    link_absent!(
        linker,
        "proxy_register_shared_queue",
        (name, name_size, return_id)
    );
    link_absent!(
        linker,
        "proxy_resolve_shared_queue",
        (vm, vm_size, name, name_size, return_id)
    );
    link_absent!(
        linker,
        "proxy_dequeue_shared_queue",
        (queue, data, data_size)
    );
    link_absent!(
        linker,
        "proxy_enqueue_shared_queue",
        (queue, data, data_size)
    );
    link_absent!(
        linker,
        "proxy_grpc_call",
        (a, b, c, d, e, f, g, h, i, j, k, l)
    );
    link_absent!(linker, "proxy_grpc_stream", (a, b, c, d, e, f, g, h, i));
    link_absent!(linker, "proxy_grpc_send", (token, data, data_size, end));
    link_absent!(linker, "proxy_grpc_cancel", (token));
    link_absent!(linker, "proxy_grpc_close", (token));
    Ok(())
}

fn link_header_calls(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    link!(linker, "proxy_get_header_map_pairs", header_calls::pairs, (map: u32, data: u32, data_size: u32));
    link!(linker, "proxy_set_header_map_pairs", header_calls::set_pairs, (map: u32, data: u32, data_size: u32));
    link!(linker, "proxy_get_header_map_value", header_calls::value,
        (map: u32, key: u32, key_size: u32, data: u32, data_size: u32));
    link!(linker, "proxy_remove_header_map_value", header_calls::remove, (map: u32, key: u32, key_size: u32));
    link!(linker, "proxy_replace_header_map_value", header_calls::replace,
        (map: u32, key: u32, key_size: u32, value: u32, value_size: u32));
    link!(linker, "proxy_add_header_map_value", header_calls::add,
        (map: u32, key: u32, key_size: u32, value: u32, value_size: u32));
    Ok(())
}

fn log(caller: &mut Caller<'_, Host>, level: u32, start: u32, size: u32) -> Result<(), Fault> {
    let line = abi::text(caller, start, size)?;
    let level = LogLevel::from_abi(level);
    caller.data().telemetry.guest_log(level, line);
    Ok(())
}

fn log_level(caller: &mut Caller<'_, Host>, return_level: u32) -> Result<(), Fault> {
    let level = u32::from(caller.data().telemetry.level());
    abi::write(caller, return_level, &level.to_le_bytes())
}

fn current_time(caller: &mut Caller<'_, Host>, return_time: u32) -> Result<(), Fault> {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_err(|_| Status::InternalFailure)?;
    let nanoseconds = u64::try_from(since.as_nanos()).map_err(|_| Status::InternalFailure)?;
    abi::write(caller, return_time, &nanoseconds.to_le_bytes())
}

fn set_tick_period(caller: &mut Caller<'_, Host>, period_ms: u32) -> Result<(), Fault> {
    let host = caller.data_mut();
    let root = host.acting_root();
    host.roots
        .get_mut(&root)
        .ok_or(Status::BadArgument)?
        .tick_period_ms = period_ms;
    Ok(())
}

fn continue_stream(caller: &mut Caller<'_, Host>, kind: u32) -> Result<(), Fault> {
    let direction = match kind {
        0 => Direction::Request,
        1 => Direction::Response,
        2 | 3 => return Err(Status::Unimplemented.into()),
        _ => return Err(Status::BadArgument.into()),
    };
    let host = caller.data_mut();
    let acting = host.acting();
    if let Some(stream) = host.streams.get_mut(&acting) {
        stream.half(direction).exposed = false;
        host.deferred.push_back(Deferred::Resume(acting, direction));
    }
    Ok(())
}

fn close_stream(caller: &mut Caller<'_, Host>, kind: u32) -> Result<(), Fault> {
    match kind {
        0 | 1 => {
            let host = caller.data_mut();
            let acting = host.acting();
            host.deferred.push_back(Deferred::Reset(acting));
            Ok(())
        }
        2 | 3 => Err(Status::Unimplemented.into()),
        _ => Err(Status::BadArgument.into()),
    }
}

#[expect(clippy::too_many_arguments, reason = "the ABI's signature")]
fn send_local_response(
    caller: &mut Caller<'_, Host>,
    code: u32,
    details: u32,
    details_size: u32,
    body: u32,
    body_size: u32,
    headers: u32,
    headers_size: u32,
    grpc_status: i32,
) -> Result<(), Fault> {
    let details = abi::text(caller, details, details_size)?
        .replace(|letter: char| letter.is_ascii_whitespace(), "_");
    let body = abi::read(caller, body, body_size)?;
    let headers = Pairs::decode(&abi::read(caller, headers, headers_size)?);
    let body = match caller.data().settings.host {
        HostKind::Envoy => body,
        HostKind::Nginx => nginx::local_body(caller.data(), &details, body),
    };
    let reply = LocalReply {
        code: u16::try_from(code).map_err(|_| Status::BadArgument)?,
        details,
        headers,
        body,
        grpc_status: u32::try_from(grpc_status).ok(),
    };
    let host = caller.data_mut();
    let acting = host.acting();
    if host.streams.contains_key(&acting) {
        host.reply(acting, reply);
    }
    Ok(())
}

#[expect(clippy::too_many_arguments, reason = "the ABI's signature")]
fn http_call(
    caller: &mut Caller<'_, Host>,
    cluster: u32,
    cluster_size: u32,
    headers: u32,
    headers_size: u32,
    body: u32,
    body_size: u32,
    trailers: u32,
    trailers_size: u32,
    timeout_ms: u32,
    return_token: u32,
) -> Result<(), Fault> {
    let cluster = abi::text(caller, cluster, cluster_size)?;
    let headers = Pairs::decode(&abi::read(caller, headers, headers_size)?);
    let body = abi::read(caller, body, body_size)?;
    abi::read(caller, trailers, trailers_size)?;
    abi::write(caller, return_token, &0_u32.to_le_bytes())?;
    let token = caller
        .data_mut()
        .call_out(&cluster, headers, body, timeout_ms)?;
    abi::write(caller, return_token, &token.to_le_bytes())
}

fn get_status(
    caller: &mut Caller<'_, Host>,
    return_code: u32,
    data: u32,
    data_size: u32,
) -> Result<(), Fault> {
    let (code, message) = caller.data().status;
    abi::write(caller, return_code, &code.to_le_bytes())?;
    abi::hand_over(caller, message.as_bytes(), data, data_size)
}

fn set_effective_context(caller: &mut Caller<'_, Host>, context: u32) -> Result<(), Fault> {
    Ok(caller.data_mut().act_for(ContextId(context))?)
}

fn done(caller: &mut Caller<'_, Host>) -> Result<(), Fault> {
    let host = caller.data_mut();
    let acting = host.acting();
    if !host.roots.contains_key(&acting) {
        return Err(Status::NotFound.into());
    }
    host.deferred.push_back(Deferred::Done(acting));
    Ok(())
}

fn foreign_function(
    caller: &mut Caller<'_, Host>,
    name: u32,
    name_size: u32,
    arguments: u32,
    arguments_size: u32,
    data: u32,
    data_size: u32,
) -> Result<(), Fault> {
    abi::read(caller, arguments, arguments_size)?;
    match abi::text(caller, name, name_size)?.as_str() {
        "clear_route_cache" => abi::hand_over(caller, &[], data, data_size),
        _ => Err(Status::NotFound.into()),
    }
}
