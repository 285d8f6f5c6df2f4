//! `ase status` in the documented print-out: its lines where they apply, then ours; and `ase counters`.

use hyper::Method;
use serde_json::{Map, Value};

use super::connection::{Connection, call, finish, text};

/// Width of the names.
const WIDTH: usize = 23;

/// `ase status` and `ase counters`.
pub(super) fn show(what: &str, connection: &Connection) -> u8 {
    finish(
        call(what, Method::GET, Ok(Map::new()), connection),
        connection,
        |answer| {
            if what == "status" {
                return page(answer);
            }
            let mut lines = Vec::new();
            flatten("", answer, &mut lines);
            lines.join("\n")
        },
    )
}

fn page(status: &Value) -> String {
    let switch = |name: &str| {
        let on = status
            .pointer(&format!("/switches/{name}"))
            .and_then(Value::as_bool);
        if on == Some(true) {
            "enabled"
        } else {
            "disabled"
        }
        .to_owned()
    };
    let count = |name: &str| {
        let value = status.get(name);
        let count = value
            .and_then(Value::as_array)
            .map(|list| list.len().to_string());
        count
            .or_else(|| value.map(Value::to_string))
            .unwrap_or_default()
    };
    let port = |name: &str| {
        let address = text(status, name);
        let port = address.rsplit_once(':').map_or(address, |(_, port)| port);
        format!("port {port}")
    };
    let abs = match status.get("enable_abs").and_then(Value::as_bool) {
        Some(true) => "enabled",
        Some(false) | None => "disabled",
    };
    let lines = [
        ("status", text(status, "status").to_owned()),
        ("mode", text(status, "mode").to_owned()),
        ("http/ws", port("data")),
        ("management", port("admin")),
        ("firewall", switch("firewall")),
        ("abs", abs.to_owned()),
        ("abs attack", switch("abs_attack")),
        ("audit", "enabled".to_owned()),
        ("sideband authentication", switch("sideband_authentication")),
        ("ase detected attack", switch("ase_detected_attack")),
        ("log level", text(status, "log_level").to_owned()),
        ("timezone", "utc".to_owned()),
        ("version", text(status, "version").to_owned()),
        ("started", text(status, "started").to_owned()),
        ("apis", count("apis")),
        ("deny list", count("deny")),
        ("allow list", count("allow")),
        ("waiting for response", count("waiting_for_response")),
        ("access log queue free", count("access_log_queue_free")),
    ];
    let mut page = "API Security Enforcer".to_owned();
    for (name, value) in lines {
        page.push_str(&format!("\n{name:<WIDTH$} : {value}"));
    }
    page
}

fn flatten(path: &str, value: &Value, lines: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path} / {key}")
                };
                flatten(&path, value, lines);
            }
        }
        Value::Array(elements) => {
            lines.extend(elements.iter().map(|element| format!("{path}: {element}")))
        }
        Value::String(text) => lines.push(format!("{path}: {text}")),
        Value::Null | Value::Bool(_) | Value::Number(_) => lines.push(format!("{path}: {value}")),
    }
}
