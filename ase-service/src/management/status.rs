//! The calls that only show: what is served, what was counted, and the OpenAPI document.

use std::sync::Arc;

use ase_core::registry::{ApiDefinition, Blocking, Decoys, Protocol};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::Management;
use super::openapi::{self, Schema};
use super::reply::reply;
use super::route::{Route, Verb};
use super::{settings, switches};
use crate::clock;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(
            Verb::Get,
            "/v1/status",
            ("status", "What ASE serves and how it is set"),
            Schema::Status,
            status,
        ),
        Route::new(
            Verb::Get,
            "/v1/counters",
            ("counters", "What ASE has counted, by group"),
            Schema::Counters,
            counters,
        ),
        Route::new(
            Verb::Get,
            "/openapi.json",
            ("openapi", "This document"),
            Schema::OpenApi,
            document,
        )
        .open(),
    ]
}

async fn status(State(management): State<Arc<Management>>) -> Response {
    let snapshot = management.ase.snapshot.load();
    let apis: Vec<Value> = snapshot.registry.iter().map(api_json).collect();
    let status = json!({
        "status": "started", "version": env!("CARGO_PKG_VERSION"), "mode": "sideband",
        "started": clock::rfc3339(management.started),
        "enable_abs": management.ase.engine.is_on(), "switches": switches::all(&management), "log_level": settings::level_name(),
        "data": management.addresses.0.to_string(), "admin": management.addresses.1.to_string(),
        "apis": apis, "deny": snapshot.attack.len(), "allow": snapshot.allow.len(),
        "waiting_for_response": management.ase.waiting(), "access_log_queue_free": management.ase.log.free(),
    });
    reply(StatusCode::OK, &status)
}

async fn counters(State(management): State<Arc<Management>>) -> Response {
    reply(StatusCode::OK, &management.ase.counters.to_json())
}

async fn document(State(_): State<Arc<Management>>) -> Response {
    reply(StatusCode::OK, &openapi::document(&super::routes()))
}

/// What is shown of an API in lists.
pub(super) fn api_json(api: &ApiDefinition) -> Value {
    let blocking = match api.blocking() {
        Blocking::Enforced => true,
        Blocking::DetectOnly => false,
    };
    let decoy = match api.rules().decoys() {
        Decoys::Off => Value::Null,
        Decoys::InContext(_) => "in-context".into(),
        Decoys::OutOfContext => "out-context".into(),
    };
    let protocol = match api.protocol() {
        Protocol::Http => "http",
        Protocol::Https => "https",
        Protocol::Ws => "ws",
        Protocol::Wss => "wss",
    };
    json!({
        "id": api.id().as_str(), "protocol": protocol, "hostname": api.host().to_string(),
        "url": api.base_path().to_string(), "enable_blocking": blocking, "decoy": decoy,
    })
}
