//! The shapes of bodies and answers, as JSON schemas.

use serde_json::{Value, json};

/// A named shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::management) enum Schema {
    ApiNamed,
    ApiPut,
    Apis,
    Blocking,
    Cluster,
    Counters,
    Definition,
    Detections,
    DocumentedApi,
    DocumentedChange,
    DocumentedList,
    DocumentedSwitch,
    DocumentedToken,
    DocumentedTokens,
    Entries,
    Entry,
    EntryChange,
    Failed,
    Faults,
    Lifetimes,
    LogLevel,
    LogLines,
    OpenApi,
    PersistentConnection,
    Removed,
    SecretChanged,
    SecretWanted,
    Report,
    Status,
    Success,
    Switches,
    SwitchesTurned,
    TokenMade,
    TokenNamed,
    TokenWanted,
    Tokens,
}

impl Schema {
    pub(super) const ALL: &[Self] = &[
        Self::ApiNamed,
        Self::ApiPut,
        Self::Apis,
        Self::Blocking,
        Self::Cluster,
        Self::Counters,
        Self::Definition,
        Self::Detections,
        Self::DocumentedApi,
        Self::DocumentedChange,
        Self::DocumentedList,
        Self::DocumentedSwitch,
        Self::DocumentedToken,
        Self::DocumentedTokens,
        Self::Entries,
        Self::Entry,
        Self::EntryChange,
        Self::Failed,
        Self::Faults,
        Self::Lifetimes,
        Self::LogLevel,
        Self::LogLines,
        Self::OpenApi,
        Self::PersistentConnection,
        Self::Removed,
        Self::SecretChanged,
        Self::SecretWanted,
        Self::Report,
        Self::Status,
        Self::Success,
        Self::Switches,
        Self::SwitchesTurned,
        Self::TokenMade,
        Self::TokenNamed,
        Self::TokenWanted,
        Self::Tokens,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::ApiNamed => "ApiNamed",
            Self::ApiPut => "ApiPut",
            Self::Apis => "Apis",
            Self::Blocking => "Blocking",
            Self::Cluster => "Cluster",
            Self::Counters => "Counters",
            Self::Definition => "Definition",
            Self::Detections => "Detections",
            Self::DocumentedApi => "DocumentedApi",
            Self::DocumentedChange => "DocumentedChange",
            Self::DocumentedList => "DocumentedList",
            Self::DocumentedSwitch => "DocumentedSwitch",
            Self::DocumentedToken => "DocumentedToken",
            Self::DocumentedTokens => "DocumentedTokens",
            Self::Entries => "Entries",
            Self::Entry => "Entry",
            Self::EntryChange => "EntryChange",
            Self::Failed => "Failed",
            Self::Faults => "Faults",
            Self::Lifetimes => "Lifetimes",
            Self::LogLevel => "LogLevel",
            Self::LogLines => "LogLines",
            Self::OpenApi => "OpenApi",
            Self::PersistentConnection => "PersistentConnection",
            Self::Removed => "Removed",
            Self::SecretChanged => "SecretChanged",
            Self::SecretWanted => "SecretWanted",
            Self::Report => "Report",
            Self::Status => "Status",
            Self::Success => "Success",
            Self::Switches => "Switches",
            Self::SwitchesTurned => "SwitchesTurned",
            Self::TokenMade => "TokenMade",
            Self::TokenNamed => "TokenNamed",
            Self::TokenWanted => "TokenWanted",
            Self::Tokens => "Tokens",
        }
    }

    pub(super) fn json(self) -> Value {
        match self {
            Self::Blocking => object(
                json!({"api_id": text(), "enable_blocking": {"type": "boolean"}}),
                &["enable_blocking"],
            ),
            Self::Detections => object(json!({"detections": array(detection())}), &["detections"]),
            Self::Lifetimes => object(json!({"attack": minutes(), "manual": minutes()}), &[]),
            Self::DocumentedList => documented_list(json!({"status": text()})),
            Self::DocumentedChange => documented_list(
                json!({"status": text(), "status_message": text(), "warnings": texts()}),
            ),
            Self::DocumentedSwitch => object(
                json!({"status": one_of(&["enabled", "disabled"]), "status_message": text()}),
                &["status", "status_message"],
            ),
            Self::DocumentedToken => object(
                json!({"status": text(), "name": text(), "token": text(), "status_message": text()}),
                &["status", "name"],
            ),
            Self::DocumentedTokens => object(
                json!({"status": text(), "tokens": array(token())}),
                &["status", "tokens"],
            ),
            Self::LogLevel => object(
                json!({"level": one_of(&["error", "warn", "info", "debug", "trace"])}),
                &["level"],
            ),
            Self::LogLines => text(),
            Self::SecretChanged => {
                object(json!({"secret": {"type": ["string", "null"]}}), &["secret"])
            }
            Self::SecretWanted => object(json!({"secret": text()}), &[]),
            Self::Switches => object(
                switches(),
                &[
                    "firewall",
                    "abs_attack",
                    "ase_detected_attack",
                    "sideband_authentication",
                ],
            ),
            Self::SwitchesTurned => object(switches(), &[]),
            Self::TokenMade => object(
                json!({"name": text(), "token": {"type": ["string", "null"]}}),
                &["name", "token"],
            ),
            Self::TokenNamed => object(json!({"name": text()}), &["name"]),
            Self::TokenWanted => object(
                json!({"name": text(), "token": {"type": "string", "pattern": "^[a-z0-9]{32}$"}}),
                &[],
            ),
            Self::Tokens => object(json!({"tokens": array(token())}), &["tokens"]),
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
            Self::PersistentConnection => object(
                json!({"status": text(), "api_id": text(), "persistent_connection": text()}),
                &["status", "api_id", "persistent_connection"],
            ),
            Self::Failed => object(
                json!({"status": text(), "status_message": text(), "faults": texts()}),
                &["status", "status_message", "faults"],
            ),
            Self::Faults => object(json!({"faults": texts()}), &["faults"]),
            Self::OpenApi | Self::Report => json!({"type": "object"}),
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
        json!({id: text(), "protocol": text(), "hostname": text(), "url": text(), "enable_blocking": flag}),
        &[id, "protocol", "hostname", "url", "enable_blocking"],
    )
}

fn entry() -> Value {
    object(
        json!({"type": kinds(), "value": text(), "identifier": text(), "scope": text(), "source": text(),
            "reason": text(), "added": text(), "expires": {"type": ["string", "null"]}, "note": text(), "warnings": texts()}),
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
    let seconds = json!({"type": "integer", "minimum": 0});
    object(
        json!({"type": kinds(), "value": text(), "name": text(), "scope": text(), "ttl_s": seconds, "reason": text(), "force": {"type": "boolean"}}),
        &["type", "value"],
    )
}

fn detection() -> Value {
    let any = json!({"type": "object"});
    let properties = json!({
        "id": {"type": "integer"}, "attack_id": {"type": ["integer", "null"]}, "name": text(), "api": {"type": ["string", "null"]},
        "type": kinds(), "identifier": text(), "scope": text(), "source": text(), "variables": any, "evidence": any,
        "first": text(), "last": text(), "count": {"type": "integer"}, "ttl_s": {"type": ["integer", "null"]},
        "outcome": one_of(&["listed", "refused", "reported"]), "undone": {"type": "boolean"},
    });
    let names: Vec<&str> = properties
        .as_object()
        .into_iter()
        .flat_map(|properties| properties.keys().map(String::as_str))
        .collect();
    object(properties.clone(), &names)
}

/// Lifetimes by type; null takes one back to what is configured.
fn minutes() -> Value {
    let minutes = json!({"type": ["integer", "null"], "minimum": 0});
    json!({"type": "object", "properties": {
        "ip": minutes, "cookie": minutes, "token": minutes, "api_key": minutes, "username": minutes,
    }})
}

/// The sections of a list by their tags, beside other members.
fn documented_list(mut members: Value) -> Value {
    let sections = [
        "manual",
        "decoy",
        "invalid_protocol",
        "invalid_method",
        "invalid_content_type",
        "token_missing",
        "client_spike",
        "abs_generated",
        "file",
    ];
    if let Some(members) = members.as_object_mut() {
        members.extend(sections.map(|section| (section.to_owned(), array(entry()))));
    }
    object(members, &["status"])
}

fn token() -> Value {
    object(
        json!({"name": text(), "source": one_of(&["configuration", "management"]), "created": {"type": ["string", "null"]}}),
        &["name", "source", "created"],
    )
}

fn switches() -> Value {
    let flag = json!({"type": "boolean"});
    json!({"firewall": flag, "abs_attack": flag, "ase_detected_attack": flag, "sideband_authentication": flag})
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
