//! The shape of a scenario file.
//!
//! A file holds scenarios about one concept; a scenario is one gateway's life: its configuration, then steps that each
//! say what is done and what must come of it. Texts are ISO-8859-1: `\u00XX` is the byte XX. An unknown key is refused,
//! so that a misspelt expectation cannot pass.

pub mod in_local_mode;
pub mod on_nginx;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value;

use crate::gateway::{GatewayKind, Listener};
use crate::real_ase::RealAsePlan;
use crate::scripted_ase::Answer;
use crate::upstream::UpstreamReply;

/// One file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScenarioFile {
    /// Its scenarios.
    pub scenario: Vec<Scenario>,
}

/// One gateway's life.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// A sentence.
    pub name: String,
    /// The one gateway that it is for.
    pub only: Option<GatewayChoice>,
    /// Why the host as nginx does not run it, where that does not follow from the rest.
    pub not_on_nginx: Option<String>,
    /// The filter's configuration, merged over [`configuration`].
    #[serde(default)]
    pub filter: Value,
    /// The listener.
    #[serde(default)]
    pub listener: Listener,
    /// What the host knows about ASE's cluster.
    #[serde(default)]
    pub ase_cluster: AseCluster,
    /// The daemon takes the scripted ASE's place.
    pub daemon: Option<RealAsePlan>,
    /// The gateway does not start, and says each of this.
    #[serde(default)]
    pub does_not_start: Vec<String>,
    /// What is done, in order.
    #[serde(default)]
    pub step: Vec<Step>,
}

/// A gateway and why it stands alone.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewayChoice {
    /// Which.
    pub gateway: GatewayKind,
    /// Why.
    pub reason: String,
}

/// What the host knows about the cluster `ase`. The cluster `ase-2` is always there and leads to the same scripted ASE on another port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AseCluster {
    /// One endpoint: ASE.
    #[default]
    OneEndpoint,
    /// It has no endpoint.
    NoEndpoint,
    /// There is no such cluster.
    Absent,
}

/// One thing that is done, and what must come of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Why it is there; shown when it fails.
    #[serde(default)]
    pub name: String,
    /// ASE stops or starts before anything else.
    pub ase_goes: Option<Direction>,
    /// How ASE answers this step's questions, in order; then 200.
    #[serde(default)]
    pub ask: Vec<Answer>,
    /// How ASE answers this step's batches, in order; then 200.
    #[serde(default)]
    pub batch: Vec<Answer>,
    /// How the upstream answers.
    #[serde(default)]
    pub upstream_replies: UpstreamReply,
    /// The filter gets another configuration.
    pub reconfigure: Option<Reconfigure>,
    /// A request is sent.
    pub send: Option<Request>,
    /// What happens once ASE has been asked, before a held answer is released.
    pub while_asked: Option<WhileAsked>,
    /// What the client gets.
    pub client: Option<ClientExpectation>,
    /// The gateway ends the connection without a reply.
    #[serde(default)]
    pub hangs_up: bool,
    /// What the upstream gets.
    pub upstream: Option<UpstreamExpectation>,
    /// What ASE is asked.
    pub asked: Option<AskedExpectation>,
    /// The `/ase/response` calls of this step.
    pub response_call: Option<AskedExpectation>,
    /// The records of this step; without it, one for each request.
    pub record: Option<RecordExpectation>,
    /// By how much counters rise in this step.
    #[serde(default)]
    pub counters: BTreeMap<String, Rise>,
    /// What the gateway's log holds afterwards.
    #[serde(default)]
    pub log: Vec<String>,
    /// What the gateway's log does not hold afterwards.
    #[serde(default)]
    pub log_never: Vec<String>,
}

/// Where ASE goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Connections are cut and refused.
    Down,
    /// It listens.
    Up,
}

/// A new configuration and its fate.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reconfigure {
    /// Merged over [`configuration`].
    #[serde(default)]
    pub to: Value,
    /// Whether the gateway takes it.
    pub accepted: bool,
}

/// What happens while a question is open.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhileAsked {
    /// The client closes its connection.
    ClientLeaves,
    /// The filter gets this configuration, merged over [`configuration`].
    Reconfigure(Value),
}

/// A request to send.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The request target.
    pub target: String,
    /// The `host` field; empty for none.
    pub host: String,
    /// Further fields.
    pub headers: Vec<(String, String)>,
    /// Generated fields.
    pub fill: Vec<Fill>,
    /// The body; none when empty and `body_bytes` is 0.
    pub body: String,
    /// Pads the body with this many bytes.
    pub body_bytes: usize,
    /// Sends the body as chunks.
    pub chunked: bool,
    /// Trailers after the chunks.
    pub trailers: Vec<(String, String)>,
    /// Exactly these bytes in place of all the above but `method`.
    pub raw: Option<String>,
    /// Sends it so many times, one after the other on one connection.
    pub repeat: usize,
    /// Sent after a 101; the same must come back.
    pub after_upgrade: Option<String>,
    /// After that the connection stays until ASE has a record of the open exchange, and the same goes and comes once more.
    pub stays_until_reported: bool,
}

/// Generated header fields.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fill {
    /// Name; `#` becomes the number of the field.
    pub name: String,
    /// How many.
    pub count: usize,
    /// Bytes of each value.
    pub bytes: usize,
}

/// What the client gets.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientExpectation {
    /// The status.
    pub status: u16,
    /// The whole body.
    pub body: Option<String>,
    /// Fields and their first values.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Fields that are not there.
    #[serde(default)]
    pub no_headers: Vec<String>,
}

/// What the upstream gets.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpstreamExpectation {
    /// How many requests.
    pub count: usize,
    /// Their request target.
    pub target: Option<String>,
    /// Fields and their first values.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Fields that are not there.
    #[serde(default)]
    pub no_headers: Vec<String>,
    /// Size of the body.
    pub body_bytes: Option<usize>,
    /// Trailers.
    #[serde(default)]
    pub trailers: Vec<(String, String)>,
}

/// What ASE is asked.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskedExpectation {
    /// How many calls.
    pub count: usize,
    /// Their request target.
    pub target: Option<String>,
    /// Fields of the call and their values.
    #[serde(default)]
    pub call_headers: BTreeMap<String, String>,
    /// Fields that the call does not have.
    #[serde(default)]
    pub no_call_headers: Vec<String>,
    /// The metadata.
    #[serde(default)]
    pub metadata: MetadataExpectation,
}

/// What a request or response half says.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MetadataExpectation {
    /// JSON pointers and values.
    pub fields: BTreeMap<String, Value>,
    /// JSON pointers to arrays and their members, in any order.
    pub members: BTreeMap<String, Vec<Value>>,
    /// JSON pointers that lead nowhere.
    pub absent: Vec<String>,
    /// Header fields that are there, in this order; others may stand between.
    pub headers: Vec<(String, String)>,
    /// Header fields that are not there.
    pub no_headers: Vec<String>,
    /// How often header fields are there.
    pub header_counts: BTreeMap<String, usize>,
}

/// What a step's records say.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RecordExpectation {
    /// How many; without it, one for each request.
    pub count: Option<RecordCount>,
    /// `decision`. When given, `cause` and `verdict` are as given or absent.
    pub decision: Option<String>,
    /// `cause`.
    pub cause: Option<String>,
    /// `verdict`.
    pub verdict: Option<String>,
    /// `end`.
    pub end: Option<String>,
    /// `end` of each record, in their order.
    pub ends: Option<Vec<String>>,
    /// `mode`.
    pub mode: Option<String>,
    /// `verdict` where the image has passed the request, if ASE's word on the whole record differs from what it would have answered: the record
    /// may know more than a question does.
    pub verdict_by_image: Option<String>,
    /// `local` stands for `verdict` where that is `allowed`.
    #[serde(skip)]
    pub may_pass_by_image: bool,
    /// JSON pointers and values.
    pub fields: BTreeMap<String, Value>,
    /// JSON pointers that lead nowhere.
    pub absent: Vec<String>,
    /// The request half.
    pub request: MetadataExpectation,
    /// The response half.
    pub response: MetadataExpectation,
}

/// How many records.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
pub enum RecordCount {
    /// So many.
    Exactly(usize),
    /// Not said.
    Unsaid(Any),
}

/// The word for a number that is not said.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Any {
    /// Any number.
    Any,
}

/// By how much a counter rises.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
pub enum Rise {
    /// By this.
    Exactly(u64),
    /// By this or more.
    #[serde(rename_all = "snake_case")]
    AtLeast {
        /// The least.
        at_least: u64,
    },
    /// Down by this: a gauge.
    #[serde(rename_all = "snake_case")]
    Falls {
        /// By how much.
        falls: u64,
    },
}

impl Default for Request {
    fn default() -> Self {
        Self {
            method: "GET".to_owned(),
            target: "/".to_owned(),
            host: "api.example.com".to_owned(),
            headers: Vec::new(),
            fill: Vec::new(),
            body: String::new(),
            body_bytes: 0,
            chunked: false,
            trailers: Vec::new(),
            raw: None,
            repeat: 1,
            after_upgrade: None,
            stays_until_reported: false,
        }
    }
}

impl Scenario {
    /// Whether this gateway runs it.
    #[must_use]
    pub fn runs_on(&self, gateway: GatewayKind) -> bool {
        let chosen = self
            .only
            .as_ref()
            .is_none_or(|only| only.gateway == gateway);
        chosen && (gateway != GatewayKind::Nginx || self.only.is_some() || self.suits_nginx())
    }
}

/// Every scenario of a folder, with the name of its file.
///
/// # Errors
/// When a file cannot be read, is not of this shape, or has no or two equal names.
pub fn read_folder(folder: &Path) -> Result<Vec<(String, Scenario)>> {
    let mut files = Vec::new();
    for entry in
        std::fs::read_dir(folder).with_context(|| format!("scenarios in {}", folder.display()))?
    {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            files.push(path);
        }
    }
    files.sort();
    let mut scenarios: Vec<(String, Scenario)> = Vec::new();
    for path in files {
        let text = std::fs::read_to_string(&path)?;
        let file: ScenarioFile =
            toml::from_str(&text).with_context(|| path.display().to_string())?;
        let stem = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        for scenario in file.scenario {
            let known = scenarios
                .iter()
                .any(|(other, known)| *other == stem && known.name == scenario.name);
            ensure!(
                !known,
                "{}: two scenarios are called {:?}",
                path.display(),
                scenario.name
            );
            let runs = scenario.does_not_start.is_empty();
            ensure!(
                runs != scenario.step.is_empty(),
                "{}: {:?}: steps, or does_not_start",
                path.display(),
                scenario.name
            );
            scenarios.push((stem.clone(), scenario));
        }
    }
    ensure!(!scenarios.is_empty(), "no scenario in {}", folder.display());
    Ok(scenarios)
}

/// The filter's configuration with `changes` over the base of all scenarios: a patient timeout, because machines that
/// test are busy; no breaker, so that one failure does not shape the next step; a quick tick.
#[must_use]
pub fn configuration(changes: &Value) -> Value {
    let mut configuration = serde_json::json!({
        "ase": {"timeout_ms": 5000},
        "breaker": {"failures": 0},
        "delivery": {"tick_ms": 20},
    });
    merge(&mut configuration, changes);
    configuration
}

fn merge(into: &mut Value, changes: &Value) {
    match (into, changes) {
        (Value::Object(into), Value::Object(changes)) => {
            for (key, value) in changes {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (_, Value::Null) => {}
        (into, changes) => *into = changes.clone(),
    }
}
