//! Carries refusals out: the client is answered, or its stream reset where the host does not allow that. Never a third way.

use crate::config::Reply;
use crate::dialect::{Dialect, GrpcStatus, Refusal};
use crate::host::{self, Level};
use crate::pairs;

/// Answers the client, or resets its stream where the host does not allow that. Whether it was answered.
pub(super) fn refuse(refusal: &Refusal<'_>, details: &str, grpc_status: GrpcStatus) -> bool {
    let answered = host::send_local_response(refusal, details, grpc_status).is_ok();
    if !answered && host::close_request().is_err() {
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
        &Dialect::Http.put(&reply, unavailable),
        "ase_unconfigured",
        unavailable,
    );
}
