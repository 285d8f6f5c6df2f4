//! Threads that work behind the answers: where all cores are busy, whoever answers gateways goes first.

use rustix::process::setpriority_process;

/// How far they stand back, as `nice` counts: a third of an answering thread's share of a busy core.
const NICE: i32 = 5;

/// Lets the present thread stand back. On Linux a thread has a nice value of its own; elsewhere the whole process would stand back, so nothing is done.
pub fn stand_back() {
    if cfg!(target_os = "linux")
        && let Err(error) = setpriority_process(None, NICE)
    {
        tracing::debug!(%error, "a thread works at the usual priority");
    }
}
