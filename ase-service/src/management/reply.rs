//! What the management port answers: JSON, and refusals in the shape of the path's family.
//!
//! A refusal names every fault and nothing of the inside.

use std::fmt::Display;

use ase_core::fault::Faults;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};

use crate::state::StateError;

/// A call that is not done, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) faults: Vec<String>,
}

impl Refusal {
    /// The caller is wrong, in one way.
    pub(super) fn wrong(fault: impl Into<String>) -> Self {
        Self::of(StatusCode::BAD_REQUEST, fault)
    }

    /// What the call names is not there.
    pub(super) fn absent(fault: impl Into<String>) -> Self {
        Self::of(StatusCode::NOT_FOUND, fault)
    }

    /// The call is at odds with what is there.
    pub(super) fn conflict(fault: impl Into<String>) -> Self {
        Self::of(StatusCode::CONFLICT, fault)
    }

    /// ASE itself failed; an operator should look.
    pub(super) fn broken(error: &dyn Display) -> Self {
        tracing::error!(%error, "a management call failed");
        Self::of(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    }

    fn of(status: StatusCode, fault: impl Into<String>) -> Self {
        Self {
            status,
            faults: vec![fault.into()],
        }
    }

    /// As the calls under `/v1` say it.
    pub(super) fn plain(self) -> Response {
        reply(self.status, &json!({"faults": self.faults}))
    }

    /// As the calls under `/v4/ase` and `/v5/ase` say it.
    pub(super) fn documented(self) -> Response {
        let message = self.faults.join("; ");
        let body = json!({"status": "failed", "status_message": message, "faults": self.faults});
        reply(self.status, &body)
    }
}

impl From<StateError> for Refusal {
    fn from(error: StateError) -> Self {
        Self::broken(&error)
    }
}

impl From<Faults> for Refusal {
    fn from(faults: Faults) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            faults: faults.iter().map(ToString::to_string).collect(),
        }
    }
}

/// The answer to a call under `/v1`.
pub(super) fn plain(status: StatusCode, answered: Result<Value, Refusal>) -> Response {
    match answered {
        Ok(body) => reply(status, &body),
        Err(refusal) => refusal.plain(),
    }
}

/// The answer to a call under `/v4/ase` or `/v5/ase`.
pub(super) fn documented(answered: Result<Value, Refusal>) -> Response {
    match answered {
        Ok(body) => reply(StatusCode::OK, &body),
        Err(refusal) => refusal.documented(),
    }
}

/// A JSON answer.
pub(super) fn reply(status: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(Body::from(format!("{body}\n")));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let json = HeaderValue::from_static("application/json");
    headers.insert(header::CONTENT_TYPE, json);
    let unkept = HeaderValue::from_static("no-store");
    headers.insert(header::CACHE_CONTROL, unkept);
    response
}

/// A document of another kind than JSON.
pub(super) fn document(kind: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
