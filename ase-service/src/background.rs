//! Threads that work behind the answers: where all cores are busy, whoever answers gateways goes first.
//!
//! A thread that stands back cannot come forward again without privileges: what must not be starved for seconds is never last.

use rustix::process::setpriority_process;

/// How far a thread stands back, as `nice` counts.
#[derive(Clone, Copy, Debug)]
#[repr(i32)]
pub enum Place {
    /// A third of an answering thread's share of a busy core.
    Behind = 5,
    /// What the others leave, and next to nothing of a busy core: an answering thread that wakes up goes on at once.
    Last = 19,
}

/// Lets the present thread stand back. On Linux a thread has a nice value of its own; elsewhere the whole process would stand back, so nothing is done.
pub fn stand_back(place: Place) {
    if cfg!(target_os = "linux")
        && let Err(error) = setpriority_process(None, place as i32)
    {
        tracing::debug!(%error, "a thread works at the usual priority");
    }
}
