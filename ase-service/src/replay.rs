//! `ase replay`: sends the requests of an access log through a gateway, in the order of the log, or shows the log to an engine.
//!
//! Real logs hold garbage: what cannot be sent is counted and named by its line, never fatal. Only loopback gateways are
//! called unless the operator says otherwise, since a log of attacks is an attack.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use thiserror::Error;
use tokio::sync::{Mutex, mpsc};

mod line;
mod log;
mod sender;
mod study;
mod summary;
mod target;

use line::{Format, Request};
use log::Log;
use sender::Sender;
use summary::Summary;

/// What to send, where and how fast.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The access log, - for standard input: combined format, or one JSON object a line as Envoy or ASE writes them; gzip is unpacked
    file: PathBuf,
    /// The gateway, such as http://127.0.0.1:10000
    #[arg(long, value_name = "URL", required_unless_present = "engine")]
    gateway: Option<String>,
    /// Send nothing: show the log to a behaviour engine and say what it finds
    #[arg(long, conflicts_with_all = ["gateway", "host", "rate", "concurrency", "allow_remote"])]
    engine: bool,
    /// With --engine: what the clients of the log are, a CSV file with the columns ip and label (attack, benign or grey)
    #[arg(long, value_name = "FILE", requires = "engine")]
    truth: Option<PathBuf>,
    /// With --engine: the folder of API definitions, to know logins and declared routes as a daemon would
    #[arg(long, value_name = "DIR", requires = "engine")]
    api_dir: Option<PathBuf>,
    /// The Host header [default: the log's own where it has one, else the gateway's]
    #[arg(long)]
    host: Option<String>,
    /// At most so many requests per second, such as 500 or 500/s [default: as fast as answers come]
    #[arg(long, value_name = "N/s", value_parser = rate)]
    rate: Option<NonZeroU32>,
    /// Requests under way at once
    #[arg(long, value_name = "N", default_value = "16")]
    concurrency: NonZeroUsize,
    /// At most so many requests
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Call a gateway that is not on loopback
    #[arg(long)]
    allow_remote: bool,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

/// How a replay ended.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// What was counted, ready to print.
    pub summary: String,
    /// What came of it as a whole.
    pub outcome: Outcome,
}

/// What came of a replay as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The gateway answered at least once.
    Answered,
    /// It never did.
    Unreachable,
    /// The log holds nothing that can be sent.
    NothingToSend,
    /// The log holds nothing that an engine can be shown.
    NothingToStudy,
}

/// Why nothing was sent.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// The log cannot be read.
    #[error("{}: {error}", path.display())]
    Unreadable {
        /// The log.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Not a gateway that can be called.
    #[error("--gateway: {0}")]
    Gateway(String),
    /// API definitions that cannot be used.
    #[error("--api-dir: {0}")]
    Definitions(String),
    /// The runtime does not start.
    #[error("no threads to send with: {0}")]
    Runtime(io::Error),
}

/// Reads the log and sends what it holds.
///
/// # Errors
/// When the log cannot be opened or the gateway cannot be called at all.
pub fn run(arguments: &Arguments) -> Result<Replayed, ReplayError> {
    if arguments.engine {
        return study::run(arguments);
    }
    let url = arguments.gateway.as_deref().unwrap_or_default();
    let gateway = Gateway::parse(url, arguments.allow_remote)?;
    let log = Log::open(&arguments.file)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(ReplayError::Runtime)?;
    let began = Instant::now();
    let (read, mut summary) = runtime.block_on(replay(arguments, gateway, log));
    summary.took = began.elapsed();
    summary.read = read?;
    Ok(Replayed {
        outcome: if summary.answered() > 0 {
            Outcome::Answered
        } else if summary.sent() > 0 {
            Outcome::Unreachable
        } else {
            Outcome::NothingToSend
        },
        summary: if arguments.json {
            summary.to_json()
        } else {
            summary.to_string()
        },
    })
}

/// Where to send, checked.
#[derive(Clone, Debug)]
struct Gateway {
    address: SocketAddr,
    authority: String,
}

impl Gateway {
    fn parse(url: &str, allow_remote: bool) -> Result<Self, ReplayError> {
        let refuse = |rule: &str| ReplayError::Gateway(format!("{url:?} {rule}"));
        let rest = url
            .strip_prefix("http://")
            .ok_or_else(|| refuse("is not a plain http:// URL"))?;
        let authority = rest.trim_end_matches('/');
        if authority.is_empty() || authority.contains(['/', '?', '#', '@']) {
            return Err(refuse("is not http://HOST:PORT"));
        }
        let with_port = if authority
            .rsplit(']')
            .next()
            .is_some_and(|tail| tail.contains(':'))
        {
            authority.to_owned()
        } else {
            format!("{authority}:80")
        };
        let resolved = with_port.to_socket_addrs();
        let resolved: Vec<SocketAddr> = resolved
            .map_err(|error| refuse(&format!("cannot be resolved: {error}")))?
            .collect();
        if !allow_remote && !resolved.iter().all(|address| address.ip().is_loopback()) {
            return Err(refuse(
                "is not on loopback; a log may hold attacks, so say --allow-remote if you mean it",
            ));
        }
        let address = resolved.first().ok_or_else(|| refuse("has no address"))?;
        Ok(Self {
            address: *address,
            authority: authority.to_owned(),
        })
    }
}

async fn replay(
    arguments: &Arguments,
    gateway: Gateway,
    log: Log,
) -> (Result<summary::Read, ReplayError>, Summary) {
    let concurrency = arguments.concurrency.get();
    let (queue, requests) = mpsc::channel(concurrency);
    let requests = Arc::new(Mutex::new(requests));
    let senders: Vec<_> = (0..concurrency)
        .map(|_| {
            let sender = Sender::new(gateway.address, host_of(arguments, &gateway));
            tokio::spawn(sender.run(Arc::clone(&requests)))
        })
        .collect();
    // The senders alone keep the queue open, so that the reader notices when they give up.
    drop(requests);
    let feed = Feed {
        rate: arguments.rate,
        limit: arguments.limit.unwrap_or(usize::MAX),
    };
    let reader = tokio::task::spawn_blocking(move || feed.run(log, &queue));
    let mut summary = Summary::default();
    for sender in senders {
        match sender.await {
            Ok(counted) => summary.add(counted),
            Err(error) => summary.error(format!("a sender broke off: {error}")),
        }
    }
    let read = reader
        .await
        .unwrap_or_else(|error| Err(ReplayError::Runtime(io::Error::other(error))));
    (read, summary)
}

fn host_of(arguments: &Arguments, gateway: &Gateway) -> sender::Host {
    match &arguments.host {
        Some(host) => sender::Host::Always(host.clone()),
        None => sender::Host::Unlogged(gateway.authority.clone()),
    }
}

struct Feed {
    rate: Option<NonZeroU32>,
    limit: usize,
}

impl Feed {
    /// Reads the log and hands its requests to the senders, no faster than the rate.
    fn run(
        self,
        mut log: Log,
        queue: &mpsc::Sender<Request>,
    ) -> Result<summary::Read, ReplayError> {
        let began = Instant::now();
        let mut read = summary::Read::default();
        let mut format = None;
        let mut line = Vec::new();
        let mut queued = 0_u32;
        while read.requests < self.limit {
            if !log.next(&mut line)? {
                break;
            }
            read.lines = read.lines.saturating_add(1);
            let text = line.trim_ascii_end();
            if text.is_empty() {
                continue;
            }
            match format.get_or_insert_with(|| Format::of(text)).parse(text) {
                Err(why) => read.unsendable(why),
                Ok(request) => {
                    read.request(&request);
                    if let Some(rate) = self.rate {
                        let due = began + Duration::from_secs(1) * queued / rate.get();
                        std::thread::sleep(due.saturating_duration_since(Instant::now()));
                    }
                    queued = queued.saturating_add(1);
                    if queue.blocking_send(request).is_err() {
                        break;
                    }
                }
            }
        }
        Ok(read)
    }
}

fn rate(text: &str) -> Result<NonZeroU32, String> {
    let number = text.strip_suffix("/s").unwrap_or(text);
    number
        .parse()
        .map_err(|_| format!("{text:?} is not a rate, such as 500/s"))
}
