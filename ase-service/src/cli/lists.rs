//! `ase deny` and `ase allow`: one entry at a time. Whole lists are in `upkeep.rs`.

use std::io::{self, BufRead as _};

use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::{Map, Value};

use super::connection::{Connection, Failure, call, finish, put, text};
use super::upkeep;

#[derive(Subcommand)]
pub(super) enum ListCommand {
    /// Add an entry; it holds from the next request on and survives a restart
    Add(AddArguments),
    /// Take an entry off
    Remove(RemoveArguments),
    /// Show every entry
    List(Connection),
    /// Take every entry of some sources off
    Clear(upkeep::ClearArguments),
    /// Add the entries of a file: all or none, unless told to keep going
    Import(upkeep::ImportArguments),
    /// Write every entry to standard output
    Export(upkeep::ExportArguments),
}

#[derive(Args)]
pub(super) struct AddArguments {
    #[command(flatten)]
    identifier: Identifier,
    /// How long it holds: 30s, 10m, 12h, 7d, or never: until it is removed [default: as ase ttl says]
    #[arg(long, value_parser = lifetime)]
    ttl: Option<u64>,
    /// Why, for people
    #[arg(long)]
    reason: Option<String>,
    /// Where it holds: all, api:ID or group:NAME [default: all]
    #[arg(long)]
    scope: Option<String>,
    /// List every address (0.0.0.0/0 or ::/0)
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Args)]
pub(super) struct RemoveArguments {
    #[command(flatten)]
    identifier: Identifier,
    /// Only the entry of this scope [default: every scope]
    #[arg(long)]
    scope: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Args)]
pub(super) struct Identifier {
    /// ip, cookie, token, api_key or username
    #[arg(value_name = "TYPE", value_parser = ["ip", "cookie", "token", "api_key", "username"])]
    kind: String,
    /// An address or network, NAME VALUE of a cookie, or a value; - reads the value of a credential from standard input, since
    /// arguments can be seen by every user of the machine; a credential id (k1:...) stands for any value
    #[arg(value_name = "VALUE", required = true, num_args = 1..=2)]
    value: Vec<String>,
}

/// `ase deny ...` and `ase allow ...`.
pub(super) fn change(list: &str, command: &ListCommand) -> u8 {
    match command {
        ListCommand::Add(arguments) => {
            let body = arguments.identifier.to_json().map(|mut body| {
                put(&mut body, "ttl_s", arguments.ttl.map(Value::from));
                put(
                    &mut body,
                    "reason",
                    arguments.reason.clone().map(Value::from),
                );
                put(&mut body, "scope", arguments.scope.clone().map(Value::from));
                put(&mut body, "force", arguments.force.then_some(true.into()));
                body
            });
            finish(
                call(list, Method::POST, body, &arguments.connection),
                &arguments.connection,
                |answer| added(list, answer),
            )
        }
        ListCommand::Remove(arguments) => {
            let body = arguments.identifier.to_json().map(|mut body| {
                put(&mut body, "scope", arguments.scope.clone().map(Value::from));
                body
            });
            finish(
                call(list, Method::DELETE, body, &arguments.connection),
                &arguments.connection,
                |answer| {
                    format!(
                        "{} removed from the {list} list",
                        text(answer, "identifier")
                    )
                },
            )
        }
        ListCommand::List(connection) => finish(
            call(list, Method::GET, Ok(Map::new()), connection),
            connection,
            table,
        ),
        ListCommand::Clear(arguments) => upkeep::clear(list, arguments),
        ListCommand::Import(arguments) => upkeep::import(list, arguments),
        ListCommand::Export(arguments) => upkeep::export(list, arguments),
    }
}

fn added(list: &str, answer: &Value) -> String {
    let until = match answer.get("expires").and_then(Value::as_str) {
        Some(expires) => format!("until {expires}"),
        None => "until it is removed".to_owned(),
    };
    let mut line = format!(
        "{} added to the {list} list {until}, scope {}",
        shown(answer),
        text(answer, "scope")
    );
    if let Some(note) = answer.get("note").and_then(Value::as_str) {
        line = format!("{line}\n{note}");
    }
    let warnings = answer.get("warnings").and_then(Value::as_array);
    for warning in warnings.into_iter().flatten().filter_map(Value::as_str) {
        line = format!("{line}\nwarning: {warning}");
    }
    line
}

fn table(answer: &Value) -> String {
    let entries = answer.get("entries").and_then(Value::as_array);
    let line = |entry: &Value| {
        let expires = entry
            .get("expires")
            .and_then(Value::as_str)
            .unwrap_or("never");
        let columns = [
            &shown(entry),
            text(entry, "scope"),
            text(entry, "source"),
            expires,
            text(entry, "reason"),
        ];
        columns.join("\t").trim_end().to_owned()
    };
    let lines: Vec<String> = entries.into_iter().flatten().map(line).collect();
    lines.join("\n")
}

fn shown(entry: &Value) -> String {
    format!("{} {}", text(entry, "type"), text(entry, "value"))
}

impl Identifier {
    pub(super) fn to_json(&self) -> Result<Map<String, Value>, Failure> {
        let mut body = Map::new();
        put(&mut body, "type", Some(self.kind.clone().into()));
        match self.value.as_slice() {
            [name, value] if self.kind == "cookie" => {
                put(&mut body, "name", Some(name.clone().into()));
                put(&mut body, "value", Some(value_or_input(value)?.into()));
            }
            [value] => put(&mut body, "value", Some(value_or_input(value)?.into())),
            _ => return Err(Failure::Usage(format!("{} takes one value", self.kind))),
        }
        Ok(body)
    }
}

/// A value on the command line can be seen by other users of the machine, so it may come from standard input.
pub(super) fn value_or_input(value: &str) -> Result<String, Failure> {
    if value != "-" {
        return Ok(value.to_owned());
    }
    let mut line = String::new();
    match io::stdin().lock().read_line(&mut line) {
        Ok(0) => Err(Failure::Usage("standard input: holds no value".to_owned())),
        Ok(_) => Ok(line.trim_end_matches(['\r', '\n']).to_owned()),
        Err(error) => Err(Failure::Refused(format!("standard input: {error}"))),
    }
}

/// A lifetime in seconds; 0 is for ever.
fn lifetime(text: &str) -> Result<u64, String> {
    match text {
        "never" => Ok(0),
        text => seconds(text),
    }
}

pub(super) fn seconds(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is not a time: write a number and s, m, h or d");
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let factor = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = text.trim_end_matches(unit).parse().map_err(|_| wrong())?;
    number
        .checked_mul(factor)
        .filter(|seconds| *seconds > 0)
        .ok_or_else(wrong)
}
