//! What happens to a request when no verdict can be had, as a value: one action per failure class.

use ase_core::transaction::FailureClass;

/// What happens to one request without a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureAction {
    /// It passes.
    Open,
    /// It is refused.
    Closed,
}

/// The action of each class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailurePolicy {
    timeout: FailureAction,
    unreachable: FailureAction,
    bad_reply: FailureAction,
    reset_after_headers: FailureAction,
    ase_5xx: FailureAction,
    undecidable: FailureAction,
    ase_rejected: FailureAction,
    not_dispatched: FailureAction,
    misconfigured: FailureAction,
    cooling_down: FailureAction,
}

impl FailurePolicy {
    /// The policy with this action for every class.
    #[must_use]
    pub const fn all(action: FailureAction) -> Self {
        Self {
            timeout: action,
            unreachable: action,
            bad_reply: action,
            reset_after_headers: action,
            ase_5xx: action,
            undecidable: action,
            ase_rejected: action,
            not_dispatched: action,
            misconfigured: action,
            cooling_down: action,
        }
    }

    /// The policy that asks `choose` for each class.
    pub fn by_class(mut choose: impl FnMut(FailureClass) -> FailureAction) -> Self {
        Self {
            timeout: choose(FailureClass::Timeout),
            unreachable: choose(FailureClass::Unreachable),
            bad_reply: choose(FailureClass::BadReply),
            reset_after_headers: choose(FailureClass::ResetAfterHeaders),
            ase_5xx: choose(FailureClass::Ase5xx),
            undecidable: choose(FailureClass::Undecidable),
            ase_rejected: choose(FailureClass::AseRejected),
            not_dispatched: choose(FailureClass::NotDispatched),
            misconfigured: choose(FailureClass::Misconfigured),
            cooling_down: choose(FailureClass::CoolingDown),
        }
    }

    /// The action of `class`.
    #[must_use]
    pub fn of(self, class: FailureClass) -> FailureAction {
        match class {
            FailureClass::Timeout => self.timeout,
            FailureClass::Unreachable => self.unreachable,
            FailureClass::BadReply => self.bad_reply,
            FailureClass::ResetAfterHeaders => self.reset_after_headers,
            FailureClass::Ase5xx => self.ase_5xx,
            FailureClass::Undecidable => self.undecidable,
            FailureClass::AseRejected => self.ase_rejected,
            FailureClass::NotDispatched => self.not_dispatched,
            FailureClass::Misconfigured => self.misconfigured,
            FailureClass::CoolingDown => self.cooling_down,
        }
    }
}
