//! The filter's own answer to a client.

use std::borrow::Cow;

use ase_core::transaction::{FailureClass, GatewayDecision};

use crate::config::{Config, Reply};
use crate::dialect::GrpcStatus;

/// Answers one client instead of upstream. Only [`crate::exchange`] makes one.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a client whose reply is dropped waits for ever"]
pub struct LocalReply {
    reason: ReplyReason,
}

/// Why the client is answered by the filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyReason {
    /// ASE said 403.
    Denied,
    /// ASE does not know the API, and that is set to block.
    Unregistered,
    /// No verdict could be had, and the class is closed.
    Failed(FailureClass),
}

impl LocalReply {
    pub(in crate::exchange) fn because(reason: ReplyReason) -> Self {
        Self { reason }
    }

    /// Why the client is answered by the filter.
    #[must_use]
    pub fn reason(&self) -> ReplyReason {
        self.reason
    }

    /// Status, headers and body, as configured.
    #[must_use]
    pub fn content<'c>(&self, config: &'c Config) -> &'c Reply {
        match self.reason {
            ReplyReason::Denied | ReplyReason::Unregistered => config.block(),
            ReplyReason::Failed(class) => config.failure_reply(class),
        }
    }

    /// What a gRPC client is told, whatever the HTTP status is configured to be.
    #[must_use]
    pub fn grpc_status(&self) -> GrpcStatus {
        match self.reason {
            ReplyReason::Denied | ReplyReason::Unregistered => GrpcStatus::PermissionDenied,
            ReplyReason::Failed(_) => GrpcStatus::Unavailable,
        }
    }

    /// The response-code details for the host's access log: as configured for a verdict of ASE, else `ase_unregistered_blocked` or
    /// `ase_failed_closed_<class>`.
    #[must_use]
    pub fn details<'c>(&self, config: &'c Config) -> Cow<'c, str> {
        match self.reason {
            ReplyReason::Denied => Cow::Borrowed(config.block_details()),
            ReplyReason::Unregistered => Cow::Borrowed("ase_unregistered_blocked"),
            ReplyReason::Failed(_) => Cow::Owned(["ase_", &self.reason.label()].concat()),
        }
    }
}

impl ReplyReason {
    /// In one word, and the failure class where there is one: `denied`, `failed_closed_timeout`.
    #[must_use]
    pub fn label(self) -> String {
        super::label(self.decision())
    }

    /// Why there was no verdict, where there was none.
    #[must_use]
    pub fn cause(self) -> Option<FailureClass> {
        match self {
            Self::Failed(class) => Some(class),
            Self::Denied | Self::Unregistered => None,
        }
    }

    /// As records say it.
    #[must_use]
    pub fn decision(self) -> GatewayDecision {
        match self {
            Self::Denied => GatewayDecision::Denied,
            Self::Unregistered => GatewayDecision::UnregisteredBlocked,
            Self::Failed(class) => GatewayDecision::FailedClosed(class),
        }
    }
}
