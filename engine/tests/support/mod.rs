//! Traffic for tests: requests that are written in a line each, an engine that takes them, and who was listed for it.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part of this")]
#![allow(
    clippy::unwrap_used,
    clippy::string_slice,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "it is a test's"
)]

pub mod combined;
pub mod recorded;

use ase_core::address::{ClientAddress, Network};
use ase_core::api_id::ApiId;
use ase_core::credential::{CredentialId, CredentialKey, CredentialKind, KeyId};
use ase_core::identity::{Place, Provenance};
use ase_core::path::NormalPath;
use ase_core::registry::{ApiDefinition, Routes};
use ase_core::time::UnixMillis;
use ase_engine::{
    ApiFacts, Attack, Carried, Carrier, Covers, Engine, Fate, Identifier, Output, Settings,
    Transaction,
};

/// When every story begins.
pub const START: u64 = 1_700_000_000_000;

/// One request, with defaults that are an ordinary one.
#[derive(Clone, Debug)]
pub struct Request {
    pub at_ms: u64,
    pub ip: String,
    pub credentials: Vec<Carried>,
    pub method: String,
    pub target: String,
    pub agent: String,
    pub status: Option<u16>,
    pub response_bytes: u64,
    pub fate: Fate,
    pub broken_rule: Option<ase_core::decision::Detection>,
    pub account: Option<CredentialId>,
    pub record: Option<u64>,
    pub carriers: Vec<Carrier>,
}

/// An engine with a demo API whose clients log in at `/api/login`.
pub struct Story {
    pub engine: Engine,
    pub output: Output,
    pub api: ApiId,
    pub login: NormalPath,
    /// Whether requests belong to the demo API, or to none.
    pub declared: bool,
    /// The routes that the demo API declares.
    pub routes: Option<Routes>,
    /// Whose traffic the demo API covers.
    pub covers: Covers,
}

impl Request {
    pub fn new(at_s: f64, ip: &str, method: &str, target: &str, status: u16) -> Self {
        Self {
            at_ms: START + (at_s * 1000.0) as u64,
            ip: ip.to_owned(),
            credentials: Vec::new(),
            method: method.to_owned(),
            target: target.to_owned(),
            agent: "Mozilla/5.0".to_owned(),
            status: Some(status),
            response_bytes: 500,
            fate: Fate::Passed,
            broken_rule: None,
            account: None,
            record: None,
            carriers: Vec::new(),
        }
    }

    pub fn get(at_s: f64, ip: &str, target: &str, status: u16) -> Self {
        Self::new(at_s, ip, "GET", target, status)
    }

    pub fn with(mut self, kind: CredentialKind, value: &str, provenance: Provenance) -> Self {
        let id = credential(kind, value);
        self.credentials.push(Carried {
            kind,
            id,
            provenance,
        });
        self
    }

    pub fn in_place(mut self, kind: CredentialKind, place: Place, name: &str) -> Self {
        let name = name.into();
        self.carriers.push(Carrier { kind, place, name });
        self
    }

    pub fn agent(mut self, agent: &str) -> Self {
        agent.clone_into(&mut self.agent);
        self
    }

    pub fn account(mut self, name: &str) -> Self {
        self.account = Some(credential(CredentialKind::Username, name));
        self
    }
}

impl Story {
    pub fn new() -> Self {
        Self::with(Settings::default())
    }

    pub fn with(settings: Settings) -> Self {
        Self {
            engine: Engine::new(settings, 42),
            output: Output::default(),
            api: ApiId::parse("demo").unwrap(),
            login: NormalPath::from_url("/api/login"),
            declared: true,
            routes: None,
            covers: Covers::Own,
        }
    }

    /// With routes declared for the demo API, below `/api`.
    pub fn declaring(routes: &[&str]) -> Self {
        let routes = routes.join("\", \"");
        let document = format!(
            r#"{{"api_metadata": {{"url": "/api", "hostname": "*", "routes": ["{routes}"]}}}}"#
        );
        let id = ApiId::parse("demo").unwrap();
        let (api, _) = ApiDefinition::from_json(id, document.as_bytes()).unwrap();
        Self {
            routes: Some(api.routes().clone()),
            ..Self::new()
        }
    }

    /// Plays a request; whether its client is listed by now.
    pub fn play(&mut self, request: &Request) {
        let path = NormalPath::from_url(&request.target);
        let transaction = Transaction {
            record: request.record,
            at: UnixMillis(request.at_ms),
            api: self.declared.then_some(ApiFacts {
                covers: self.covers,
                routes: self.routes.as_ref(),
                ..ApiFacts::of(&self.api, Some(&self.login))
            }),
            client: ClientAddress::parse(&request.ip).unwrap(),
            credentials: &request.credentials,
            method: &request.method,
            target: &request.target,
            path: &path,
            user_agent: Some(&request.agent),
            status: request.status,
            request_bytes: None,
            response_bytes: Some(request.response_bytes),
            duration: None,
            fate: request.fate,
            broken_rule: request.broken_rule,
            account: request.account,
            carriers: &request.carriers,
        };
        let now = UnixMillis(request.at_ms);
        self.engine.observe(&[transaction], now, &mut self.output);
    }

    pub fn play_all(&mut self, requests: impl IntoIterator<Item = Request>) {
        for request in requests {
            self.play(&request);
        }
    }

    /// How many of the requests had to be played until their client's address was listed.
    pub fn requests_until_listed(
        &mut self,
        requests: impl IntoIterator<Item = Request>,
    ) -> Option<usize> {
        for (number, request) in (1..).zip(requests) {
            self.play(&request);
            if self.lists(&address(&request.ip)) {
                return Some(number);
            }
        }
        None
    }

    pub fn lists(&self, identifier: &Identifier) -> bool {
        let mut proposals = self.output.proposals.iter();
        proposals.any(|proposal| proposal.identifier == *identifier)
    }

    pub fn lists_address(&self, ip: &str) -> bool {
        self.lists(&address(ip))
    }

    pub fn attacks(&self) -> Vec<Attack> {
        self.output
            .detections
            .iter()
            .map(|detection| detection.attack)
            .collect()
    }
}

pub fn address(ip: &str) -> Identifier {
    Identifier::Network(Network::parse(ip).unwrap())
}

pub fn credential(kind: CredentialKind, value: &str) -> CredentialId {
    CredentialKey::from_bytes(KeyId(1), [7; 32]).id_of(kind, "name", value.as_bytes())
}

pub fn identifier(kind: CredentialKind, value: &str) -> Identifier {
    Identifier::Credential {
        kind,
        id: credential(kind, value),
    }
}
