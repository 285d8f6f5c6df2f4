//! The management port: REST in JSON under `/v1`, for the command line and for scripts.
//!
//! Every call shows the access key and the secret. A refusal names every fault; a change is answered after it is stored.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ase_core::address::Ipv6Width;
use ase_core::credential::CredentialKey;
use ase_core::identifier_list::{Entry, ListedIdentifier};
use ase_core::registry::Blocking;
use ase_core::time::UnixMillis;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::ase::Ase;
use crate::clock;
use crate::lists::{Lists, Removed, list_of};
use crate::secret::Secret;
use crate::state::ListName;
use crate::telemetry::port::{self, Caller, Observed};

mod change;

use change::{Addition, Removal};

/// The header that names the caller; there is one name.
pub const ACCESS_KEY_HEADER: &str = "x-ase-access-key";
/// The header that carries the management secret.
pub const SECRET_KEY_HEADER: &str = "x-ase-secret-key";
/// The one access key.
pub const ACCESS_KEY: &str = "admin";

/// What the management calls work on.
pub struct Management {
    /// Counters and snapshot.
    pub ase: Arc<Ase>,
    /// The owner of the lists.
    pub lists: Arc<Lists>,
    /// Makes credential ids of raw values.
    pub key: Arc<CredentialKey>,
    /// What callers show.
    pub secret: Secret,
    /// How much of a bare IPv6 address a listing covers.
    pub ipv6_prefix: Ipv6Width,
    /// When the daemon started.
    pub started: UnixMillis,
    /// Data port and management port.
    pub addresses: (SocketAddr, SocketAddr),
}

/// The routes; those of `observed` beside them.
pub fn router(management: Management, observed: Observed) -> Router {
    let management = Arc::new(management);
    let judge = Arc::clone(&management);
    let observing = port::router(observed, move |headers| {
        if is_authentic(&judge, headers) {
            Caller::Authentic
        } else {
            Caller::Stranger
        }
    });
    let deny = get(|state| list(ListName::Deny, state))
        .post(|state, body| add(ListName::Deny, state, body))
        .delete(|state, body| remove(ListName::Deny, state, body));
    let allow = get(|state| list(ListName::Allow, state))
        .post(|state, body| add(ListName::Allow, state, body))
        .delete(|state, body| remove(ListName::Allow, state, body));
    Router::new()
        .route("/v1/deny", deny)
        .route("/v1/allow", allow)
        .route("/v1/status", get(status))
        .route("/v1/counters", get(counters))
        .fallback(async || reply(StatusCode::NOT_FOUND, &json!({"faults": ["no such path"]})))
        .method_not_allowed_fallback(async || {
            reply(
                StatusCode::METHOD_NOT_ALLOWED,
                &json!({"faults": ["not with this method"]}),
            )
        })
        .layer(middleware::from_fn_with_state(
            Arc::clone(&management),
            authenticate,
        ))
        .with_state(management)
        .merge(observing)
}

/// Serves until `stop` changes, then finishes what is under way within `drain`.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    drain: Duration,
    mut stop: watch::Receiver<bool>,
) {
    let mut stopping = stop.clone();
    let stopped = async move {
        // An error means that the daemon is gone, which is a stop too.
        drop(stop.changed().await);
    };
    let serving = axum::serve(listener, router)
        .with_graceful_shutdown(stopped)
        .into_future();
    let deadline = async move {
        drop(stopping.changed().await);
        tokio::time::sleep(drain).await;
    };
    tokio::select! {
        served = serving => if let Err(error) = served {
            tracing::error!(%error, "the management port broke off");
        },
        () = deadline => tracing::warn!("connections of the management port were cut off at the end of the drain time"),
    }
}

async fn authenticate(
    State(management): State<Arc<Management>>,
    request: Request,
    next: Next,
) -> Response {
    if is_authentic(&management, request.headers()) {
        next.run(request).await
    } else {
        let fault = format!("{ACCESS_KEY_HEADER} or {SECRET_KEY_HEADER} is absent or wrong");
        reply(StatusCode::UNAUTHORIZED, &json!({"faults": [fault]}))
    }
}

fn is_authentic(management: &Management, headers: &HeaderMap) -> bool {
    let shown = |name| headers.get(name).map_or(&[][..], HeaderValue::as_bytes);
    let secret = management.secret.matches(shown(SECRET_KEY_HEADER));
    secret && shown(ACCESS_KEY_HEADER) == ACCESS_KEY.as_bytes()
}

async fn list(name: ListName, State(management): State<Arc<Management>>) -> Response {
    let listed = tokio::task::spawn_blocking(move || {
        let snapshot = management.ase.snapshot.load();
        let now = clock::now();
        let entries: Vec<Value> = list_of(&snapshot, name)
            .iter_sorted()
            .filter(|(_, entry)| !entry.is_expired(now))
            .map(|(identifier, entry)| entry_json(&identifier, &entry.to_entry()))
            .collect();
        json!({"entries": entries})
    });
    match listed.await {
        Ok(entries) => reply(StatusCode::OK, &entries),
        Err(error) => broken(&error),
    }
}

async fn add(name: ListName, State(management): State<Arc<Management>>, body: Bytes) -> Response {
    let now = clock::now();
    let addition = match Addition::read(&body, &management.key, management.ipv6_prefix, now) {
        Ok(addition) => addition,
        Err(faults) => return refused(&faults),
    };
    let added = tokio::task::spawn_blocking(move || {
        let Addition {
            identifier,
            entry,
            note,
        } = addition;
        let mut answer = entry_json(&identifier, &entry);
        if let (Some(note), Some(object)) = (note, answer.as_object_mut()) {
            object.insert("note".to_owned(), note.into());
        }
        management
            .lists
            .add(name, identifier, entry)
            .map(|()| answer)
    });
    match added.await {
        Ok(Ok(answer)) => {
            let entry = answer.to_string();
            tracing::info!(list = name.as_str(), entry, "listed");
            reply(StatusCode::CREATED, &answer)
        }
        Ok(Err(error)) => broken(&error),
        Err(error) => broken(&error),
    }
}

async fn remove(
    name: ListName,
    State(management): State<Arc<Management>>,
    body: Bytes,
) -> Response {
    let removal = match Removal::read(&body, &management.key, management.ipv6_prefix) {
        Ok(removal) => removal,
        Err(faults) => return refused(&faults),
    };
    let identifier = removal.identifier.to_string();
    let removed = tokio::task::spawn_blocking(move || {
        let Removal { identifier, scope } = removal;
        management.lists.remove(name, &identifier, scope.as_ref())
    });
    let list = name.as_str();
    match removed.await {
        Ok(Ok(Removed::Entries(entries))) => {
            tracing::info!(list, identifier, entries, "taken off the list");
            reply(
                StatusCode::OK,
                &json!({"identifier": identifier, "removed": entries}),
            )
        }
        Ok(Ok(Removed::NotListed)) => {
            let fault = format!("{identifier} is not on the {list} list");
            reply(StatusCode::NOT_FOUND, &json!({"faults": [fault]}))
        }
        Ok(Ok(Removed::OfOtherSource(source))) => {
            let fault =
                format!("{identifier} is on the {list} list by {source}: take it out there");
            reply(StatusCode::CONFLICT, &json!({"faults": [fault]}))
        }
        Ok(Err(error)) => broken(&error),
        Err(error) => broken(&error),
    }
}

async fn status(State(management): State<Arc<Management>>) -> Response {
    let snapshot = management.ase.snapshot.load();
    let apis: Vec<Value> = snapshot
        .registry
        .iter()
        .map(|api| {
            let blocking = match api.blocking() {
                Blocking::Enforced => true,
                Blocking::DetectOnly => false,
            };
            json!({
                "id": api.id().as_str(), "hostname": api.host().to_string(),
                "url": api.base_path().to_string(), "enable_blocking": blocking,
            })
        })
        .collect();
    let status = json!({
        "status": "started", "version": env!("CARGO_PKG_VERSION"), "mode": "sideband",
        "started": clock::rfc3339(management.started),
        "data": management.addresses.0.to_string(), "admin": management.addresses.1.to_string(),
        "apis": apis, "deny": snapshot.attack.len(), "allow": snapshot.allow.len(),
        "waiting_for_response": management.ase.waiting(), "access_log_queue_free": management.ase.log.free(),
    });
    reply(StatusCode::OK, &status)
}

async fn counters(State(management): State<Arc<Management>>) -> Response {
    reply(StatusCode::OK, &management.ase.counters.to_json())
}

fn entry_json(identifier: &ListedIdentifier, entry: &Entry) -> Value {
    let (kind, value) = match identifier {
        ListedIdentifier::Network(network) => ("ip", network.to_string()),
        ListedIdentifier::Credential { kind, id } => (kind.as_str(), id.to_string()),
    };
    json!({
        "type": kind, "value": value, "identifier": identifier.to_string(),
        "scope": entry.scope.to_string(), "source": entry.source.as_str(), "reason": &*entry.reason,
        "added": clock::rfc3339(entry.added), "expires": entry.expires.map(clock::rfc3339),
    })
}

fn refused(faults: &ase_core::fault::Faults) -> Response {
    let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
    reply(StatusCode::BAD_REQUEST, &json!({"faults": faults}))
}

fn broken(error: &dyn std::fmt::Display) -> Response {
    tracing::error!(%error, "a management call failed");
    reply(
        StatusCode::INTERNAL_SERVER_ERROR,
        &json!({"faults": [error.to_string()]}),
    )
}

fn reply(status: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(Body::from(format!("{body}\n")));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}
