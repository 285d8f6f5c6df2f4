//! The shapes of bodies and answers, as JSON schemas.

use serde_json::{Value, json};

/// A named shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::management) enum Schema {
    ApiNamed,
    ApiPut,
    Apis,
    Cluster,
    Counters,
    Definition,
    DocumentedApi,
    Entries,
    Entry,
    EntryChange,
    Failed,
    Faults,
    OpenApi,
    Removed,
    Status,
    Success,
}

impl Schema {
    pub(super) const ALL: &[Self] = &[
        Self::ApiNamed,
        Self::ApiPut,
        Self::Apis,
        Self::Cluster,
        Self::Counters,
        Self::Definition,
        Self::DocumentedApi,
        Self::Entries,
        Self::Entry,
        Self::EntryChange,
        Self::Failed,
        Self::Faults,
        Self::OpenApi,
        Self::Removed,
        Self::Status,
        Self::Success,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::ApiNamed => "ApiNamed",
            Self::ApiPut => "ApiPut",
            Self::Apis => "Apis",
            Self::Cluster => "Cluster",
            Self::Counters => "Counters",
            Self::Definition => "Definition",
            Self::DocumentedApi => "DocumentedApi",
            Self::Entries => "Entries",
            Self::Entry => "Entry",
            Self::EntryChange => "EntryChange",
            Self::Failed => "Failed",
            Self::Faults => "Faults",
            Self::OpenApi => "OpenApi",
            Self::Removed => "Removed",
            Self::Status => "Status",
            Self::Success => "Success",
        }
    }

    pub(super) fn json(self) -> Value {
        match self {
            Self::ApiNamed => object(json!({"api_id": text()}), &["api_id"]),
            Self::ApiPut => object(
                json!({"api_id": text(), "change": one_of(&["added", "replaced"]), "warnings": texts()}),
                &["api_id", "change", "warnings"],
            ),
            Self::Apis => object(json!({"apis": array(api("id"))}), &["apis"]),
            Self::Cluster => object(
                json!({"status": text(), "ase_nodes": array(json!({"type": "object"}))}),
                &["status", "ase_nodes"],
            ),
            Self::Counters => json!({
                "type": "object",
                "additionalProperties": {"type": "object", "additionalProperties": {"type": "integer", "minimum": 0}},
            }),
            Self::Definition => object(
                json!({"api_metadata": {"type": "object", "description": "the documented keys of an API definition"}}),
                &["api_metadata"],
            ),
            Self::DocumentedApi => json!({"type": "object", "properties": {
                "api": array(api("api_id")),
                "api_id": text(), "api_metadata": {"type": "object"}, "status": text(),
            }}),
            Self::Entries => object(json!({"entries": array(entry())}), &["entries"]),
            Self::Entry => entry(),
            Self::EntryChange => entry_change(),
            Self::Failed => object(
                json!({"status": text(), "status_message": text(), "faults": texts()}),
                &["status", "status_message", "faults"],
            ),
            Self::Faults => object(json!({"faults": texts()}), &["faults"]),
            Self::OpenApi => json!({"type": "object"}),
            Self::Removed => object(
                json!({"identifier": text(), "removed": {"type": "integer", "minimum": 1}}),
                &["identifier", "removed"],
            ),
            Self::Status => object(
                json!({"status": text(), "version": text(), "mode": text(), "started": text(),
                    "data": text(), "admin": text(), "apis": array(api("id"))}),
                &[
                    "status", "version", "mode", "started", "data", "admin", "apis",
                ],
            ),
            Self::Success => object(
                json!({"status": text(), "status_message": text(), "warnings": texts()}),
                &["status", "status_message"],
            ),
        }
    }
}

fn api(id: &str) -> Value {
    let flag = json!({"type": "boolean"});
    object(
        json!({id: text(), "hostname": text(), "url": text(), "enable_blocking": flag}),
        &[id, "hostname", "url", "enable_blocking"],
    )
}

fn entry() -> Value {
    object(
        json!({"type": kinds(), "value": text(), "identifier": text(), "scope": text(), "source": text(),
            "reason": text(), "added": text(), "expires": {"type": ["string", "null"]}, "note": text()}),
        &[
            "type",
            "value",
            "identifier",
            "scope",
            "source",
            "reason",
            "added",
            "expires",
        ],
    )
}

fn entry_change() -> Value {
    let seconds = json!({"type": "integer", "minimum": 1});
    object(
        json!({"type": kinds(), "value": text(), "name": text(), "scope": text(), "ttl_s": seconds, "reason": text()}),
        &["type", "value"],
    )
}

fn kinds() -> Value {
    one_of(&["ip", "cookie", "token", "api_key", "username"])
}

fn object(properties: Value, required: &[&str]) -> Value {
    json!({"type": "object", "properties": properties, "required": required})
}

fn array(items: Value) -> Value {
    json!({"type": "array", "items": items})
}

fn one_of(values: &[&str]) -> Value {
    json!({"type": "string", "enum": values})
}

fn texts() -> Value {
    array(text())
}

fn text() -> Value {
    json!({"type": "string"})
}
