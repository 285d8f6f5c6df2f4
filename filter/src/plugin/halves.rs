//! What `per_call` delivery sends of an exchange: what ASE has not heard and can still use.

use ase_core::transaction::wire::{Record, Write};
use ase_core::transaction::{FailureClass, GatewayDecision};

use crate::outbox::Halves;
use crate::site::Site;

/// What `per_call` delivery has to send of an exchange: nothing of one that ASE has refused, denied or does not know, and nothing of a missing response.
pub(super) fn halves_to_send(record: &Record<'_>, site: Site) -> Option<Halves> {
    use FailureClass as Class;
    let response = || record.response.map(written);
    match record.course.decision {
        GatewayDecision::Async
        | GatewayDecision::Local
        | GatewayDecision::FailOpen(
            Class::Unreachable | Class::NotDispatched | Class::Misconfigured | Class::CoolingDown,
        )
        | GatewayDecision::ShadowFailedClosed(
            Class::Unreachable | Class::NotDispatched | Class::Misconfigured | Class::CoolingDown,
        ) => Some(Halves::RequestThenResponse(
            written(record.request),
            response(),
        )),
        // The question may have arrived; an ASE that has not seen it refuses the response, which is counted.
        GatewayDecision::Verdict
        | GatewayDecision::FailOpen(
            Class::Timeout | Class::BadReply | Class::ResetAfterHeaders | Class::Ase5xx,
        )
        | GatewayDecision::ShadowFailedClosed(
            Class::Timeout | Class::BadReply | Class::ResetAfterHeaders | Class::Ase5xx,
        ) => response().map(|half| Halves::Response(half, site)),
        GatewayDecision::FailOpen(Class::Undecidable | Class::AseRejected)
        | GatewayDecision::ShadowFailedClosed(Class::Undecidable | Class::AseRejected)
        | GatewayDecision::ShadowDenied
        | GatewayDecision::ShadowUnregisteredBlocked
        | GatewayDecision::Unregistered
        | GatewayDecision::Denied
        | GatewayDecision::UnregisteredBlocked
        | GatewayDecision::FailedClosed(_)
        | GatewayDecision::Undecided => None,
    }
}

fn written(write: &Write<'_>) -> Vec<u8> {
    let mut half = Vec::new();
    write(&mut half);
    half
}
