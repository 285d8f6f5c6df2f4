//! The only thing that lets a request go upstream.

use ase_core::transaction::{FailureClass, GatewayDecision};

use super::ReplyReason;
use crate::config::OffReason;

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
    /// The mode is local, and the gateway's image rules a block out: it passes unasked.
    Local,
    /// ASE does not know the API, and that is set to pass.
    Unregistered,
    /// No verdict could be had, and the class is open.
    FailOpen(FailureClass),
    /// The mode is shadow: in `sync` it would have been answered for this reason.
    Shadow(ReplyReason),
    /// It is not looked at, for this reason.
    NotAsked(OffReason),
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
    /// As records say it; `None` for a request of which there is no record.
    #[must_use]
    pub fn decision(self) -> Option<GatewayDecision> {
        match self {
            Self::Verdict => Some(GatewayDecision::Verdict),
            Self::Async => Some(GatewayDecision::Async),
            Self::Local => Some(GatewayDecision::Local),
            Self::Unregistered => Some(GatewayDecision::Unregistered),
            Self::FailOpen(class) => Some(GatewayDecision::FailOpen(class)),
            Self::Shadow(ReplyReason::Denied) => Some(GatewayDecision::ShadowDenied),
            Self::Shadow(ReplyReason::Unregistered) => {
                Some(GatewayDecision::ShadowUnregisteredBlocked)
            }
            Self::Shadow(ReplyReason::Failed(class)) => {
                Some(GatewayDecision::ShadowFailedClosed(class))
            }
            Self::NotAsked(_) => None,
        }
    }

    /// In one word, and the failure class where there is one: `verdict`, `fail_open_timeout`, `not_asked_share`.
    #[must_use]
    pub fn label(self) -> String {
        match (self, self.decision()) {
            (Self::NotAsked(OffReason::Route), _) => "not_asked_route".to_owned(),
            (Self::NotAsked(OffReason::Share), _) | (_, None) => "not_asked_share".to_owned(),
            (_, Some(decision)) => super::label(decision),
        }
    }

    /// Why there was no verdict, where there was none.
    #[must_use]
    pub fn cause(self) -> Option<FailureClass> {
        match self {
            Self::FailOpen(class) | Self::Shadow(ReplyReason::Failed(class)) => Some(class),
            Self::Verdict
            | Self::Async
            | Self::Local
            | Self::Unregistered
            | Self::Shadow(ReplyReason::Denied | ReplyReason::Unregistered)
            | Self::NotAsked(_) => None,
        }
    }
}
