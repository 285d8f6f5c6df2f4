//! APIs that no definition covers, as the behaviour engine has seen them, each with a definition to begin with.

use std::collections::BTreeSet;
use std::sync::Arc;

use ase_core::credential::CredentialKind;
use ase_core::identity::Place;
use ase_core::path::NormalPath;
use ase_core::registry::{Found, Registry};
use ase_engine::{Carrier, DiscoveredApi};
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::Management;
use super::openapi::Schema;
use super::reply::{Refusal, plain};
use super::route::{Route, Verb};

/// Longest name that is made of a path.
const NAME_CHARS: usize = 60;

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
    Ok(json!({"apis": found(management).await}))
}

/// The APIs, the busiest first, each under a name that no other has; none while the engine is off.
pub(super) async fn found(management: &Management) -> Vec<Value> {
    let engine = &management.ase.engine;
    let apis = engine.ask(|desk| desk.engine.discovered()).await;
    let mut names = BTreeSet::new();
    let snapshot = management.ase.snapshot.load();
    names.extend(snapshot.registry.iter().map(|api| api.id().to_string()));
    let undeclared = apis.into_iter().flatten();
    let undeclared = undeclared.filter_map(|found| still_undeclared(found, &snapshot.registry));
    let shown = |found: DiscoveredApi| {
        let name = name(&found.base_path, &mut names);
        api(&found, &name)
    };
    undeclared.map(shown).collect()
}

/// What no definition covers by now; `None` when nothing is left. A definition for one host says nothing about the others.
fn still_undeclared(mut found: DiscoveredApi, registry: &Registry) -> Option<DiscoveredApi> {
    found.templates.retain(|template| {
        let path = NormalPath::from_url(&template.path);
        match registry.find(None, &path) {
            Found::Api(api) => api.base_path().is_root(),
            Found::UnknownApi | Found::UnknownHostname => true,
        }
    });
    (!found.templates.is_empty()).then_some(found)
}

/// A name for the API at `url` that is not among `taken`, made of what API ids are made of.
fn name(url: &str, taken: &mut BTreeSet<String>) -> String {
    let words = url.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '-'));
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let whole: String = words.join("_").chars().take(NAME_CHARS).collect();
    let base = if whole.is_empty() {
        "discovered".to_owned()
    } else {
        whole
    };
    let numbered = (2..).map(|number: u32| format!("{base}_{number}"));
    let mut candidates = std::iter::once(base.clone()).chain(numbered);
    let free = candidates.find(|candidate| taken.insert(candidate.clone()));
    free.unwrap_or(base)
}

fn api(api: &DiscoveredApi, name: &str) -> Value {
    let templates = api.templates.iter().map(|template| {
        json!({"method": template.method, "path": template.path, "requests": template.requests})
    });
    let identified_by = api.identified_by.iter().map(|kind| kind.as_str());
    let carriers = api.carriers.iter().map(|usual| {
        let carrier = &usual.carrier;
        json!({"type": carrier.kind.as_str(), "in": carrier.place.as_str(), "name": &*carrier.name,
            "requests": usual.requests})
    });
    json!({
        "name": name, "url": api.base_path, "requests": api.requests,
        "templates": templates.collect::<Vec<_>>(),
        "identified_by": identified_by.collect::<Vec<_>>(),
        "identifiers": carriers.collect::<Vec<_>>(),
        "definition": definition(api),
    })
}

/// What traffic can tell of a definition, ready to be added. It blocks nobody yet.
fn definition(api: &DiscoveredApi) -> Value {
    let named = |kind: CredentialKind, place: Place| {
        let mut carriers = api.carriers.iter().map(|usual| &usual.carrier);
        carriers.find(|carrier| carrier.kind == kind && carrier.place == place)
    };
    let mut metadata = Map::new();
    let mut set = |key: &str, value: Value| drop(metadata.insert(key.to_owned(), value));
    set("protocol", "http".into());
    set("url", api.base_path.as_str().into());
    set("hostname", "*".into());
    let token = api.identified_by.contains(&CredentialKind::Token);
    set("oauth2_access_token", token.into());
    if let Some(location) = token_location(named) {
        set("jwt", json!({"location": location}));
    }
    for (key, kind, place) in [
        ("cookie", CredentialKind::Cookie, Place::Cookie),
        ("apikey_header", CredentialKind::ApiKey, Place::Header),
        ("apikey_qs", CredentialKind::ApiKey, Place::Query),
        ("username_header", CredentialKind::Username, Place::Header),
    ] {
        if let Some(carrier) = named(kind, place) {
            set(key, carrier.name.as_ref().into());
        }
    }
    if let Some(login) = &api.login_path {
        set("login_url", login.as_str().into());
    }
    set("enable_blocking", false.into());
    json!({"api_metadata": metadata})
}

/// Where tokens are when they are not in `Authorization`, as definitions say it.
fn token_location<'a>(
    named: impl Fn(CredentialKind, Place) -> Option<&'a Carrier>,
) -> Option<String> {
    match named(CredentialKind::Token, Place::Header) {
        Some(header) if &*header.name == "authorization" => None,
        Some(header) => Some(format!("h:{}", header.name)),
        None => {
            let parameter = named(CredentialKind::Token, Place::Query)?;
            Some(format!("qs:{}", parameter.name))
        }
    }
}

#[cfg(test)]
mod tests {
    use ase_core::api_id::ApiId;

    use super::*;

    #[test]
    fn every_path_gets_a_name_of_its_own_that_an_api_can_have() {
        let mut taken = BTreeSet::from(["billing".to_owned()]);
        let deep = format!("/{}", "x".repeat(300));
        let urls = [
            "/api/v2",
            "/api_v2",
            "/billing",
            "/caf\u{e9}!",
            "/\u{65e5}",
            &deep,
        ];
        let names = urls.map(|url| name(url, &mut taken));
        assert_eq!(
            names[..5],
            ["api_v2", "api_v2_2", "billing_2", "caf", "discovered"]
        );
        for name in names {
            assert!(ApiId::parse(&name).is_ok(), "{name}");
        }
    }
}
