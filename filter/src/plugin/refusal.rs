//! Carries refusals out: the client is answered, or its stream reset where the host does not allow that. Never a third way.

use std::borrow::Cow;

use crate::config::Reply;
use crate::dialect::{Dialect, GrpcStatus, Refusal};
use crate::host::{self, Level};
use crate::host_profile::{HostCall, HostProfile};
use crate::pairs;

/// Answers the client, or resets its stream where the host does not allow that. Whether it was answered.
pub(super) fn refuse(
    at_host: HostProfile,
    refusal: &Refusal<'_>,
    details: &str,
    grpc_status: GrpcStatus,
) -> bool {
    let (details, body) = at_host.local_reply(details, &refusal.body);
    let refusal = Refusal {
        status: refusal.status,
        headers: Cow::Borrowed(&refusal.headers),
        body: Cow::Borrowed(body),
    };
    let answered = host::send_local_response(&refusal, details, grpc_status).is_ok();
    let is_reset = || at_host.offers(HostCall::CloseStream) && host::close_request().is_ok();
    if !answered && !is_reset() {
        host::log(
            Level::Error,
            "ase: the host refuses proxy_send_local_response and proxy_close_stream: a denied request stays held",
        );
    }
    answered
}

/// Refuses a request for which there is no configuration.
pub(super) fn unconfigured() {
    let reply = Reply {
        status: 503,
        body: "Service Unavailable\n".to_owned(),
        headers: pairs::write(&[]),
    };
    let unavailable = GrpcStatus::Unavailable;
    refuse(
        HostProfile::default(),
        &Dialect::Http.put(&reply, unavailable),
        "ase_unconfigured",
        unavailable,
    );
}
