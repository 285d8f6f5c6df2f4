//! Carries refusals out: the client is answered, or its stream reset where the host does not allow that. Never a third way.

use std::borrow::Cow;

use crate::config::Reply;
use crate::dialect::{Dialect, GrpcStatus, Refusal};
use crate::host;
use crate::host_profile::{HostCall, HostProfile};
use crate::pairs;

/// Answers the client, or resets its stream where the host does not allow that.
pub(super) fn refuse(
    at_host: HostProfile,
    refusal: &Refusal<'_>,
    details: &str,
    grpc_status: GrpcStatus,
) {
    let (details, body) = at_host.local_reply(details, &refusal.body);
    let refusal = Refusal {
        status: refusal.status,
        headers: Cow::Borrowed(&refusal.headers),
        body: Cow::Borrowed(body),
    };
    if host::send_local_response(&refusal, details, grpc_status).is_err()
        && at_host.offers(HostCall::CloseStream)
    {
        host::close_request();
    }
}

/// Refuses a request for which there is no configuration.
pub(super) fn unconfigured() {
    let reply = Reply {
        status: 503,
        body: "Service Unavailable\n".to_owned(),
        headers: pairs::write::<&str>(&[]),
    };
    let unavailable = GrpcStatus::Unavailable;
    refuse(
        HostProfile::default(),
        &Dialect::Http.put(&reply, unavailable),
        "ase_unconfigured",
        unavailable,
    );
}
