//! A proxy-wasm filter that does nothing: what a filter costs at the least.
//!
//! It exports just what our filter does (`filter/src/hooks.rs`) and has no SDK either, so the host calls it as often and every difference is our filter's work.
//! Every hook continues at once; none calls the host, unless the configuration names a mode of our filter: then those calls are made that it makes (`calls.rs`).
#![cfg(target_arch = "wasm32")]
#![expect(
    unsafe_code,
    reason = "an exported name could be one that something else relies on; these are the ABI's and nobody else's; and the raw host calls"
)]

mod calls;

/// The request or response goes on.
const CONTINUE: u32 = 0;
const PAUSE: u32 = 1;
const YES: u32 = 1;

unsafe extern "C" {
    fn __wasm_call_ctors();
}

#[unsafe(no_mangle)]
extern "C" fn _initialize() {
    // SAFETY: the linker makes it, of the initialisers of statics; it is called once, before anything else runs.
    unsafe { __wasm_call_ctors() }
}

#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

/// Memory for what the host returns.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    Box::into_raw(Box::<[u8]>::new_uninit_slice(size)).cast()
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(_context: u32, _root: u32) {}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_vm_start(_root: u32, _size: usize) -> u32 {
    YES
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(_root: u32, size: usize) -> u32 {
    calls::configure(size);
    YES
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_tick(_root: u32) {
    calls::on_tick();
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(context: u32, _headers: usize, _end: u32) -> u32 {
    if calls::on_request(context) {
        PAUSE
    } else {
        CONTINUE
    }
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_body(_context: u32, _size: usize, _end: u32) -> u32 {
    CONTINUE
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_trailers(_context: u32, _trailers: usize) -> u32 {
    CONTINUE
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_headers(_context: u32, _headers: usize, _end: u32) -> u32 {
    calls::on_response();
    CONTINUE
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_http_call_response(
    _context: u32,
    token: u32,
    _headers: usize,
    _body_size: usize,
    _trailers: usize,
) {
    calls::on_answer(token);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_log(_context: u32) {
    calls::on_log();
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_done(_context: u32) -> u32 {
    YES
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_delete(_context: u32) {}
