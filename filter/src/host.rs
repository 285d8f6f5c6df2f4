//! The host's calls, raw: each returns a status, none panics, and what a host returns is read in place.
//!
//! With `hooks.rs` the only module with `unsafe` code; `host/imports.rs` declares what is called here. Wrappers that others have written panic on statuses that are ordinary: a capability that is not
//! granted (`InternalFailure` on Envoy), a phase in which a map is not there, a value that is not UTF-8. Statuses are plain numbers here, so one
//! that this ABI does not know is an error like any other. Memory that a host returns was allocated by `proxy_on_memory_allocate` of `hooks.rs`, a boxed slice of
//! exactly the returned size; [`Returned`] takes it over.
//!
//! What a refusal of each import means. Each is counted here and told by the next tick ([`take_refusals`]):
//!
//! | import | when refused |
//! |---|---|
//! | `proxy_log` | the line is lost |
//! | `proxy_get_log_level` | taken as info: no debug lines |
//! | `proxy_get_current_time_nanoseconds` | the last time known, or 0: records carry it and ASE dates them itself; the breaker stays shut |
//! | `proxy_set_tick_period_milliseconds` | the configuration is refused: no record would ever be sent |
//! | `proxy_set_effective_context` | the configuration is refused: no answer could be acted upon |
//! | `proxy_continue_stream` | the configuration is refused in `sync`: no held request could ever go on. At run time the client gets the failure reply |
//! | `proxy_send_local_response` | the stream is reset: a request that must not pass does not |
//! | `proxy_close_stream` | used only after the one above was refused: the request stays held until the host's own timeout |
//! | `proxy_get_buffer_bytes` | of the configuration: it is refused. Of the answer to a batch: `bad_reply`, and it comes again. Of a 503 without a label: `ase_5xx`. Of a request's body: its names are not in the record, said once |
//! | `proxy_get_header_map_pairs` | of a request: failure class `not_dispatched`. Of an answer: `bad_reply`. Of a response: the record has no response half |
//! | `proxy_get_header_map_value` | called on nginx alone, for what a list of pairs does not hold. Of an answer: its status, or why there is none, is not known |
//! | `proxy_remove_header_map_value` | the client's `x-ase-*` headers reach upstream, said once; they are not reported all the same |
//! | `proxy_replace_header_map_value` | a request that passes without a verdict does so unmarked, said once |
//! | `proxy_get_property` | address and protocol are left out; without an address nothing is asked: class `undecidable`. The gateway's own replies count as upstream's |
//! | `proxy_http_call` | failure class `not_dispatched`, or `misconfigured` for an unknown cluster |
//! | `proxy_define_metric`, `proxy_increment_metric`, `proxy_record_metric` | that metric stays off or stands still |
//! | `proxy_set_property` | the decision is not in the access log, said once |
//! | `proxy_get_shared_data`, `proxy_set_shared_data` | used for `local` mode alone: each VM fetches the policy image for itself, said once |
//! | `proxy_done` | an ended root context stays in memory |
//! | `random_get` | record ids are made of the time and of addresses |
#![expect(
    unsafe_code,
    reason = "the raw host calls; every block states why it is sound"
)]

use std::ptr::null_mut;
use std::time::Duration;

use crate::capability::Capability;
use crate::clock::Moment;
use crate::dialect::{GrpcStatus, Refusal};

mod imports;
mod refusal;

use imports::{
    proxy_close_stream, proxy_continue_stream, proxy_define_metric, proxy_done,
    proxy_get_buffer_bytes, proxy_get_current_time_nanoseconds, proxy_get_header_map_pairs,
    proxy_get_header_map_value, proxy_get_log_level, proxy_get_property, proxy_get_shared_data,
    proxy_http_call, proxy_increment_metric, proxy_log, proxy_record_metric,
    proxy_remove_header_map_value, proxy_replace_header_map_value, proxy_send_local_response,
    proxy_set_effective_context, proxy_set_property, proxy_set_shared_data,
    proxy_set_tick_period_milliseconds, random_get,
};
pub(crate) use refusal::{Refused, refused, take_refusals};
use refusal::{done, status};

/// The request side of a stream, for the two stream calls.
const REQUEST_STREAM: u32 = 0;

/// A kind of metric.
#[derive(Clone, Copy, Debug)]
pub(crate) enum MetricKind {
    /// It only grows.
    Counter = 0,
    /// It goes up and down.
    Gauge = 1,
    /// It keeps a distribution.
    Histogram = 2,
}

/// A log level of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Debug = 1,
    Info = 2,
    Warn = 3,
    Error = 4,
}

/// A header map of the host.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Map {
    Request = 0,
    Response = 2,
    Answer = 6,
}

/// A buffer of the host.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Buffer {
    RequestBody = 0,
    AnswerBody = 4,
    PluginConfiguration = 7,
}

/// Names a metric; the host made it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MetricId(u32);

/// Bytes that the host returned.
#[derive(Debug, Default)]
pub(crate) struct Returned(Vec<u8>);

impl Returned {
    /// To keep them.
    pub(crate) fn into_vec(self) -> Vec<u8> {
        self.0
    }
}

impl std::ops::Deref for Returned {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// Writes a line to the host's log.
pub(crate) fn log(level: Level, line: &str) {
    // SAFETY: the pointer and the length are of one live text; the host copies it.
    let _nothing_to_do_about_a_lost_line =
        unsafe { proxy_log(level as u32, line.as_ptr(), line.len()) };
}

/// The lowest level that the host writes.
pub(crate) fn log_level() -> Level {
    let mut level = 0_u32;
    // SAFETY: the host writes one u32 through a pointer to a live one.
    match (unsafe { proxy_get_log_level(&raw mut level) }, level) {
        (0, 0 | 1) => Level::Debug,
        (0, 3) => Level::Warn,
        (0, 4..) => Level::Error,
        _ => Level::Info,
    }
}

/// The host's wall clock.
pub(crate) fn now() -> Result<Moment, Refused> {
    let mut nanos = 0_u64;
    // SAFETY: the host writes one u64 through a pointer to a live one.
    done(Capability::Time, unsafe {
        proxy_get_current_time_nanoseconds(&raw mut nanos)
    })?;
    Ok(Moment::from_nanos(nanos))
}

/// Asks for ticks of the root context.
pub(crate) fn set_tick_period(period: Duration) -> Result<(), Refused> {
    let millis = u32::try_from(period.as_millis()).unwrap_or(u32::MAX);
    // SAFETY: no memory is involved.
    status(unsafe { proxy_set_tick_period_milliseconds(millis) })
}

/// Makes `context` the one that later calls are about.
pub(crate) fn set_effective_context(context: u32) -> Result<(), Refused> {
    // SAFETY: no memory is involved.
    status(unsafe { proxy_set_effective_context(context) })
}

/// Lets the held request of the current stream go on.
pub(crate) fn continue_request() -> Result<(), Refused> {
    // SAFETY: no memory is involved.
    done(Capability::ContinueStream, unsafe {
        proxy_continue_stream(REQUEST_STREAM)
    })
}

/// Whether requests may be let go at all: outside a stream the call has no effect.
pub(crate) fn may_continue_requests() -> Result<(), Refused> {
    // SAFETY: no memory is involved.
    status(unsafe { proxy_continue_stream(REQUEST_STREAM) })
}

/// Resets the current stream.
pub(crate) fn close_request() {
    // SAFETY: no memory is involved.
    let _counted = done(Capability::CloseStream, unsafe {
        proxy_close_stream(REQUEST_STREAM)
    });
}

/// Answers the client of the current stream; the host itself finds out whether it speaks gRPC.
pub(crate) fn send_local_response(
    refusal: &Refusal<'_>,
    details: &str,
    grpc_status: GrpcStatus,
) -> Result<(), Refused> {
    let Refusal {
        status,
        headers,
        body,
    } = refusal;
    // SAFETY: each pointer goes with the length of one live slice; the host copies them before it returns.
    done(Capability::LocalResponse, unsafe {
        proxy_send_local_response(
            u32::from(*status),
            details.as_ptr(),
            details.len(),
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            grpc_status as i32,
        )
    })
}

/// The first `max_bytes` of a buffer.
pub(crate) fn buffer(buffer: Buffer, max_bytes: usize) -> Result<Returned, Refused> {
    buffer_part(buffer, 0, max_bytes)
}

/// The bytes of a buffer from `start` on, `max_bytes` at most.
pub(crate) fn buffer_part(
    buffer: Buffer,
    start: usize,
    max_bytes: usize,
) -> Result<Returned, Refused> {
    // SAFETY: the host writes through the two pointers, which are live for the call.
    returned(Capability::Buffer, |data, size| unsafe {
        proxy_get_buffer_bytes(buffer as u32, start, max_bytes, data, size)
    })
}

/// A whole header map, as a list of pairs (see [`crate::pairs`]).
pub(crate) fn header_pairs(map: Map) -> Result<Returned, Refused> {
    // SAFETY: as in `buffer`.
    returned(Capability::HeaderPairs, |data, size| unsafe {
        proxy_get_header_map_pairs(map as u32, data, size)
    })
}

/// The first value of a header.
pub(crate) fn header(map: Map, name: &str) -> Result<Returned, Refused> {
    // SAFETY: the name is one live text that the host only reads; the rest as in `buffer`.
    returned(Capability::HeaderValue, |data, size| unsafe {
        proxy_get_header_map_value(map as u32, name.as_ptr(), name.len(), data, size)
    })
}

/// Takes every header of this name off.
pub(crate) fn remove_header(map: Map, name: &[u8]) {
    // SAFETY: the pointer and the length are of one live slice; the host only reads it.
    let _counted = done(Capability::RemoveHeader, unsafe {
        proxy_remove_header_map_value(map as u32, name.as_ptr(), name.len())
    });
}

/// Gives a header this one value.
pub(crate) fn set_header(map: Map, name: &str, value: &str) {
    // SAFETY: each pointer goes with the length of one live text; the host only reads them.
    let _counted = done(Capability::ReplaceHeader, unsafe {
        proxy_replace_header_map_value(
            map as u32,
            name.as_ptr(),
            name.len(),
            value.as_ptr(),
            value.len(),
        )
    });
}

/// A property; the parts of `path` are separated by zero bytes.
pub(crate) fn property(path: &[u8]) -> Result<Returned, Refused> {
    // SAFETY: the path is one live slice that the host only reads; the rest as in `buffer`.
    returned(Capability::Property, |data, size| unsafe {
        proxy_get_property(path.as_ptr(), path.len(), data, size)
    })
}

/// Sends an HTTP call; `headers` is a list of pairs (see [`crate::pairs`]). Gives the number that its answer will bear.
pub(crate) fn http_call(
    cluster: &str,
    headers: &[u8],
    body: &[u8],
    timeout: Duration,
) -> Result<u32, Refused> {
    /// A list of pairs with none in it.
    const NO_TRAILERS: [u8; 4] = [0; 4];
    // Never 0, which would be no timeout at all.
    let millis = u32::try_from(timeout.as_millis())
        .unwrap_or(u32::MAX)
        .max(1);
    let mut token = 0_u32;
    // SAFETY: each pointer goes with the length of one live slice or text, which the host copies; it writes one u32 through a pointer to a live one.
    status(unsafe {
        proxy_http_call(
            cluster.as_ptr(),
            cluster.len(),
            headers.as_ptr(),
            headers.len(),
            body.as_ptr(),
            body.len(),
            NO_TRAILERS.as_ptr(),
            NO_TRAILERS.len(),
            millis,
            &raw mut token,
        )
    })?;
    Ok(token)
}

/// Makes a metric known to the host.
pub(crate) fn define_metric(kind: MetricKind, name: &str) -> Result<MetricId, Refused> {
    let mut id = 0_u32;
    // SAFETY: the name is one live text that the host only reads; it writes one u32 through a pointer to a live one.
    done(Capability::DefineMetric, unsafe {
        proxy_define_metric(kind as u32, name.as_ptr(), name.len(), &raw mut id)
    })?;
    Ok(MetricId(id))
}

/// Adds to a counter or, with any sign, to a gauge, which is the sum over all VMs.
pub(crate) fn increment(metric: MetricId, by: i64) {
    // SAFETY: no memory is involved.
    let _counted = done(Capability::IncrementMetric, unsafe {
        proxy_increment_metric(metric.0, by)
    });
}

/// Adds a value to a histogram, or sets a gauge.
pub(crate) fn record(metric: MetricId, value: u64) {
    // SAFETY: no memory is involved.
    let _counted = done(Capability::RecordMetric, unsafe {
        proxy_record_metric(metric.0, value)
    });
}

/// Sets a property of the current stream, which Envoy keeps in its filter state as `wasm.<name>`.
pub(crate) fn set_property(name: &str, value: &str) {
    // SAFETY: each pointer goes with the length of one live text; the host copies them.
    let _counted = done(Capability::SetProperty, unsafe {
        proxy_set_property(name.as_ptr(), name.len(), value.as_ptr(), value.len())
    });
}

/// Names one state of a shared datum, to write the next one only where nobody else has.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cas(u32);

/// Why a shared datum was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotWritten {
    /// Another VM has written it meanwhile.
    Overtaken,
    /// The host refuses.
    Refused,
}

/// What the VMs of this gateway share under a key; `None` when nothing was ever written there.
pub(crate) fn shared_data(key: &str) -> Result<Option<(Returned, Cas)>, Refused> {
    let mut cas = Cas::default();
    // SAFETY: the key is one live text that the host only reads, and it writes one u32 through a pointer to a live one; the rest as in `buffer`.
    let read = returned(Capability::GetSharedData, |data, size| unsafe {
        proxy_get_shared_data(key.as_ptr(), key.len(), data, size, &raw mut cas.0)
    });
    match read {
        Ok(value) => Ok(Some((value, cas))),
        Err(Refused(1)) => Ok(None),
        Err(refused) => Err(refused),
    }
}

/// Writes what the VMs of this gateway share; `cas` is that of the state that was read, the default one for whatever there is.
pub(crate) fn set_shared_data(key: &str, value: &[u8], cas: Cas) -> Result<(), NotWritten> {
    // SAFETY: each pointer goes with the length of one live slice; the host copies them.
    let code = unsafe {
        proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), cas.0)
    };
    match code {
        0 => Ok(()),
        8 => Err(NotWritten::Overtaken),
        _ => {
            refused(Capability::SetSharedData);
            Err(NotWritten::Refused)
        }
    }
}

/// Ends the current root context, which had asked for time to finish.
pub(crate) fn root_is_done() -> Result<(), Refused> {
    // SAFETY: no memory is involved.
    done(Capability::Done, unsafe { proxy_done() })
}

/// 64 random bits; without the host's generator they are mixed from the time and addresses, different per root context but not secret.
pub(crate) fn random_bits(context: u32) -> u64 {
    let mut bytes = [0_u8; 8];
    // SAFETY: the host writes as many bytes as the live array has.
    if unsafe { random_get(bytes.as_mut_ptr(), bytes.len()) } == 0 {
        return u64::from_le_bytes(bytes);
    }
    refused(Capability::Random);
    let stack = &raw const bytes as usize as u64;
    let heap = Box::into_raw(Box::new(0_u8));
    let heap_address = heap as usize as u64;
    // SAFETY: the pointer came from `Box::into_raw` in the line above and is used nowhere else.
    drop(unsafe { Box::from_raw(heap) });
    let time = now().map_or(0, |moment| moment.unix_millis().0);
    [stack, heap_address, u64::from(context)]
        .into_iter()
        .fold(time, |mixed, next| {
            (mixed ^ next)
                .wrapping_mul(0x9E37_79B9_7F4A_7C15)
                .rotate_left(29)
        })
}

/// Runs a call that returns data. No data at all is empty data.
fn returned(
    name: Capability,
    call: impl FnOnce(*mut *mut u8, *mut usize) -> u32,
) -> Result<Returned, Refused> {
    let mut data: *mut u8 = null_mut();
    let mut size = 0_usize;
    status(call(&raw mut data, &raw mut size)).inspect_err(|fault| {
        // What is not there is no refusal.
        if fault.is_denial() {
            refused(name);
        }
    })?;
    if data.is_null() || size == 0 {
        return Ok(Returned::default());
    }
    // SAFETY: the host got the memory from `proxy_on_memory_allocate(size)`, which leaks a boxed slice of that size from the same allocator,
    // and wrote all of it, and keeps no pointer to it.
    Ok(Returned(unsafe { Vec::from_raw_parts(data, size, size) }))
}
