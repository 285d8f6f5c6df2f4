//! Who makes a change, for the audit log.

use std::convert::Infallible;
use std::net::SocketAddr;

use axum::extract::FromRequestParts;
use axum::http::header::USER_AGENT;
use axum::http::request::Parts;

use super::{ACCESS_KEY, CLI_AGENT, Management, reply::Refusal};
use crate::audit::Subject;
use crate::clock;

/// The other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Peer(pub(super) SocketAddr);

/// Who calls.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    subject: Subject,
    peer: String,
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let agent = parts.headers.get(USER_AGENT);
        let cli = agent.is_some_and(|agent| agent.as_bytes().starts_with(CLI_AGENT.as_bytes()));
        let peer = parts.extensions.get::<Peer>();
        Ok(Self {
            // By its own word: whoever shows the secret may change everything anyway.
            subject: if cli { Subject::Cli } else { Subject::Rest },
            peer: peer.map_or_else(|| "unknown".to_owned(), |peer| peer.0.to_string()),
        })
    }
}

impl Management {
    /// Writes a change down; to be called after it is stored and before it is answered.
    ///
    /// # Errors
    /// When the disk does not take the line; the change holds all the same, and the refusal says so.
    pub(super) fn audited(
        &self,
        caller: &Caller,
        action: &str,
        resources: &[(&str, &str)],
    ) -> Result<(), Refusal> {
        let mut all = vec![("username", ACCESS_KEY), ("peer", caller.peer.as_str())];
        all.extend_from_slice(resources);
        let recorded = self
            .audit
            .record(clock::now(), caller.subject, action, &all);
        tracing::info!(
            action,
            subject = caller.subject.as_str(),
            peer = caller.peer,
            ?resources,
            "changed"
        );
        recorded.map_err(|error| {
            Refusal::broken(&format_args!(
                "the change holds, but the audit log did not take it: {error}"
            ))
        })
    }
}
