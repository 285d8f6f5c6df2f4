//! API definitions over the management port: read, put and delete files of the folder.
//!
//! A definition is live before its call is answered. One with faults changes nothing: not the file, not what is served.

use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ase_core::api_id::ApiId;
use ase_core::fault::{FaultCollector, Fields};
use ase_core::registry::{ApiDefinition, Registry};
use axum::body::Bytes;
use axum::extract::{self, State};
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::caller::Caller;
use super::openapi::Schema;
use super::reply::{Refusal, plain};
use super::route::{Route, Verb};
use super::status::api_json;
use super::{Management, off_path};
use crate::definitions::Followed;
use crate::lists::Lists;
use crate::whole_file::{self, Audience};

/// The folder that the definitions are in; one change at a time, through the owner of the snapshot.
#[derive(Debug)]
pub struct ApiFolder {
    folder: Option<PathBuf>,
    lists: Arc<Lists>,
    followed: Option<Arc<Followed>>,
}

/// Whether an API must be there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// It must not.
    New,
    /// It must.
    Known,
    /// Either way.
    Any,
}

/// What a definition became.
pub(super) struct Put {
    pub(super) replaced: bool,
    pub(super) warnings: Vec<String>,
}

pub(super) fn routes() -> Vec<Route> {
    let list = async |State(management): State<Arc<Management>>| {
        let listed = off_path(move || Ok(json!({"apis": all(&management)}))).await;
        plain(StatusCode::OK, listed)
    };
    vec![
        Route::new(
            Verb::Get,
            "/v1/api",
            ("listApis", "Every API that is served"),
            Schema::Apis,
            list,
        ),
        Route::new(
            Verb::Get,
            "/v1/api/{id}",
            ("showApi", "The definition of an API"),
            Schema::Definition,
            async |State(management), extract::Path(id): extract::Path<String>| {
                plain(StatusCode::OK, show(management, id).await)
            },
        ),
        Route::new(
            Verb::Put,
            "/v1/api/{id}",
            ("putApi", "Add an API, or replace its definition"),
            Schema::ApiPut,
            async |State(management),
                   extract::Path(id): extract::Path<String>,
                   caller: Caller,
                   body: Bytes| {
                plain(
                    StatusCode::OK,
                    put_plain(management, id, caller, body).await,
                )
            },
        )
        .body(Schema::Definition),
        Route::new(
            Verb::Put,
            "/v1/api/{id}/blocking",
            (
                "setBlocking",
                "Turn enable_blocking of an API's definition on or off",
            ),
            Schema::Blocking,
            async |State(management),
                   extract::Path(id): extract::Path<String>,
                   caller: Caller,
                   body: Bytes| {
                plain(
                    StatusCode::OK,
                    set_blocking(management, id, caller, body).await,
                )
            },
        )
        .body(Schema::Blocking),
        Route::new(
            Verb::Delete,
            "/v1/api/{id}",
            ("deleteApi", "Delete an API's definition"),
            Schema::ApiNamed,
            async |State(management), extract::Path(id): extract::Path<String>, caller: Caller| {
                plain(StatusCode::OK, delete(management, id, caller).await)
            },
        ),
    ]
}

/// What is shown of every API.
pub(super) fn all(management: &Management) -> Vec<Value> {
    let snapshot = management.ase.snapshot.load();
    snapshot.registry.iter().map(api_json).collect()
}

/// The definition as it is in the file.
///
/// # Errors
/// When there is no such API.
pub(super) async fn show(management: Arc<Management>, id: String) -> Result<Value, Refusal> {
    off_path(move || {
        let id = api_id(&id)?;
        let (_, mut document) = management.apis.read(&id)?;
        if let Some(document) = document.as_object_mut() {
            document.insert("api_id".to_owned(), id.as_str().into());
        }
        Ok(document)
    })
    .await
}

/// Puts a definition.
///
/// # Errors
/// With every fault of the definition, or when it is not stored; then nothing is changed.
pub(super) async fn put(
    management: Arc<Management>,
    (id, expected): (String, Expected),
    caller: Caller,
    body: Bytes,
) -> Result<Put, Refusal> {
    off_path(move || {
        let id = api_id(&id)?;
        let put = management.apis.put(&id, &body, expected)?;
        let action = if put.replaced {
            "update_api"
        } else {
            "add_api"
        };
        management.audited(&caller, action, &[("api_id", id.as_str())])?;
        Ok(put)
    })
    .await
}

/// Deletes a definition.
///
/// # Errors
/// When there is no such API, or the file stays.
pub(super) async fn delete(
    management: Arc<Management>,
    id: String,
    caller: Caller,
) -> Result<Value, Refusal> {
    off_path(move || {
        let id = api_id(&id)?;
        management.apis.delete(&id)?;
        management.audited(&caller, "delete_api", &[("api_id", id.as_str())])?;
        Ok(json!({"api_id": id.as_str()}))
    })
    .await
}

async fn set_blocking(
    management: Arc<Management>,
    id: String,
    caller: Caller,
    body: Bytes,
) -> Result<Value, Refusal> {
    let on = wanted_blocking(&body)?;
    off_path(move || {
        let id = api_id(&id)?;
        let (text, document) = management.apis.read(&id)?;
        let edited = with_blocking(&text, document, on)
            .ok_or_else(|| Refusal::conflict("the definition's file has no api_metadata"))?;
        management
            .apis
            .put(&id, edited.as_bytes(), Expected::Known)?;
        let action = if on {
            "enable_blocking"
        } else {
            "disable_blocking"
        };
        management.audited(&caller, action, &[("api_id", id.as_str())])?;
        Ok(json!({"api_id": id.as_str(), "enable_blocking": on}))
    })
    .await
}

pub(super) fn wanted_blocking(body: &[u8]) -> Result<bool, Refusal> {
    let mut collector = FaultCollector::default();
    let wanted = collector.json(body).unwrap_or_default();
    let mut fields = Fields::of(&wanted, "", &mut collector);
    let on = fields
        .required_item("enable_blocking")
        .and_then(|mut item| item.flag());
    fields.finish();
    Ok(collector.into_complete(on)?)
}

async fn put_plain(
    management: Arc<Management>,
    id: String,
    caller: Caller,
    body: Bytes,
) -> Result<Value, Refusal> {
    let put = put(management, (id.clone(), Expected::Any), caller, body).await?;
    let change = if put.replaced { "replaced" } else { "added" };
    Ok(json!({"api_id": id, "change": change, "warnings": put.warnings}))
}

fn api_id(text: &str) -> Result<ApiId, Refusal> {
    ApiId::parse(text).map_err(|error| Refusal::wrong(format!("api_id: {error}")))
}

impl ApiFolder {
    /// The folder, if there is one, and the owner of the snapshot that its definitions are in.
    #[must_use]
    pub fn new(
        folder: Option<PathBuf>,
        lists: Arc<Lists>,
        followed: Option<Arc<Followed>>,
    ) -> Self {
        Self {
            folder,
            lists,
            followed,
        }
    }

    /// Changes the file at `path` and the registry together, so that no look at the folder comes between.
    fn change(
        &self,
        path: &Path,
        change: impl FnOnce(&Registry) -> Result<Registry, Refusal>,
    ) -> Result<(), Refusal> {
        let change = || self.lists.change_registry(change);
        match &self.followed {
            Some(followed) => followed.change(path, change),
            None => change(),
        }
    }

    /// The text of an API's file, and what it holds.
    fn read(&self, id: &ApiId) -> Result<(String, Value), Refusal> {
        let path = self.path(id)?;
        let unreadable =
            |error: &dyn Display| Refusal::conflict(format!("{}: {error}", path.display()));
        match std::fs::read_to_string(&path) {
            Ok(text) => match serde_json::from_str(text.trim_start_matches('\u{feff}')) {
                Ok(document) => Ok((text, document)),
                Err(error) => Err(unreadable(&format_args!("is not JSON: {error}"))),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(Refusal::absent(format!("{:?} is no API", id.as_str())))
            }
            Err(error) => Err(unreadable(&error)),
        }
    }

    fn put(&self, id: &ApiId, document: &[u8], expected: Expected) -> Result<Put, Refusal> {
        let path = self.path(id)?;
        let (api, warnings) = ApiDefinition::from_json(id.clone(), document)?;
        let mut replaced = false;
        self.change(&path, |registry| {
            replaced = path.exists();
            expect(id, expected, replaced)?;
            let others = others(registry, id);
            let changed = Registry::compile(others.chain([api]))?;
            store(&path, document)?;
            Ok(changed)
        })?;
        Ok(Put {
            replaced,
            warnings: warnings.iter().map(ToString::to_string).collect(),
        })
    }

    fn delete(&self, id: &ApiId) -> Result<(), Refusal> {
        let path = self.path(id)?;
        self.change(&path, |registry| {
            if !path.exists() {
                return Err(Refusal::absent(format!("{:?} is no API", id.as_str())));
            }
            let changed = Registry::compile(others(registry, id))?;
            whole_file::remove(&path).map_err(|error| Refusal::broken(&error))?;
            Ok(changed)
        })
    }

    fn path(&self, id: &ApiId) -> Result<PathBuf, Refusal> {
        let folder = self.folder.as_ref().ok_or_else(|| {
            Refusal::conflict("no folder of API definitions is configured: set api_dir")
        })?;
        Ok(folder.join(format!("{}.json", id.as_str())))
    }
}

fn expect(id: &ApiId, expected: Expected, there: bool) -> Result<(), Refusal> {
    let id = id.as_str();
    match (expected, there) {
        (Expected::New, true) => Err(Refusal::conflict(format!("{id:?} is an API already"))),
        (Expected::Known, false) => Err(Refusal::absent(format!("{id:?} is no API"))),
        (Expected::New, false) | (Expected::Known, true) | (Expected::Any, _) => Ok(()),
    }
}

fn others<'r>(registry: &'r Registry, id: &'r ApiId) -> impl Iterator<Item = ApiDefinition> + 'r {
    registry.iter().filter(move |api| api.id() != id).cloned()
}

fn store(path: &Path, document: &[u8]) -> Result<(), Refusal> {
    whole_file::write(path, document, Audience::Everybody).map_err(|error| Refusal::broken(&error))
}

/// A definition with `enable_blocking` set; its text stays as it was where that is possible.
fn with_blocking(text: &str, mut document: Value, on: bool) -> Option<String> {
    let metadata = document.get_mut("api_metadata")?.as_object_mut()?;
    let old = metadata.insert("enable_blocking".to_owned(), on.into());
    if let Some((before, after)) = text.split_once("\"enable_blocking\"")
        && let Some(Value::Bool(old)) = old
    {
        let edited = after.replacen(&old.to_string(), &on.to_string(), 1);
        let edited = format!("{before}\"enable_blocking\"{edited}");
        if serde_json::from_str::<Value>(&edited).is_ok_and(|edited| edited == document) {
            return Some(edited);
        }
    }
    Some(format!("{document:#}\n"))
}
