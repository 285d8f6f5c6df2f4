//! `ase replay --engine`: a recorded log through an engine in this process, on the log's own clock, as fast as it goes.
//!
//! The log shows what happened without blocking, so a client goes on after it would have been listed; what it would not have got
//! through is counted. Runs with the engine's defaults and a fixed seed, so that a run can be repeated.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::{Duration, Instant};

use ase_core::address::{ClientAddress, Ipv6Width};
use ase_core::path::NormalPath;
use ase_core::registry::{self, Registry};
use ase_core::time::UnixMillis;
use ase_engine::{ApiFacts, Engine, Fate, Identifier, Listing, Output, Settings, Transaction};

use super::line::Format;
use super::{Arguments, Log, Outcome, ReplayError, Replayed};
use crate::definitions;
use crate::engine_host::api_facts;

mod happened;
mod report;
mod truth;

use happened::{Happened, LeftOut};
use truth::{Score, Truth};

/// The seed of the engine's hashes.
const SEED: u64 = 1;
/// Most detections that are shown one by one.
const MAX_SHOWN: usize = 10_000;

/// What is known of a client after a run.
#[derive(Clone, Debug, Default)]
struct Client {
    requests: u64,
    /// Requests that a listing would have stopped.
    stopped: u64,
    listed: Option<Flag>,
}

/// Why and when a client would have been listed.
#[derive(Clone, Debug)]
struct Flag {
    /// After so many of its requests.
    at_request: u64,
    attack: String,
    reason: String,
}

/// A detection, for people.
#[derive(Clone, Debug)]
struct Found {
    listing: Listing,
    at: UnixMillis,
    attack: &'static str,
    identifier: String,
    reason: String,
}

/// Everything that came of a run.
#[derive(Debug, Default)]
struct Study {
    lines: u64,
    /// How many lines, and the number of the first of them.
    left_out: BTreeMap<LeftOut, (u64, u64)>,
    requests: u64,
    clients: BTreeMap<ClientAddress, Client>,
    found: Vec<Found>,
    detections: u64,
    took: Duration,
    score: Option<Score>,
}

impl Study {
    fn leave_out(&mut self, why: LeftOut) {
        let (count, _) = self.left_out.entry(why).or_insert((0, self.lines));
        *count += 1;
    }
}

/// Reads the log and says what the engine finds in it.
///
/// # Errors
/// When the log or the labels cannot be read.
pub(super) fn run(arguments: &Arguments) -> Result<Replayed, ReplayError> {
    let unreadable = |path: &Path, error| ReplayError::Unreadable {
        path: path.to_path_buf(),
        error,
    };
    let truth = match &arguments.truth {
        Some(path) => Some(Truth::read(path).map_err(|error| unreadable(path, error))?),
        None => None,
    };
    let registry = match &arguments.api_dir {
        Some(folder) => registry(folder).map_err(ReplayError::Definitions)?,
        None => Registry::default(),
    };
    let log = Log::open(&arguments.file)?;
    let limit = arguments.limit.unwrap_or(usize::MAX);
    let mut study = Runner::new(registry).run(log, limit)?;
    study.score = truth.map(|truth| truth.score(&study.clients));
    let summary = if arguments.json {
        study.to_json()
    } else {
        study.to_text()
    };
    Ok(Replayed {
        summary,
        outcome: match study.requests {
            0 => Outcome::NothingToStudy,
            _ => Outcome::Answered,
        },
    })
}

/// The definitions of a folder, all of them good.
fn registry(folder: &Path) -> Result<Registry, String> {
    let found = definitions::load(folder).map_err(|error| error.to_string())?;
    match &*found.faults {
        [] => Ok(found.registry),
        [..] => Err(found.faults.join("; ")),
    }
}

/// The engine at work.
struct Runner {
    engine: Engine,
    registry: Registry,
    output: Output,
    study: Study,
    now: UnixMillis,
    /// Until when whoever is proposed would be listed.
    listed: HashMap<Identifier, UnixMillis>,
}

impl Runner {
    fn new(registry: Registry) -> Self {
        Self {
            engine: Engine::new(Settings::default(), SEED),
            registry,
            output: Output::default(),
            study: Study::default(),
            now: UnixMillis(0),
            listed: HashMap::new(),
        }
    }

    fn run(mut self, mut log: Log, limit: usize) -> Result<Study, ReplayError> {
        let began = Instant::now();
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        let mut format = None;
        let mut line = Vec::new();
        while self.study.requests < limit {
            if !log.next(&mut line)? {
                break;
            }
            self.study.lines += 1;
            let text = line.trim_ascii_end();
            if text.is_empty() {
                continue;
            }
            match happened::read(*format.get_or_insert_with(|| Format::of(text)), text) {
                Ok(happened) => self.take(&happened),
                Err(why) => self.study.leave_out(why),
            }
        }
        self.study.took = began.elapsed();
        Ok(self.study)
    }

    fn take(&mut self, happened: &Happened) {
        self.study.requests += 1;
        self.now = self.now.max(happened.at);
        let network = Identifier::Network(happened.client.network(Ipv6Width::default()));
        let credentials = happened
            .credentials
            .iter()
            .map(|carried| Identifier::Credential {
                kind: carried.kind,
                id: carried.id,
            });
        let now = self.now;
        let listed = |identifier: Identifier| {
            let until = self.listed.get(&identifier);
            until.is_some_and(|until| *until > now)
        };
        let stopped = listed(network) || credentials.clone().any(listed);
        let client = self.study.clients.entry(happened.client).or_default();
        client.requests += 1;
        client.stopped += u64::from(stopped);
        self.observe(happened);
        let carried: Vec<Identifier> = credentials.chain([network]).collect();
        self.note(happened.client, &carried);
    }

    fn observe(&mut self, happened: &Happened) {
        let path = NormalPath::from_url(&happened.target);
        let defined = match &happened.api {
            Some(id) => self.registry.get(id),
            None => match self.registry.find(happened.host.as_ref(), &path) {
                registry::Found::Api(api) => Some(&**api),
                registry::Found::UnknownApi | registry::Found::UnknownHostname => None,
            },
        };
        let api = match (defined, &happened.api) {
            (Some(api), _) => Some(api_facts(api)),
            (None, Some(id)) => Some(ApiFacts::of(id, None)),
            (None, None) => None,
        };
        let transaction = Transaction {
            record: None,
            at: happened.at,
            api,
            client: happened.client,
            credentials: &happened.credentials,
            method: &happened.method,
            target: &happened.target,
            path: &path,
            user_agent: happened.agent.as_deref(),
            status: happened.status,
            request_bytes: happened.request_bytes,
            response_bytes: happened.response_bytes,
            duration: happened.duration,
            fate: Fate::Passed,
            broken_rule: happened.broken_rule,
            account: happened.account(),
            carriers: &[],
        };
        self.output.clear();
        self.engine
            .observe(&[transaction], self.now, &mut self.output);
    }

    /// Notes what the last exchange has led to; `carried` are the identifiers of its client.
    fn note(&mut self, client: ClientAddress, carried: &[Identifier]) {
        for detection in &self.output.detections {
            self.study.detections += 1;
            if self.study.found.len() < MAX_SHOWN {
                self.study.found.push(Found {
                    listing: detection.listing,
                    at: detection.at,
                    attack: detection.attack.as_str(),
                    identifier: detection.identifier.to_string(),
                    reason: detection.reason(),
                });
            }
        }
        for proposal in &self.output.proposals {
            let until = self.now.after(proposal.ttl);
            let listed = self.listed.entry(proposal.identifier).or_insert(until);
            *listed = (*listed).max(until);
            let whom = match proposal.identifier {
                own if carried.contains(&own) => client,
                Identifier::Network(network) => network.first(),
                // The members of an incident by credential are known by their requests that it stops.
                Identifier::Credential { .. } => continue,
            };
            let Some(client) = self.study.clients.get_mut(&whom) else {
                continue;
            };
            let at_request = client.requests;
            client.listed.get_or_insert_with(|| Flag {
                at_request,
                attack: proposal.attack.as_str().to_owned(),
                reason: proposal.reason.clone(),
            });
        }
    }
}
