//! APIs that no definition covers, as the behaviour engine has seen them, each with a definition to begin with.

use std::collections::BTreeSet;
use std::sync::Arc;

use ase_core::credential::CredentialKind;
use ase_core::identity::Place;
use ase_core::path::NormalPath;
use ase_core::registry::{ApiDefinition, Found, Registry};
use ase_engine::{Carrier, DiscoveredApi, Template};
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

/// `{"apis":[...],"undeclared_routes":[...]}`, the busiest first; none while the engine is off.
async fn discovered(management: &Management) -> Result<Value, Refusal> {
    let (apis, routes) = both(management).await;
    Ok(json!({"apis": apis, "undeclared_routes": routes}))
}

/// The APIs, the busiest first, each under a name that no other has; none while the engine is off.
pub(super) async fn found(management: &Management) -> Vec<Value> {
    both(management).await.0
}

/// The APIs that no definition covers, and the routes that definitions with routes leave out.
async fn both(management: &Management) -> (Vec<Value>, Vec<Value>) {
    let engine = &management.ase.engine;
    let found = engine.ask(|desk| desk.engine.discovered()).await;
    let snapshot = management.ase.snapshot.load();
    let registry = &snapshot.registry;
    let mut names: BTreeSet<String> = registry.iter().map(|api| api.id().to_string()).collect();
    let (mut apis, mut routes) = (Vec::new(), Vec::new());
    for found in found.into_iter().flatten() {
        match &found.api {
            Some(id) => {
                let declared = registry.get(id).filter(|api| !api.routes().is_empty());
                routes.extend(declared.and_then(|api| left_out(&found, api)));
            }
            None => {
                if let Some(found) = still_undeclared(found, registry) {
                    let name = name(&found.base_path, &mut names);
                    apis.push(api(&found, &name));
                }
            }
        }
    }
    (apis, routes)
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

/// The routes that the definition leaves out by now, as it would declare them; `None` when there are none.
fn left_out(found: &DiscoveredApi, api: &ApiDefinition) -> Option<Value> {
    let is_out = |template: &&Template| {
        let path = NormalPath::from_url(&template.path);
        api.routes().parameters(&path).is_none()
    };
    let templates: Vec<&Template> = found.templates.iter().filter(is_out).collect();
    let base = api.base_path().to_string();
    (!templates.is_empty()).then(|| {
        json!({
            "api": api.id().as_str(),
            "templates": templates.iter().map(|template| call(template)).collect::<Vec<_>>(),
            "routes": routes_of(&base, templates.into_iter()),
        })
    })
}

/// Routes below a base path, as a definition declares them.
fn routes_of<'t>(base: &str, templates: impl Iterator<Item = &'t Template>) -> Vec<String> {
    let base = if base == "/" { "" } else { base };
    let below = templates.filter_map(|template| template.path.strip_prefix(base));
    let routes = below.map(|route| if route.is_empty() { "/" } else { route });
    let routes: BTreeSet<&str> = routes.collect();
    routes.into_iter().map(str::to_owned).collect()
}

fn call(template: &Template) -> Value {
    json!({"method": template.method, "path": template.path, "requests": template.requests})
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
    let templates = api.templates.iter().map(call);
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
    set(
        "routes",
        routes_of(&api.base_path, api.templates.iter()).into(),
    );
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
