//! `ase clients` and `ase engine`: what is known of a client, and what the engine does.

use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::{Map, Value};

use super::attacks::samples;
use super::connection::{Connection, call, finish, text};
use super::lists::Identifier;

/// Commands of `ase clients`.
#[derive(Subcommand)]
pub(super) enum ClientsCommand {
    /// What a client did, what was detected, and which lists have it
    Show(ShowArguments),
}

#[derive(Args)]
pub(super) struct ShowArguments {
    #[command(flatten)]
    identifier: Identifier,
    #[command(flatten)]
    connection: Connection,
}

pub(super) fn clients(command: &ClientsCommand) -> u8 {
    let ClientsCommand::Show(arguments) = command;
    let connection = &arguments.connection;
    let body = arguments.identifier.to_json();
    finish(
        call("clients", Method::POST, body, connection),
        connection,
        shown,
    )
}

fn shown(client: &Value) -> String {
    let mut lines = vec![text(client, "identifier").to_owned()];
    match client.get("behaviour").filter(|known| !known.is_null()) {
        Some(known) => {
            for key in ["requests", "proven", "failures_percent", "failed_routes"] {
                let value = known.get(key).map_or(String::new(), Value::to_string);
                lines.push(format!("{key}\t{}", value.trim_matches('"')));
            }
            lines.push(format!("first\t{}", text(known, "first")));
            lines.push(format!("last\t{}", text(known, "last")));
            lines.extend(samples(known));
        }
        None => lines.push("the engine does not watch it".to_owned()),
    }
    for list in ["deny", "allow"] {
        let entries = client.pointer(&format!("/listed/{list}"));
        for entry in entries.and_then(Value::as_array).into_iter().flatten() {
            let (source, reason) = (text(entry, "source"), text(entry, "reason"));
            lines.push(format!("{list}\t{source}\t{reason}"));
        }
    }
    let detections = client.get("detections").and_then(Value::as_array);
    for detection in detections.into_iter().flatten() {
        let id = detection.get("id").map_or(String::new(), Value::to_string);
        let (last, name) = (text(detection, "last"), text(detection, "name"));
        lines.push(format!(
            "detection\t{id}\t{last}\t{name}\t{}",
            text(detection, "outcome")
        ));
    }
    lines.join("\n")
}

/// `ase engine`.
pub(super) fn engine(connection: &Connection) -> u8 {
    let answer = call("engine", Method::GET, Ok(Map::new()), connection);
    finish(answer, connection, |answer| {
        let mut lines = Vec::new();
        flatten("", answer, &mut lines);
        lines.join("\n")
    })
}

fn flatten(prefix: &str, value: &Value, lines: &mut Vec<String>) {
    match value.as_object() {
        Some(members) => {
            for (name, value) in members {
                let name = if prefix.is_empty() {
                    name.clone()
                } else {
                    format!("{prefix}.{name}")
                };
                flatten(&name, value, lines);
            }
        }
        None => lines.push(format!("{prefix}\t{value}")),
    }
}
