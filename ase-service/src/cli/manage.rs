//! The commands that change how a running daemon is set: APIs, tokens, switches, log level, password.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use hyper::Method;
use serde_json::{Value, json};

use super::connection::{Connection, Failure, escaped, finish, send, text};

/// Commands of `ase api`.
#[derive(Subcommand)]
pub(super) enum ApiCommand {
    /// Every API that is served
    List(Connection),
    /// The definition of an API
    Show(ApiNamed),
    /// Add an API, or replace its definition; with faults nothing changes and every fault is named
    Add(ApiFile),
    /// Delete an API's definition
    Delete(ApiNamed),
    /// Block listed clients of an API (enable_blocking on)
    Block(ApiNamed),
    /// Only report listed clients of an API (enable_blocking off)
    Unblock(ApiNamed),
}

#[derive(Args)]
pub(super) struct ApiNamed {
    /// The API's id
    #[arg(value_name = "API")]
    id: String,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Args)]
pub(super) struct ApiFile {
    /// The definition, in JSON; - is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The API's id [default: the file's name without .json]
    #[arg(long, value_name = "API")]
    id: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

/// Commands of `ase token`.
#[derive(Subcommand)]
pub(super) enum TokenCommand {
    /// Make a sideband token and show it, this once
    Create(TokenNew),
    /// Take over a token of 32 characters of a-z and 0-9, from a file or standard input
    Import(TokenImport),
    /// Every token by its name
    List(Connection),
    /// Delete a token; who shows it is refused from the next call on
    Delete(TokenNamed),
}

#[derive(Args)]
pub(super) struct TokenNew {
    /// The name that the access log shows for its gateways
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Args)]
pub(super) struct TokenImport {
    /// Where the token is; - is standard input. Never given as an argument, which other users of the machine could read
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
    /// The name that the access log shows for its gateways
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Args)]
pub(super) struct TokenNamed {
    /// The token's name
    name: String,
    #[command(flatten)]
    connection: Connection,
}

/// A switch and where it goes.
#[derive(Args)]
pub(super) struct Turn {
    to: Position,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Clone, Copy, ValueEnum)]
enum Position {
    On,
    Off,
}

/// Commands of `ase log`.
#[derive(Subcommand)]
pub(super) enum LogCommand {
    /// From which level on the daemon logs; with a level: set it, until the next start
    Level(LogLevel),
    /// Print the access log as it grows, until interrupted
    Follow(Connection),
}

#[derive(Args)]
pub(super) struct LogLevel {
    /// error, warn, info, debug or trace
    level: Option<tracing::Level>,
    #[command(flatten)]
    connection: Connection,
}

/// Commands of `ase password`.
#[derive(Subcommand)]
pub(super) enum PasswordCommand {
    /// Change the management secret; the old one is refused at once
    Change(PasswordChange),
}

#[derive(Args)]
pub(super) struct PasswordChange {
    /// Where the new one is, - for standard input [default: one is made and shown]
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Change the secret of those who read reports without identifiers, in place of the management secret
    #[arg(long)]
    restricted: bool,
    #[command(flatten)]
    connection: Connection,
}

pub(super) fn api(command: &ApiCommand) -> u8 {
    match command {
        ApiCommand::List(connection) => {
            finish(send("api", Method::GET, "", connection), connection, apis)
        }
        ApiCommand::Show(ApiNamed { id, connection }) => finish(
            send(&format!("api/{}", escaped(id)), Method::GET, "", connection),
            connection,
            |answer| format!("{answer:#}"),
        ),
        ApiCommand::Add(arguments) => add_api(arguments),
        ApiCommand::Delete(ApiNamed { id, connection }) => finish(
            send(
                &format!("api/{}", escaped(id)),
                Method::DELETE,
                "",
                connection,
            ),
            connection,
            |answer| format!("api {} deleted", text(answer, "api_id")),
        ),
        ApiCommand::Block(named) => block(named, true),
        ApiCommand::Unblock(named) => block(named, false),
    }
}

fn add_api(
    ApiFile {
        file,
        id,
        connection,
    }: &ApiFile,
) -> u8 {
    let stem = file
        .file_stem()
        .map(|stem| stem.to_string_lossy().into_owned());
    let id = id.clone().or(stem.filter(|_| !is_standard_input(file)));
    let answer = match id {
        Some(id) => read(file).and_then(|definition| {
            send(
                &format!("api/{}", escaped(&id)),
                Method::PUT,
                &definition,
                connection,
            )
        }),
        None => Err(Failure::Usage("name the API with --id".to_owned())),
    };
    finish(answer, connection, |answer| {
        let mut lines = vec![format!(
            "api {} {}",
            text(answer, "api_id"),
            text(answer, "change")
        )];
        let warnings = answer.get("warnings").and_then(Value::as_array);
        let warnings = warnings.into_iter().flatten().filter_map(Value::as_str);
        lines.extend(warnings.map(|warning| format!("warning: {warning}")));
        lines.join("\n")
    })
}

fn block(ApiNamed { id, connection }: &ApiNamed, on: bool) -> u8 {
    let path = format!("api/{}/blocking", escaped(id));
    let body = json!({"enable_blocking": on}).to_string();
    finish(
        send(&path, Method::PUT, &body, connection),
        connection,
        |answer| {
            let state = if on { "enabled" } else { "disabled" };
            format!("blocking of api {} is now {state}", text(answer, "api_id"))
        },
    )
}

/// As the original's `list_api` prints them.
fn apis(answer: &Value) -> String {
    let apis = answer.get("apis").and_then(Value::as_array);
    let line = |api: &Value| {
        let mut line = format!("{} ( loaded ), {}", text(api, "id"), text(api, "protocol"));
        if let Some(decoy) = api.get("decoy").and_then(Value::as_str) {
            line.push_str(&format!(", decoy: {decoy}"));
        }
        line
    };
    let lines: Vec<String> = apis.into_iter().flatten().map(line).collect();
    lines.join("\n")
}

pub(super) fn token(command: &TokenCommand) -> u8 {
    match command {
        TokenCommand::Create(TokenNew { name, connection }) => {
            let body = body_of(&[("name", name.as_deref())]);
            finish(
                send("tokens", Method::POST, &body, connection),
                connection,
                |answer| {
                    // Scripts cut the token out of columns 16 to 47.
                    format!("Sideband token {}", text(answer, "token"))
                },
            )
        }
        TokenCommand::Import(TokenImport {
            file,
            name,
            connection,
        }) => {
            let answer = read(file).and_then(|token| {
                let body = body_of(&[("name", name.as_deref()), ("token", Some(token.trim()))]);
                send("tokens", Method::POST, &body, connection)
            });
            finish(answer, connection, |answer| {
                format!("Sideband token {} imported", text(answer, "name"))
            })
        }
        TokenCommand::List(connection) => finish(
            send("tokens", Method::GET, "", connection),
            connection,
            |answer| {
                let tokens = answer.get("tokens").and_then(Value::as_array);
                let line = |token: &Value| {
                    let created = token.get("created").and_then(Value::as_str).unwrap_or("-");
                    [text(token, "name"), text(token, "source"), created].join("\t")
                };
                let lines: Vec<String> = tokens.into_iter().flatten().map(line).collect();
                lines.join("\n")
            },
        ),
        TokenCommand::Delete(TokenNamed { name, connection }) => {
            let path = format!("tokens/{}", escaped(name));
            finish(
                send(&path, Method::DELETE, "", connection),
                connection,
                |answer| format!("Sideband token {} deleted", text(answer, "name")),
            )
        }
    }
}

/// `ase firewall on` and its like. `subject` is how the original says it.
pub(super) fn turn((name, subject): (&str, &str), Turn { to, connection }: &Turn) -> u8 {
    let (on, state) = match to {
        Position::On => (true, "enabled"),
        Position::Off => (false, "disabled"),
    };
    let body = json!({name: on}).to_string();
    finish(
        send("switches", Method::PUT, &body, connection),
        connection,
        |_| format!("{subject} is now {state}"),
    )
}

pub(super) fn log(command: &LogCommand) -> u8 {
    match command {
        LogCommand::Level(LogLevel { level, connection }) => {
            let answer = match level {
                None => send("log/level", Method::GET, "", connection),
                Some(level) => {
                    let body = json!({"level": level.as_str().to_ascii_lowercase()});
                    send("log/level", Method::PUT, &body.to_string(), connection)
                }
            };
            finish(answer, connection, |answer| {
                text(answer, "level").to_owned()
            })
        }
        LogCommand::Follow(connection) => super::follow::follow(connection),
    }
}

pub(super) fn password(command: &PasswordCommand) -> u8 {
    let PasswordCommand::Change(PasswordChange {
        from,
        restricted,
        connection,
    }) = command;
    let (path, name) = if *restricted {
        ("secret/restricted", "restricted")
    } else {
        ("secret", "management")
    };
    let given = from.as_deref().map(read).transpose();
    let answer = given.and_then(|given| {
        let body = body_of(&[("secret", given.as_deref().map(str::trim))]);
        send(path, Method::PUT, &body, connection)
    });
    finish(answer, connection, |answer| {
        match answer.get("secret").and_then(Value::as_str) {
            Some(secret) => format!("the {name} secret is now {secret}"),
            None => format!("the {name} secret is changed"),
        }
    })
}

fn body_of(fields: &[(&str, Option<&str>)]) -> String {
    let given = fields
        .iter()
        .filter_map(|(name, value)| Some(((*name).to_owned(), (*value)?.into())));
    Value::Object(given.collect()).to_string()
}

fn read(file: &Path) -> Result<String, Failure> {
    let read = if is_standard_input(file) {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(file)
    };
    read.map_err(|error| Failure::Refused(format!("{}: {error}", file.display())))
}

fn is_standard_input(file: &Path) -> bool {
    file == Path::new("-")
}
