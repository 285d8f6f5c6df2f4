//! The command line. Results go to standard output, everything else to standard error.
//!
//! Exit codes: 0 done, 1 refused, faulty or not found, 2 wrong usage, 69 nobody answers.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, Subcommand};

use crate::check;
use crate::config::{
    DEFAULT_ADMIN_LISTEN, DEFAULT_DATA_LISTEN, DEFAULT_STATE_DIR, Exposure, Overrides,
};
use crate::replay;
use crate::secret::Secret;

mod attacks;
mod clients;
mod connection;
mod detections;
mod discovered;
mod docs;
mod follow;
mod lists;
mod manage;
mod serve;
mod status;
mod thresholds;
mod tls;
mod upkeep;

/// The command did what it was told.
const DONE: u8 = 0;
/// The command was refused, found faults, or found nothing.
const REFUSED: u8 = 1;
/// Nobody answers (`EX_UNAVAILABLE` of sysexits.h).
const UNREACHABLE: u8 = 69;

/// API Security Enforcer: answers gateways, blocks who is listed, and writes down every exchange.
#[derive(Parser)]
#[command(name = "ase", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the daemon
    Serve(ServeArguments),
    /// Check the configuration and the files that it names, and start nothing
    Check(ServeArguments),
    /// Whom to block
    #[command(subcommand)]
    Deny(lists::ListCommand),
    /// Whom never to block
    #[command(subcommand)]
    Allow(lists::ListCommand),
    /// What was detected
    #[command(subcommand)]
    Detections(detections::DetectionsCommand),
    /// What the behaviour engine has found
    #[command(subcommand)]
    Attacks(attacks::AttacksCommand),
    /// What is known of a client
    #[command(subcommand)]
    Clients(clients::ClientsCommand),
    /// What traffic shows of APIs
    #[command(subcommand)]
    Apis(discovered::ApisCommand),
    /// What the behaviour engine does and has counted
    Engine(connection::Connection),
    /// How long entries of the deny list last by default
    #[command(subcommand)]
    Ttl(detections::TtlCommand),
    /// API definitions
    #[command(subcommand)]
    Api(manage::ApiCommand),
    /// Sideband tokens
    #[command(subcommand)]
    Token(manage::TokenCommand),
    /// Whether gateways must show a token
    SidebandAuth(manage::Turn),
    /// Whether lists and rules block anybody
    Firewall(manage::Turn),
    /// Whether whom the behaviour engine finds is put on the deny list; off, it only simulates
    AbsAttack(manage::Turn),
    /// Whether real-time detections block and list clients
    AseDetectedAttack(manage::Turn),
    /// The daemon's logs
    #[command(subcommand)]
    Log(manage::LogCommand),
    /// The management secret
    #[command(subcommand)]
    Password(manage::PasswordCommand),
    /// Completions for a shell, on standard output
    Completions { shell: clap_complete::Shell },
    /// The ids of a credential, and what lists it
    Hash(upkeep::HashArguments),
    /// The keys of credential ids
    #[command(subcommand)]
    Key(upkeep::KeyCommand),
    /// Write a copy of the state to a file
    Backup(upkeep::BackupArguments),
    /// Replace the state by a copy, while no daemon runs on it
    Restore(upkeep::RestoreArguments),
    /// What the daemon serves
    Status(connection::Connection),
    /// What the daemon has counted
    Counters(connection::Connection),
    /// Write man pages and shell completions into a folder
    #[command(hide = true)]
    Docs(docs::Arguments),
    /// Send the requests of an access log through a gateway
    Replay(replay::Arguments),
}

#[derive(Args)]
struct ServeArguments {
    /// The configuration file (TOML); flags override it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[arg(long, value_name = "ADDRESS:PORT", help = format!("Where gateways call [default: {DEFAULT_DATA_LISTEN}]"))]
    data_listen: Option<String>,
    #[arg(long, value_name = "ADDRESS:PORT", help = format!("Where operators call [default: {DEFAULT_ADMIN_LISTEN}]"))]
    admin_listen: Option<String>,
    /// The folder with the API definitions
    #[arg(long, value_name = "DIR")]
    api_dir: Option<PathBuf>,
    #[arg(long, value_name = "DIR", help = format!("The folder with ASE's state [default: {DEFAULT_STATE_DIR}]"))]
    state_dir: Option<PathBuf>,
    /// The access log [default: access.jsonl in the state folder]
    #[arg(long, value_name = "FILE")]
    access_log: Option<PathBuf>,
    /// Where the management secret of the first start is; without it one is made and shown
    #[arg(long, value_name = "FILE")]
    admin_secret_file: Option<PathBuf>,
    #[arg(long, env = "ASE_ADMIN_SECRET", hide = true, hide_env_values = true)]
    admin_secret: Option<String>,
    /// Let the data port listen beyond loopback without sideband tokens
    #[arg(long)]
    insecure: bool,
    /// Operational log: error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log_level: tracing::Level,
}

/// Runs the command of this process's arguments.
#[must_use]
pub fn run() -> ExitCode {
    let code = match Cli::parse().command {
        Command::Serve(arguments) => serve::run(arguments.split()),
        Command::Check(arguments) => check(&arguments),
        Command::Deny(command) => lists::change("deny", &command),
        Command::Allow(command) => lists::change("allow", &command),
        Command::Detections(command) => detections::detections(&command),
        Command::Attacks(command) => attacks::attacks(&command),
        Command::Clients(command) => clients::clients(&command),
        Command::Apis(command) => discovered::apis(&command),
        Command::Engine(connection) => clients::engine(&connection),
        Command::Ttl(command) => detections::ttl(&command),
        Command::Api(command) => manage::api(&command),
        Command::Token(command) => manage::token(&command),
        Command::SidebandAuth(turn) => {
            let switch = ("sideband_authentication", "Sideband authentication");
            manage::turn(switch, &turn)
        }
        Command::Firewall(turn) => manage::turn(("firewall", "Firewall"), &turn),
        Command::AbsAttack(turn) => manage::turn(("abs_attack", "ABS Attack"), &turn),
        Command::AseDetectedAttack(turn) => {
            manage::turn(("ase_detected_attack", "ASE Detected Attack"), &turn)
        }
        Command::Log(command) => manage::log(&command),
        Command::Password(command) => manage::password(&command),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "ase", &mut script);
            say(String::from_utf8_lossy(&script).trim_end());
            DONE
        }
        Command::Hash(arguments) => upkeep::hash(&arguments),
        Command::Key(command) => upkeep::key(&command),
        Command::Backup(arguments) => upkeep::back_up(&arguments),
        Command::Restore(arguments) => upkeep::restore(&arguments),
        Command::Status(connection) => status::show("status", &connection),
        Command::Counters(connection) => status::show("counters", &connection),
        Command::Docs(arguments) => docs::write(&arguments),
        Command::Replay(arguments) => match replay::run(&arguments) {
            Ok(replayed) => {
                say(&replayed.summary);
                match replayed.outcome {
                    replay::Outcome::Answered => DONE,
                    replay::Outcome::Unreachable => UNREACHABLE,
                    replay::Outcome::NothingToSend => {
                        complain("the log holds no request that can be sent");
                        REFUSED
                    }
                    replay::Outcome::NothingToStudy => {
                        complain(
                            "no line of the log has a client, a time and a request: it must be in combined format, or JSON as Envoy or ASE writes it",
                        );
                        REFUSED
                    }
                }
            }
            Err(error) => {
                complain(&error.to_string());
                REFUSED
            }
        },
    };
    ExitCode::from(code)
}

impl ServeArguments {
    fn split(self) -> (Option<PathBuf>, Overrides, tracing::Level) {
        let overrides = self.overrides();
        (self.config, overrides, self.log_level)
    }

    fn overrides(&self) -> Overrides {
        Overrides {
            data_listen: self.data_listen.clone(),
            admin_listen: self.admin_listen.clone(),
            api_dir: self.api_dir.clone(),
            state_dir: self.state_dir.clone(),
            access_log: self.access_log.clone(),
            admin_secret_file: self.admin_secret_file.clone(),
            admin_secret: self.admin_secret.clone().map(Secret::new),
            exposure: if self.insecure {
                Exposure::Insecure
            } else {
                Exposure::Guarded
            },
        }
    }
}

fn check(arguments: &ServeArguments) -> u8 {
    let report = check::check(arguments.config.as_deref(), &arguments.overrides());
    for warning in &report.warnings {
        complain(&format!("warning: {warning}"));
    }
    for fault in &report.faults {
        complain(&format!("fault: {fault}"));
    }
    if report.faults.is_empty() {
        say(&format!("ok: {} API definitions", report.apis.unwrap_or(0)));
        DONE
    } else {
        complain(&format!("{} faults", report.faults.len()));
        REFUSED
    }
}

/// A line on standard output. A reader that went away is no reason to break off.
fn say(line: &str) {
    drop(writeln!(io::stdout().lock(), "{line}"));
}

/// A line on standard error.
fn complain(line: &str) {
    drop(writeln!(io::stderr().lock(), "ase: {line}"));
}
