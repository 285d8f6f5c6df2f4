//! A finished exchange on its way to the engine: owned and compact. The target is looked at by the engine and kept by nobody.

use std::sync::Arc;
use std::time::Duration;

use ase_core::address::ClientAddress;
use ase_core::credential::CredentialId;
use ase_core::credential::CredentialKind;
use ase_core::decision::{Detection, IdentifiedCredential, Verdict};
use ase_core::headers::Headers;
use ase_core::metadata::{RequestReport, ResponseMetadata};
use ase_core::path::NormalPath;
use ase_core::registry::ApiDefinition;
use ase_core::text;
use ase_core::time::UnixMillis;
use ase_core::transaction::{GatewayDecision, VerdictLabel};
use ase_engine::{ApiFacts, Carried, Carrier, Covers, Fate, Transaction};

use super::carriers;
use crate::exchange::{Finding, RequestFacts};

/// Longest method that the engine gets, in bytes.
const MAX_METHOD_BYTES: usize = 32;
/// Longest target.
const MAX_TARGET_BYTES: usize = 4096;
/// Longest user agent.
const MAX_AGENT_BYTES: usize = 256;
/// Most credentials.
const MAX_CREDENTIALS: usize = 16;

/// See the module's text.
#[derive(Debug)]
pub struct Observed {
    at: UnixMillis,
    api: Option<Arc<ApiDefinition>>,
    client: ClientAddress,
    credentials: Box<[Carried]>,
    account: Option<CredentialId>,
    carriers: Box<[Carrier]>,
    texts: Texts,
    request_bytes: Option<u64>,
    broken_rule: Option<Detection>,
    fate: Fate,
    status: Option<u16>,
    response_bytes: Option<u64>,
    duration: Option<Duration>,
}

/// Method, target and user agent in one piece: each piece is made on one thread and given back on another.
#[derive(Debug)]
struct Texts {
    joined: Box<str>,
    method_bytes: usize,
    target_bytes: usize,
    has_agent: bool,
}

/// Why an exchange tells nothing about how its client behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Untold {
    /// The gateway did not let it through.
    NotPassed,
    /// Its client is on the allow list.
    AllowListed,
}

impl Observed {
    /// The request half of an exchange.
    ///
    /// # Errors
    /// When it is none of the engine's business.
    pub fn begun(
        report: &RequestReport<'_>,
        facts: &RequestFacts<'_>,
        found: &Finding<'_>,
    ) -> Result<Self, Untold> {
        let decision = found.decision;
        match decision.verdict {
            Verdict::AllowListed => return Err(Untold::AllowListed),
            Verdict::NotListed
            | Verdict::WouldBlock
            | Verdict::Blocked
            | Verdict::UnknownApi
            | Verdict::UnknownHostname => {}
        }
        let fate = fate(facts).ok_or(Untold::NotPassed)?;
        let credentials = &found.identified.credentials;
        let named = |kind| move |found: &&_| is_of(found, kind);
        let account = credentials.iter().find(named(CredentialKind::Username));
        let headers = &report.metadata.headers;
        let agent = headers.first(b"user-agent").map(|value| text::of(value));
        Ok(Self {
            at: facts.started.at(),
            api: decision.api.clone(),
            client: report.client,
            account: account.map(|found| found.id),
            credentials: credentials
                .iter()
                .take(MAX_CREDENTIALS)
                .map(|found| Carried {
                    kind: found.kind,
                    id: found.id,
                    provenance: found.provenance,
                })
                .collect(),
            carriers: match is_declared(decision.api.as_deref()) {
                true => Box::default(),
                false => carriers::of(report),
            },
            texts: Texts::of(report.method, report.url, agent.as_deref()),
            request_bytes: length(headers),
            broken_rule: decision.detection,
            fate,
            status: None,
            response_bytes: None,
            duration: None,
        })
    }

    /// Adds the ending.
    pub fn end(&mut self, response: Option<&ResponseMetadata<'_>>, duration: Option<Duration>) {
        self.status = response.map(|response| response.code);
        self.response_bytes = response.and_then(|response| length(&response.headers));
        self.duration = duration;
    }

    /// How many bytes it holds, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of::<Self>()
            + size_of_val(&*self.credentials)
            + carriers::bytes(&self.carriers)
            + self.texts.joined.len()
    }

    /// The usual reading of its path.
    #[must_use]
    pub(super) fn path(&self) -> NormalPath {
        NormalPath::from_url(self.texts.target())
    }

    /// As the engine takes it. Records have been told from those that came before.
    pub(super) fn transaction<'a>(&'a self, path: &'a NormalPath) -> Transaction<'a> {
        Transaction {
            record: None,
            at: self.at,
            api: self.api.as_deref().map(api_facts),
            client: self.client,
            credentials: &self.credentials,
            method: self.texts.method(),
            target: self.texts.target(),
            path,
            user_agent: self.texts.agent(),
            status: self.status,
            request_bytes: self.request_bytes,
            response_bytes: self.response_bytes,
            duration: self.duration,
            fate: self.fate,
            broken_rule: self.broken_rule,
            account: self.account,
            carriers: &self.carriers,
        }
    }
}

/// What the engine needs to know of an API.
pub(crate) fn api_facts(api: &ApiDefinition) -> ApiFacts<'_> {
    ApiFacts {
        covers: covers(api),
        routes: Some(api.routes()).filter(|routes| !routes.is_empty()),
        ..ApiFacts::of(api.id(), api.login_path())
    }
}

/// The definition of the root is there for what no other covers; the original discovers APIs in its traffic.
fn covers(api: &ApiDefinition) -> Covers {
    if api.base_path().is_root() {
        Covers::Rest
    } else {
        Covers::Own
    }
}

fn is_declared(api: Option<&ApiDefinition>) -> bool {
    api.is_some_and(|api| covers(api) == Covers::Own)
}

impl Texts {
    fn of(method: &str, target: &str, agent: Option<&str>) -> Self {
        let (method, target) = (
            start(method, MAX_METHOD_BYTES),
            start(target, MAX_TARGET_BYTES),
        );
        let joined = [
            method,
            target,
            start(agent.unwrap_or_default(), MAX_AGENT_BYTES),
        ];
        Self {
            joined: joined.concat().into(),
            method_bytes: method.len(),
            target_bytes: target.len(),
            has_agent: agent.is_some(),
        }
    }

    fn method(&self) -> &str {
        self.joined.get(..self.method_bytes).unwrap_or_default()
    }

    fn target(&self) -> &str {
        let end = self.method_bytes.saturating_add(self.target_bytes);
        let target = self.joined.get(self.method_bytes..end);
        target.unwrap_or_default()
    }

    fn agent(&self) -> Option<&str> {
        let start = self.method_bytes.saturating_add(self.target_bytes);
        self.joined.get(start..).filter(|_| self.has_agent)
    }
}

fn is_of(found: &IdentifiedCredential<'_>, kind: CredentialKind) -> bool {
    found.kind == kind
}

/// `None` when the gateway did not let the request through.
fn fate(facts: &RequestFacts<'_>) -> Option<Fate> {
    match facts.decision {
        GatewayDecision::Denied
        | GatewayDecision::UnregisteredBlocked
        | GatewayDecision::FailedClosed(_) => None,
        GatewayDecision::ShadowDenied => Some(Fate::WouldBlock),
        GatewayDecision::Verdict
        | GatewayDecision::Async
        | GatewayDecision::Local
        | GatewayDecision::Unregistered
        | GatewayDecision::FailOpen(_)
        | GatewayDecision::ShadowUnregisteredBlocked
        | GatewayDecision::ShadowFailedClosed(_)
        | GatewayDecision::Undecided => match facts.verdict {
            Some(VerdictLabel::WouldBlock) => Some(Fate::WouldBlock),
            Some(
                VerdictLabel::Allowed
                | VerdictLabel::Blocked
                | VerdictLabel::Rejected
                | VerdictLabel::Unregistered
                | VerdictLabel::Overloaded,
            )
            | None => Some(Fate::Passed),
        },
    }
}

fn length(headers: &Headers<'_>) -> Option<u64> {
    let value = headers.first(b"content-length")?;
    text::of(value).trim().parse().ok()
}

/// As many whole characters as take at most `max` bytes.
fn start(text: &str, max: usize) -> &str {
    text.get(..text.floor_char_boundary(max)).unwrap_or(text)
}
