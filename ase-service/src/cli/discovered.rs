//! `ase apis discovered`: APIs that no definition covers.

use clap::Subcommand;
use hyper::Method;
use serde_json::{Map, Value};

use super::connection::{Connection, call, finish, text};

/// Commands of `ase apis`.
#[derive(Subcommand)]
pub(super) enum ApisCommand {
    /// APIs that no definition covers, the busiest first; with --json, definitions to begin with
    Discovered(Connection),
}

pub(super) fn apis(command: &ApisCommand) -> u8 {
    let ApisCommand::Discovered(connection) = command;
    let answer = call("discovered", Method::GET, Ok(Map::new()), connection);
    finish(answer, connection, |answer| {
        let apis = answer.get("apis").and_then(Value::as_array);
        let lines: Vec<String> = apis.into_iter().flatten().map(shown).collect();
        lines.join("\n")
    })
}

/// An API, and below it its calls.
fn shown(api: &Value) -> String {
    let count = |value: &Value| {
        value
            .get("requests")
            .map_or(String::new(), Value::to_string)
    };
    let mut lines = vec![format!("{}\t{} requests", text(api, "url"), count(api))];
    let templates = api.get("templates").and_then(Value::as_array);
    for template in templates.into_iter().flatten() {
        let (method, path) = (text(template, "method"), text(template, "path"));
        lines.push(format!("  {method}\t{path}\t{}", count(template)));
    }
    lines.join("\n")
}
