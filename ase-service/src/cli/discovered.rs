//! `ase apis discovered`: APIs that no definition covers.

use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::{Map, Value};

use super::connection::{Connection, Failure, call, finish, text};

/// Commands of `ase apis`.
#[derive(Subcommand)]
pub(super) enum ApisCommand {
    /// APIs that no definition covers, the busiest first, and calls that declared routes leave out
    Discovered(DiscoveredArguments),
}

#[derive(Args)]
pub(super) struct DiscoveredArguments {
    /// Print the definition to begin with of one of them, for `ase api add`
    #[arg(long, value_name = "NAME")]
    definition: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

pub(super) fn apis(command: &ApisCommand) -> u8 {
    let ApisCommand::Discovered(DiscoveredArguments {
        definition,
        connection,
    }) = command;
    let answer = call("discovered", Method::GET, Ok(Map::new()), connection);
    match definition {
        None => finish(answer, connection, |answer| {
            let routes = list(answer, "undeclared_routes").map(routes_shown);
            let lines: Vec<String> = all(answer).map(shown).chain(routes).collect();
            lines.join("\n")
        }),
        Some(name) => {
            let one = answer.and_then(|answer| {
                let named = all(&answer).find(|api| text(api, "name") == name);
                let definition = named.and_then(|api| api.get("definition")).cloned();
                let none = || Failure::Refused(format!("no API {name:?} is discovered"));
                definition.ok_or_else(none)
            });
            finish(one, connection, |definition| format!("{definition:#}"))
        }
    }
}

fn all(answer: &Value) -> impl Iterator<Item = &Value> {
    list(answer, "apis")
}

fn list<'a>(of: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    let list = of.get(key).and_then(Value::as_array);
    list.into_iter().flatten()
}

/// An API, and below it calls that its declared routes leave out.
fn routes_shown(of: &Value) -> String {
    let mut lines = vec![format!(
        "{}\tcalls beside its declared routes",
        text(of, "api")
    )];
    lines.extend(list(of, "templates").map(call_shown));
    lines.join("\n")
}

/// An API, and below it what its clients are known by and its calls.
fn shown(api: &Value) -> String {
    let mut lines = vec![format!(
        "{}\t{}\t{} requests",
        text(api, "name"),
        text(api, "url"),
        count(api)
    )];
    for carrier in list(api, "identifiers") {
        let (kind, place) = (text(carrier, "type"), text(carrier, "in"));
        lines.push(format!(
            "  {kind}\t{place} {}\t{}",
            text(carrier, "name"),
            count(carrier)
        ));
    }
    lines.extend(list(api, "templates").map(call_shown));
    lines.join("\n")
}

fn call_shown(call: &Value) -> String {
    let (method, path) = (text(call, "method"), text(call, "path"));
    format!("  {method}\t{path}\t{}", count(call))
}

fn count(value: &Value) -> String {
    let requests = value.get("requests");
    requests.map_or(String::new(), Value::to_string)
}
