//! The paths of the original's management interface, under `/v4/ase` and `/v5/ase`.
//!
//! Which shapes are documented and which are our choice is in `docs/management.md`.

use std::collections::BTreeMap;
use std::sync::Arc;

use ase_core::api_id::ApiId;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde_json::{Value, json};

use super::Management;
use super::apis::{self, Expected};
use super::caller::Caller;
use super::openapi::Schema;
use super::reply::{Refusal, documented};
use super::route::{Presence, Route, Verb};

mod lists;
mod sideband;

/// The version prefixes; both mean the same.
const PREFIXES: [(&str, Names); 2] = [("/v4/ase", Names::V4), ("/v5/ase", Names::V5)];

#[derive(Clone, Copy)]
enum Names {
    V4,
    V5,
}

/// The query of a call; a name that comes twice is a fault.
pub(super) type Parameters = Result<Query<Vec<(String, String)>>, QueryRejection>;

pub(super) fn routes() -> Vec<Route> {
    let mut routes = Vec::new();
    for (prefix, names) in PREFIXES {
        routes.extend(api_routes(prefix, names));
        routes.extend(sideband::token_routes(prefix, names));
        routes.extend(sideband::switch_routes(prefix, names));
        routes.extend(lists::routes(prefix, names));
        routes.push(cluster_route(prefix, names));
        routes.push(connection_route(prefix, names));
    }
    routes
}

/// One name per version, so that operations of the document stay unique.
fn name(names: Names, v4: &'static str, v5: &'static str) -> &'static str {
    match names {
        Names::V4 => v4,
        Names::V5 => v5,
    }
}

fn api_routes(prefix: &str, names: Names) -> [Route; 4] {
    let path = format!("{prefix}/api");
    let id = "the API; its file is <api_id>.json";
    [
        Route::new(
            Verb::Get,
            &path,
            (
                name(names, "v4ReadApi", "v5ReadApi"),
                "Every API, or the one that api_id names",
            ),
            Schema::DocumentedApi,
            async |State(management), query: Parameters| {
                documented(read_api(management, query).await)
            },
        )
        .query("api_id", Presence::Optional, id),
        Route::new(
            Verb::Post,
            &path,
            (name(names, "v4AddApi", "v5AddApi"), "Add an API"),
            Schema::Success,
            async |State(management), query: Parameters, caller: Caller, body: Bytes| {
                documented(put_api(management, query, Expected::New, (caller, body)).await)
            },
        )
        .query("api_id", Presence::Required, id)
        .body(Schema::Definition),
        Route::new(
            Verb::Put,
            &path,
            (
                name(names, "v4UpdateApi", "v5UpdateApi"),
                "Replace an API's definition",
            ),
            Schema::Success,
            async |State(management), query: Parameters, caller: Caller, body: Bytes| {
                documented(put_api(management, query, Expected::Known, (caller, body)).await)
            },
        )
        .query("api_id", Presence::Required, id)
        .body(Schema::Definition),
        Route::new(
            Verb::Delete,
            &path,
            (name(names, "v4DeleteApi", "v5DeleteApi"), "Delete an API"),
            Schema::Success,
            async |State(management), query: Parameters, caller: Caller| {
                documented(delete_api(management, query, caller).await)
            },
        )
        .query("api_id", Presence::Required, id),
    ]
}

fn cluster_route(prefix: &str, names: Names) -> Route {
    Route::new(
        Verb::Get,
        format!("{prefix}/cluster"),
        (
            name(names, "v4Cluster", "v5Cluster"),
            "The nodes of the cluster: this one",
        ),
        Schema::Cluster,
        async |State(management): State<Arc<Management>>| {
            let (data, admin) = management.addresses;
            let node = json!({
                "host": admin.ip().to_string(), "management_port": admin.port(),
                "data_port": data.port(), "status": "active",
            });
            documented(Ok(json!({"status": "disabled", "ase_nodes": [node]})))
        },
    )
}

fn connection_route(prefix: &str, names: Names) -> Route {
    let called = name(names, "v4PersistentConnection", "v5PersistentConnection");
    let summary = "Connections that ASE keeps open to an API's servers: none, the gateway has them";
    Route::new(
        Verb::Get,
        format!("{prefix}/persistentconnection"),
        (called, summary),
        Schema::PersistentConnection,
        async |State(management): State<Arc<Management>>, query: Parameters| {
            documented(connections(&management, query))
        },
    )
    .query("api_id", Presence::Required, "the API")
}

/// The original counts them as a reverse proxy; beside a gateway it says of servers that they are not available.
fn connections(management: &Management, query: Parameters) -> Result<Value, Refusal> {
    let id = required(&mut parameters(query, &["api_id"])?, "api_id")?;
    let known = ApiId::parse(&id)
        .is_ok_and(|id| management.ase.snapshot.load().registry.get(&id).is_some());
    if !known {
        return Err(Refusal::absent(format!("there is no API {id:?}")));
    }
    Ok(json!({"status": "success", "api_id": id, "persistent_connection": "not available"}))
}

async fn read_api(management: Arc<Management>, query: Parameters) -> Result<Value, Refusal> {
    let mut query = parameters(query, &["api_id"])?;
    let Some(id) = query.remove("api_id") else {
        let apis = apis::all(&management).into_iter().map(|mut api| {
            if let Some(api) = api.as_object_mut()
                && let Some(id) = api.remove("id")
            {
                api.insert("api_id".to_owned(), id);
                api.insert("status".to_owned(), "loaded".into());
            }
            api
        });
        return Ok(json!({"api": apis.collect::<Vec<Value>>()}));
    };
    let mut document = apis::show(management, id).await?;
    if let Some(document) = document.as_object_mut() {
        document.insert("status".to_owned(), "success".into());
    }
    Ok(document)
}

async fn put_api(
    management: Arc<Management>,
    query: Parameters,
    expected: Expected,
    (caller, body): (Caller, Bytes),
) -> Result<Value, Refusal> {
    let id = required(&mut parameters(query, &["api_id"])?, "api_id")?;
    let put = apis::put(management, (id.clone(), expected), caller, body).await?;
    let done = if put.replaced { "updated" } else { "added" };
    let mut answer = success(&format!("api {id} {done} successfully"));
    if let Some(answer) = answer.as_object_mut()
        && !put.warnings.is_empty()
    {
        answer.insert("warnings".to_owned(), put.warnings.into());
    }
    Ok(answer)
}

async fn delete_api(
    management: Arc<Management>,
    query: Parameters,
    caller: Caller,
) -> Result<Value, Refusal> {
    let id = required(&mut parameters(query, &["api_id"])?, "api_id")?;
    apis::delete(management, id.clone(), caller).await?;
    Ok(success(&format!("api {id} deleted successfully")))
}

pub(super) fn success(message: &str) -> Value {
    json!({"status": "success", "status_message": message})
}

/// The query by name, with every fault of it.
pub(super) fn parameters(
    query: Parameters,
    known: &[&str],
) -> Result<BTreeMap<String, String>, Refusal> {
    let Query(pairs) = query.map_err(|error| Refusal::wrong(error.body_text()))?;
    let (mut found, mut faults) = (BTreeMap::new(), Vec::new());
    for (name, value) in pairs {
        if !known.contains(&name.as_str()) {
            faults.push(format!("{name:?} is not a parameter of this call"));
        } else if found.insert(name.clone(), value).is_some() {
            faults.push(format!("{name}: stands twice"));
        }
    }
    if faults.is_empty() {
        Ok(found)
    } else {
        Err(Refusal {
            faults,
            ..Refusal::wrong("")
        })
    }
}

fn required(query: &mut BTreeMap<String, String>, name: &str) -> Result<String, Refusal> {
    query
        .remove(name)
        .ok_or_else(|| Refusal::wrong(format!("{name}: is required")))
}
