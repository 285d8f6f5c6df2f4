//! `ase clients` and `ase engine`: what is known of a client, and what the engine does.

use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::{Map, Value};

use super::attacks::{samples, variables};
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

/// Who it is and what holds for it, then why, then what it did.
fn shown(client: &Value) -> String {
    let mut lines = vec![text(client, "identifier").to_owned()];
    lines.extend(standing(client));
    lines.extend(list(client, "detections").flat_map(detection));
    match client.get("behaviour").filter(|known| !known.is_null()) {
        Some(known) => lines.extend(behaviour(known)),
        None => lines.push("the engine does not watch it: it made no request lately".to_owned()),
    }
    lines.join("\n")
}

/// What the lists say of it.
fn standing(client: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for (of, name) in [("deny", "on the deny list"), ("allow", "on the allow list")] {
        let entries = client.pointer(&format!("/listed/{of}"));
        for entry in entries.and_then(Value::as_array).into_iter().flatten() {
            let until = match text(entry, "expires") {
                "" => "for ever".to_owned(),
                until => format!("until {until}"),
            };
            let (source, reason) = (text(entry, "source"), text(entry, "reason"));
            let (scope, added) = (text(entry, "scope"), text(entry, "added"));
            lines.push(format!(
                "{name}\t{until}, since {added}, scope {scope}, by {source}\t{reason}"
            ));
        }
    }
    if lines.is_empty() {
        lines.push("on no list".to_owned());
    }
    lines
}

/// One detection with what was measured.
fn detection(detection: &Value) -> Vec<String> {
    let id = detection.get("id").map_or(String::new(), Value::to_string);
    let count = detection.get("count").and_then(Value::as_u64).unwrap_or(1);
    let undone = detection.get("undone").and_then(Value::as_bool) == Some(true);
    let mut lines = vec![format!(
        "detection {id}\t{}\t{}\t{}\t{count}x\t{}{}",
        text(detection, "last"),
        text(detection, "name"),
        text(detection, "api"),
        text(detection, "outcome"),
        if undone { ", undone" } else { "" },
    )];
    let reached = variables(detection, |variable| !text(variable, "reached").is_empty());
    lines.extend(reached.into_iter().map(|line| format!("  {line}")));
    lines
}

/// What the engine knows of it.
fn behaviour(known: &Value) -> Vec<String> {
    let number = |key: &str| known.get(key).map_or(String::new(), Value::to_string);
    let mut lines = vec![format!(
        "{} requests from {} to {}",
        number("requests"),
        text(known, "first"),
        text(known, "last")
    )];
    lines.push(match text(known, "proven") {
        "address" => "an address: answerable for what comes without a proven credential".to_owned(),
        "proven" => "a proven credential: answerable itself, and shields its address".to_owned(),
        _ => "not proven: anybody could have made it up, its address is answerable".to_owned(),
    });
    let offences = known.get("offences").and_then(Value::as_u64).unwrap_or(0);
    if offences > 0 {
        let passed = number("passed_since_listing");
        lines.push(format!(
            "listed by the engine {offences}x; {passed} of its requests passed after the last time"
        ));
    }
    for fact in list(known, "facts") {
        let value = fact.get("value").map_or(String::new(), Value::to_string);
        lines.push(format!("  {value}\t{}", text(fact, "meaning")));
    }
    let samples = samples(known);
    if !samples.is_empty() {
        lines.push("requests that are kept:".to_owned());
        lines.extend(samples.into_iter().map(|line| format!("  {line}")));
    }
    lines
}

fn list<'a>(of: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    let list = of.get(key).and_then(Value::as_array);
    list.into_iter().flatten()
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
