//! The only thing that lets a request go upstream.

use ase_core::transaction::{FailureClass, GatewayDecision};

/// Lets one request go upstream, for a stated reason. Only [`crate::exchange`] makes one; it cannot be copied.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a request whose permit is dropped stays held"]
pub struct Permit {
    reason: PermitReason,
}

/// Why a request may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PermitReason {
    /// ASE said 200.
    Verdict,
    /// The mode is async: it passes unasked.
    Async,
    /// ASE does not know the API, and that is set to pass.
    Unregistered,
    /// No verdict could be had, and the class is open.
    FailOpen(FailureClass),
}

impl Permit {
    pub(in crate::exchange) fn grant(reason: PermitReason) -> Self {
        Self { reason }
    }

    /// Why the request may pass.
    #[must_use]
    pub fn reason(&self) -> PermitReason {
        self.reason
    }
}

impl PermitReason {
    /// As records say it.
    #[must_use]
    pub fn decision(self) -> GatewayDecision {
        match self {
            Self::Verdict => GatewayDecision::Verdict,
            Self::Async => GatewayDecision::Async,
            Self::Unregistered => GatewayDecision::Unregistered,
            Self::FailOpen(class) => GatewayDecision::FailOpen(class),
        }
    }
}
