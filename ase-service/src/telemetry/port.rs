//! `/livez`, `/readyz` and `/metrics` on the management port.
//!
//! Probes need no secret. Metrics need the management headers where the configuration says so.

use std::path::PathBuf;
use std::sync::Arc;

use ase_core::time::UnixMillis;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::get;

use super::{exposition, metrics};
use crate::ase::Ase;
use crate::config::metrics::Access;
use crate::health::{Part, Readiness};

/// What the page is made of.
pub struct Observed {
    /// Everything that is measured.
    pub ase: Arc<Ase>,
    /// Whose file system is watched.
    pub access_log: PathBuf,
    /// When the daemon started.
    pub started: UnixMillis,
    /// Who may read the metrics.
    pub access: Access,
}

/// Whether a caller of the management port has shown its secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// It has.
    Authentic,
    /// It has not.
    Stranger,
}

/// The routes. `caller` judges the headers of a call.
pub fn router(
    observed: Observed,
    caller: impl Fn(&HeaderMap) -> Caller + Clone + Send + Sync + 'static,
) -> Router {
    let metrics = move |State(observed): State<Arc<Observed>>, headers: HeaderMap| {
        let caller = caller(&headers);
        metrics_page(observed, caller)
    };
    Router::new()
        .route(
            "/livez",
            get(async || text(StatusCode::OK, "ok\n".to_owned())),
        )
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(Arc::new(observed))
}

async fn readyz(State(observed): State<Arc<Observed>>) -> Response {
    match observed.ase.telemetry.health.readiness() {
        Readiness::Ready => text(StatusCode::OK, "ready\n".to_owned()),
        Readiness::Draining => text(StatusCode::SERVICE_UNAVAILABLE, "draining\n".to_owned()),
        Readiness::Loading(parts) => {
            let names: Vec<&str> = parts.into_iter().map(Part::as_str).collect();
            let body = format!("loading: {}\n", names.join(", "));
            text(StatusCode::SERVICE_UNAVAILABLE, body)
        }
    }
}

async fn metrics_page(observed: Arc<Observed>, caller: Caller) -> Response {
    match (observed.access, caller) {
        (Access::Open, _) | (Access::Secret, Caller::Authentic) => {}
        (Access::Secret, Caller::Stranger) => {
            let body = "the management headers are absent or wrong\n";
            return text(StatusCode::UNAUTHORIZED, body.to_owned());
        }
    }
    // Lists are counted and the file system is asked: neither belongs on a thread that serves questions.
    let page = tokio::task::spawn_blocking(move || {
        metrics::page(&observed.ase, &observed.access_log, observed.started)
    });
    match page.await {
        Ok(page) => {
            let mut response = text(StatusCode::OK, page);
            let kind = HeaderValue::from_static(exposition::CONTENT_TYPE);
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
            response
        }
        Err(error) => {
            tracing::error!(%error, "the page of metrics broke off");
            let body = "the page of metrics broke off\n".to_owned();
            text(StatusCode::INTERNAL_SERVER_ERROR, body)
        }
    }
}

fn text(status: StatusCode, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}
