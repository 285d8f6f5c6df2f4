//! A call that the host refuses: its status, counted until the next tick tells of it.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::capability::Capability;

/// Why a host call did nothing: the status of the ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused(pub(crate) u32);

impl Refused {
    /// Whether the host does not offer the call at all (10 internal failure, 12 unimplemented), as against a call out of season.
    pub(crate) fn is_denial(self) -> bool {
        matches!(self.0, 10 | 12)
    }

    /// Whether the host understood the call and not what it is about.
    pub(crate) fn is_bad_argument(self) -> bool {
        self.0 == 2
    }
}

/// How often each call was refused since [`take_refusals`], for all contexts of the VM.
static REFUSALS: [AtomicU32; Capability::ALL.len()] =
    [const { AtomicU32::new(0) }; Capability::ALL.len()];

/// Counts a refusal.
pub(crate) fn refused(call: Capability) {
    if let Some(count) = REFUSALS.get(call as usize) {
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// What was refused since the last time, and how often.
pub(crate) fn take_refusals() -> impl Iterator<Item = (Capability, u32)> {
    let counts = Capability::ALL.into_iter().zip(&REFUSALS);
    counts
        .map(|(call, count)| (call, count.swap(0, Ordering::Relaxed)))
        .filter(|(_, times)| *times > 0)
}

/// The status of a call; whether a failure is counted is up to the caller.
pub(super) fn status(status: u32) -> Result<(), Refused> {
    if status == 0 {
        Ok(())
    } else {
        Err(Refused(status))
    }
}

/// The status of a call; a failure is counted.
pub(super) fn done(call: Capability, code: u32) -> Result<(), Refused> {
    status(code).inspect_err(|_| refused(call))
}
