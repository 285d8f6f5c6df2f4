//! Traffic for tests: requests that are written in a line each, an engine that takes them, and who was listed for it.
#![allow(clippy::unwrap_used, reason = "it is a test's")]

use ase_core::address::{ClientAddress, Network};
use ase_core::api_id::ApiId;
use ase_core::credential::{CredentialId, CredentialKey, CredentialKind, KeyId};
use ase_core::identity::{Place, Provenance};
use ase_core::path::NormalPath;
use ase_core::registry::{ApiDefinition, Routes};
use ase_core::time::UnixMillis;
use ase_engine::{
    ApiFacts, Attack, Carried, Carrier, Covers, Engine, Fate, Identifier, Limit, Output, Response,
    Settings, Training, Transaction, Variable,
};

/// When every story begins.
pub(crate) const START: u64 = 1_700_000_000_000;

/// One request, with defaults that are an ordinary one.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) at_ms: u64,
    pub(crate) ip: String,
    pub(crate) credentials: Vec<Carried>,
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) agent: String,
    pub(crate) status: Option<u16>,
    pub(crate) response_bytes: u64,
    pub(crate) fate: Fate,
    pub(crate) broken_rule: Option<ase_core::decision::Detection>,
    pub(crate) account: Option<CredentialId>,
    pub(crate) record: Option<u64>,
    pub(crate) carriers: Vec<Carrier>,
}

/// An engine with a demo API whose clients log in at `/api/login`.
pub(crate) struct Story {
    pub(crate) engine: Engine,
    pub(crate) output: Output,
    pub(crate) api: ApiId,
    pub(crate) login: NormalPath,
    /// Whether requests belong to the demo API, or to none.
    pub(crate) declared: bool,
    /// The routes that the demo API declares.
    pub(crate) routes: Option<Routes>,
    /// Whose traffic the demo API covers.
    pub(crate) covers: Covers,
}

/// The settings of an engine whose learned thresholds list, after a training that few clients get through.
pub(crate) fn enforced() -> Settings {
    Settings {
        training: Training {
            response: Response::Enforce,
            windows: 100,
            ..Training::default()
        },
        ..Settings::default()
    }
}

/// The same with an operator's threshold for the objects that one client may read.
pub(crate) fn limited(settings: Settings, objects: f32) -> Settings {
    let mut settings = settings;
    let own = Limit {
        tn: objects,
        tx: None,
    };
    let scraping = (Attack::Scraping, Variable::A);
    settings.thresholds.insert(scraping, own);
    settings
}

/// Somebody who shops: so many calls, four seconds apart, that leave out all but every `stride`th step of the way.
pub(crate) fn shop(story: &mut Story, at_s: f64, ip: &str, (calls, stride): (usize, usize)) {
    const STEPS: [&str; 8] = [
        "list", "look", "compare", "basket", "address", "pay", "confirm", "thank",
    ];
    let steps = STEPS.iter().cycle().step_by(stride).take(calls);
    for (call, step) in (0_u32..).zip(steps) {
        let (at_s, target) = (at_s + f64::from(call) * 4.0, format!("/api/{step}"));
        story.play(&Request::get(at_s, ip, &target, 200));
    }
}

impl Request {
    pub(crate) fn new(at_s: f64, ip: &str, method: &str, target: &str, status: u16) -> Self {
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

    pub(crate) fn get(at_s: f64, ip: &str, target: &str, status: u16) -> Self {
        Self::new(at_s, ip, "GET", target, status)
    }

    pub(crate) fn with(
        mut self,
        kind: CredentialKind,
        value: &str,
        provenance: Provenance,
    ) -> Self {
        let id = credential(kind, value);
        self.credentials.push(Carried {
            kind,
            id,
            provenance,
        });
        self
    }

    pub(crate) fn in_place(mut self, kind: CredentialKind, place: Place, name: &str) -> Self {
        let name = name.into();
        self.carriers.push(Carrier { kind, place, name });
        self
    }

    pub(crate) fn agent(mut self, agent: &str) -> Self {
        agent.clone_into(&mut self.agent);
        self
    }

    pub(crate) fn account(mut self, name: &str) -> Self {
        self.account = Some(credential(CredentialKind::Username, name));
        self
    }
}

impl Story {
    pub(crate) fn new() -> Self {
        Self::with(Settings::default())
    }

    pub(crate) fn with(settings: Settings) -> Self {
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
    pub(crate) fn declaring(routes: &[&str]) -> Self {
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

    /// The same story, told by an engine that was restored from the snapshot of its own.
    pub(crate) fn restarted(&self, settings: Settings, at_s: f64) -> Self {
        let text = self.engine.snapshot().into_text();
        let now = UnixMillis(START + (at_s * 1000.0) as u64);
        let (engine, restored) = Engine::restore(settings.clone(), 42, &text, now);
        assert_eq!(restored.left_out, 0);
        Self {
            engine,
            ..Self::with(settings)
        }
    }

    /// Plays a request; whether its client is listed by now.
    pub(crate) fn play(&mut self, request: &Request) {
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

    pub(crate) fn play_all(&mut self, requests: impl IntoIterator<Item = Request>) {
        for request in requests {
            self.play(&request);
        }
    }

    /// How many of the requests had to be played until their client's address was listed.
    pub(crate) fn requests_until_listed(
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

    pub(crate) fn lists(&self, identifier: &Identifier) -> bool {
        let mut proposals = self.output.proposals.iter();
        proposals.any(|proposal| proposal.identifier == *identifier)
    }

    pub(crate) fn lists_address(&self, ip: &str) -> bool {
        self.lists(&address(ip))
    }

    pub(crate) fn attacks(&self) -> Vec<Attack> {
        self.output
            .detections
            .iter()
            .map(|detection| detection.attack)
            .collect()
    }
}

pub(crate) fn address(ip: &str) -> Identifier {
    Identifier::Network(Network::parse(ip).unwrap())
}

pub(crate) fn credential(kind: CredentialKind, value: &str) -> CredentialId {
    CredentialKey::from_bytes(KeyId(1), [7; 32]).id_of(kind, "name", value.as_bytes())
}

pub(crate) fn identifier(kind: CredentialKind, value: &str) -> Identifier {
    Identifier::Credential {
        kind,
        id: credential(kind, value),
    }
}
