//! What the host calls: one exported function for each hook of proxy-wasm 0.2.1 that the filter works in, and no others.
//!
//! A hook that is not exported costs a stream nothing, so those of bodies of responses, of trailers and of connections are left out. The second of the two modules
//! with `unsafe`, for the sake of the exported names alone.
#![expect(
    unsafe_code,
    reason = "an exported name could be one that something else relies on; these are the ABI's and nobody else's"
)]

use crate::exchange::CalloutToken;
use crate::plugin::{self, Action, Shown};

unsafe extern "C" {
    fn __wasm_call_ctors();
}

/// The host calls this before anything else.
#[unsafe(no_mangle)]
extern "C" fn _initialize() {
    // SAFETY: the linker makes it, of the initialisers of statics; it is called once, before anything else runs.
    unsafe { __wasm_call_ctors() }
}

/// Says which version of the ABI is spoken.
#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

/// Memory for what the host returns, which [`crate::host`] takes over.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    Box::into_raw(Box::<[u8]>::new_uninit_slice(size)).cast()
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(context: u32, root: u32) {
    plugin::create(context, root);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_vm_start(_root: u32, _size: usize) -> u32 {
    1
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(root: u32, size: usize) -> u32 {
    u32::from(plugin::on_root(root, |root| root.on_configure(size)).unwrap_or(false))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_tick(root: u32) {
    plugin::tick(root);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(context: u32, _headers: usize, _end: u32) -> u32 {
    held_unless(plugin::on_stream(context, |stream| {
        stream.on_request_headers()
    }))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_body(context: u32, size: usize, end: u32) -> u32 {
    let shown = if end == 0 { Shown::NotAll } else { Shown::All };
    held_unless(plugin::on_stream(context, |stream| {
        stream.on_request_body(size, shown)
    }))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_trailers(context: u32, _trailers: usize) -> u32 {
    held_unless(plugin::on_stream(context, |stream| {
        stream.on_request_trailers()
    }))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_headers(context: u32, _headers: usize, _end: u32) -> u32 {
    plugin::on_stream(context, |stream| stream.on_response_headers());
    Action::Continue as u32
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_http_call_response(
    _context: u32,
    token: u32,
    headers: usize,
    body_size: usize,
    _trailers: usize,
) {
    plugin::on_answer(CalloutToken(token), headers, body_size);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_log(context: u32) {
    plugin::on_stream(context, |stream| stream.on_log());
}

/// Whether the context has nothing left to do. Only a root context ever has.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_done(context: u32) -> u32 {
    u32::from(plugin::on_root(context, plugin::Root::on_done).unwrap_or(true))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_delete(context: u32) {
    plugin::delete(context);
}

/// A request of which nothing is known is held.
fn held_unless(action: Option<Action>) -> u32 {
    action.unwrap_or(Action::Pause) as u32
}
