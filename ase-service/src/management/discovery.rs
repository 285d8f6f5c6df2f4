//! APIs that no definition covers, as the behaviour engine has seen them, each with a definition to begin with.

use std::sync::Arc;

use ase_core::credential::CredentialKind;
use ase_engine::DiscoveredApi;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::Management;
use super::openapi::Schema;
use super::reply::{Refusal, plain};
use super::route::{Route, Verb};

pub(super) fn routes() -> [Route; 1] {
    let summary = "APIs that no definition covers, with definitions to begin with";
    [Route::new(
        Verb::Get,
        "/v1/discovered",
        ("discovered", summary),
        Schema::Report,
        async |State(management): State<Arc<Management>>| {
            plain(StatusCode::OK, discovered(&management).await)
        },
    )]
}

/// `{"apis":[...]}`, the busiest first; none while the engine is off.
async fn discovered(management: &Management) -> Result<Value, Refusal> {
    let engine = &management.ase.engine;
    let apis = engine.ask(|desk| desk.engine.discovered()).await;
    let apis: Vec<Value> = apis.iter().flatten().map(api).collect();
    Ok(json!({"apis": apis}))
}

fn api(api: &DiscoveredApi) -> Value {
    let templates = api.templates.iter().map(|template| {
        json!({"method": template.method, "path": template.path, "requests": template.requests})
    });
    let identified_by = api.identified_by.iter().map(|kind| kind.as_str());
    json!({
        "url": api.base_path, "requests": api.requests,
        "templates": templates.collect::<Vec<_>>(),
        "identified_by": identified_by.collect::<Vec<_>>(),
        "definition": definition(api),
    })
}

/// What traffic can tell of a definition; the names of cookies and keys are the operator's to add. It blocks nobody yet.
fn definition(api: &DiscoveredApi) -> Value {
    let mut metadata = Map::new();
    metadata.insert("protocol".to_owned(), "http".into());
    metadata.insert("url".to_owned(), api.base_path.as_str().into());
    metadata.insert("hostname".to_owned(), "*".into());
    let token = api.identified_by.contains(&CredentialKind::Token);
    metadata.insert("oauth2_access_token".to_owned(), token.into());
    if let Some(login) = &api.login_path {
        metadata.insert("login_url".to_owned(), login.as_str().into());
    }
    metadata.insert("enable_blocking".to_owned(), false.into());
    json!({"api_metadata": metadata})
}
