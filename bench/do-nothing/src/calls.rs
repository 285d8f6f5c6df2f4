//! The host calls that our filter makes for a request, and none of its work: what any filter costs that tells as much.
//!
//! What the host returns is sent as it comes: in `async` with the next tick's batch, in `sync` as the question, too. Nothing is checked or counted, no failure
//! has a policy: this is a measuring rod, not a filter.

use std::cell::RefCell;

const OK: u32 = 0;
const REQUEST: u32 = 0;
const RESPONSE: u32 = 2;
const ANSWER: u32 = 6;
const PLUGIN_CONFIGURATION: u32 = 7;
const TICK_MS: u32 = 50;
/// As long as every variant of `make bench` waits.
const TIMEOUT_MS: u32 = 5000;
/// Without a tick nothing leaves, so what gathers is bounded.
const MOST_BYTES: usize = 4 << 20;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_get_buffer_bytes(
        buffer: u32,
        start: usize,
        max_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_get_property(
        path: *const u8,
        path_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    fn proxy_set_effective_context(context: u32) -> u32;
    fn proxy_continue_stream(stream: u32) -> u32;
    fn proxy_http_call(
        cluster: *const u8,
        cluster_size: usize,
        headers: *const u8,
        headers_size: usize,
        body: *const u8,
        body_size: usize,
        trailers: *const u8,
        trailers_size: usize,
        timeout: u32,
        token: *mut u32,
    ) -> u32;
}

/// Whose calls are made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Nobodys,
    Async,
    Sync,
}

struct Calls {
    mode: Mode,
    batch: Vec<u8>,
    /// Which stream each question is about.
    asked: Vec<(u32, u32)>,
}

thread_local! {
    static CALLS: RefCell<Calls> = const { RefCell::new(Calls { mode: Mode::Nobodys, batch: Vec::new(), asked: Vec::new() }) };
}

fn with<T>(act: impl FnOnce(&mut Calls) -> T) -> T {
    CALLS.with(|calls| act(&mut calls.borrow_mut()))
}

/// The configuration is the name of a mode, or nothing.
pub(crate) fn configure(size: usize) {
    // SAFETY: the host writes through two pointers to live variables.
    let name = returned(|data, length| unsafe {
        proxy_get_buffer_bytes(PLUGIN_CONFIGURATION, 0, size, data, length)
    });
    let mode = match &*name {
        b"async" => Mode::Async,
        b"sync" => Mode::Sync,
        _ => return,
    };
    with(|calls| calls.mode = mode);
    // SAFETY: no memory is involved.
    unsafe { proxy_set_tick_period_milliseconds(TICK_MS) };
}

/// Whether the request is held.
pub(crate) fn on_request(context: u32) -> bool {
    with(|calls| {
        if calls.mode == Mode::Nobodys {
            return false;
        }
        let headers = pairs(REQUEST);
        let (address, protocol) = (property(b"source\0address"), property(b"request\0protocol"));
        now();
        let asked = (calls.mode == Mode::Sync)
            .then(|| call("/ase/request", &headers))
            .flatten();
        for told in [headers, address, protocol] {
            calls.gather(&told);
        }
        if let Some(token) = asked {
            calls.asked.push((token, context));
        }
        asked.is_some()
    })
}

pub(crate) fn on_answer(token: u32) {
    let asked = with(|calls| {
        let at = calls.asked.iter().position(|(known, _)| *known == token)?;
        Some(calls.asked.swap_remove(at).1)
    });
    if let Some(context) = asked {
        // SAFETY: no memory is involved.
        unsafe { proxy_set_effective_context(context) };
        drop(pairs(ANSWER));
        now();
        // SAFETY: no memory is involved.
        unsafe { proxy_continue_stream(0) };
    }
}

pub(crate) fn on_response() {
    with(|calls| {
        if calls.mode != Mode::Nobodys {
            calls.gather(&pairs(RESPONSE));
        }
    });
}

pub(crate) fn on_log() {
    with(|calls| {
        if calls.mode != Mode::Nobodys {
            now();
        }
    });
}

pub(crate) fn on_tick() {
    with(|calls| {
        if !calls.batch.is_empty() {
            call("/ase/batch", &calls.batch);
            calls.batch.clear();
        }
    });
}

impl Calls {
    fn gather(&mut self, told: &[u8]) {
        if self.batch.len() < MOST_BYTES {
            self.batch.extend_from_slice(told);
        }
    }
}

fn pairs(map: u32) -> Vec<u8> {
    // SAFETY: as in `configure`.
    returned(|data, size| unsafe { proxy_get_header_map_pairs(map, data, size) })
}

fn property(path: &[u8]) -> Vec<u8> {
    // SAFETY: the path is one live slice; the rest as in `configure`.
    returned(|data, size| unsafe { proxy_get_property(path.as_ptr(), path.len(), data, size) })
}

fn now() {
    let mut time = 0;
    // SAFETY: the host writes one u64 through a pointer to a live one.
    unsafe { proxy_get_current_time_nanoseconds(&raw mut time) };
}

/// The token of the call, where the host has sent it.
fn call(path: &str, body: &[u8]) -> Option<u32> {
    let headers = list(&[
        (":method", "POST"),
        (":path", path),
        (":authority", "ase"),
        ("content-type", "application/json"),
        ("x-correlation-id", "0123456789abcdef-0123456789abcdef"),
    ]);
    let (cluster, none) = ("ase", [0_u8; 4]);
    let mut token = 0;
    // SAFETY: each pointer goes with the length of one live slice or text; the host writes one u32 through a pointer to a live one.
    let status = unsafe {
        proxy_http_call(
            cluster.as_ptr(),
            cluster.len(),
            headers.as_ptr(),
            headers.len(),
            body.as_ptr(),
            body.len(),
            none.as_ptr(),
            none.len(),
            TIMEOUT_MS,
            &raw mut token,
        )
    };
    (status == OK).then_some(token)
}

/// A list of pairs as the ABI wants it.
fn list(pairs: &[(&str, &str)]) -> Vec<u8> {
    let texts = || pairs.iter().flat_map(|(name, value)| [name, value]);
    let length = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
    let mut out = length(pairs.len()).to_vec();
    out.extend(texts().flat_map(|text| length(text.len())));
    for text in texts() {
        out.extend_from_slice(text.as_bytes());
        out.push(0);
    }
    out
}

fn returned(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Vec<u8> {
    let (mut data, mut size) = (std::ptr::null_mut(), 0);
    if call(&raw mut data, &raw mut size) != OK || data.is_null() {
        return Vec::new();
    }
    // SAFETY: the host got the memory from `proxy_on_memory_allocate`, which leaks a boxed slice of that size, and keeps no pointer to it.
    unsafe { Vec::from_raw_parts(data, size, size) }
}
