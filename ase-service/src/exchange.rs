//! One exchange as a line of the access log.
//!
//! The request half is written when the request is known and may wait for the response half. Nothing that identifies a client
//! by a secret is ever written: credentials stand by their ids, URLs and headers are redacted, every value is cut.

use std::borrow::Cow;
use std::time::Duration;

use ase_core::decision::{Decision, Identified, IdentifiedCredential};
use ase_core::headers::Headers;
use ase_core::identity::Place;
use ase_core::json::{self, Object};
use ase_core::metadata::{RequestMetadata, ResponseMetadata, SourceIp};
use ase_core::redaction;
use ase_core::text;
use ase_core::time::UnixMillis;
use ase_core::transaction::{End, GatewayDecision, Mode, VerdictLabel};

use crate::clock;
use crate::engine_host::Observed;
use crate::telemetry::exchanges::Kind;

/// Longest URL or referer that is logged, in bytes.
const MAX_URL_BYTES: usize = 4096;
/// Longest other value that is logged, in bytes.
const MAX_VALUE_BYTES: usize = 512;
/// Room that is made for an address at once.
const MAX_IPV4_BYTES: usize = "255.255.255.255".len();
/// Room that is made for a line at once.
const USUAL_LINE_BYTES: usize = 1280;
/// The one logged header that may hold a URL.
const REFERER: &str = "referer";
/// Most credentials that are logged; the others are only counted.
const MAX_CREDENTIALS: usize = 32;

/// What is known of an exchange when its request is.
#[derive(Clone, Debug)]
pub struct RequestFacts<'a> {
    /// When it began.
    pub started: Started,
    /// The gateway's name for it.
    pub id: &'a str,
    /// Who reported it.
    pub gateway: &'a str,
    /// How it was reported.
    pub mode: ReportMode,
    /// The request.
    pub metadata: &'a RequestMetadata<'a>,
    /// Why the gateway passed it, or did not.
    pub decision: GatewayDecision,
    /// What ASE said, or would have said.
    pub verdict: Option<VerdictLabel>,
    /// What ASE found; `None` when the report lacks something required.
    pub found: Option<&'a Finding<'a>>,
}

/// What ASE found in a request.
#[derive(Clone, Debug)]
pub struct Finding<'a> {
    /// What it decided.
    pub decision: &'a Decision,
    /// Whom the request may come from.
    pub identified: Identified<'a>,
}

/// When an exchange began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Started {
    /// At this time.
    At(UnixMillis),
    /// Not at the time that the gateway gave, which is too far away; near this bound.
    Clamped(UnixMillis),
}

impl Started {
    /// The instant.
    #[must_use]
    pub fn at(self) -> UnixMillis {
        match self {
            Self::At(at) | Self::Clamped(at) => at,
        }
    }
}

/// How an exchange was reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportMode {
    /// In a batch, by a gateway of this mode.
    Batch(Mode),
    /// By the two calls of the sideband protocol.
    Sideband,
}

/// What is known of an exchange when it has ended.
#[derive(Clone, Debug)]
pub struct Ending<'a> {
    /// How it ended.
    pub outcome: End,
    /// Upstream's response.
    pub response: Option<&'a ResponseMetadata<'a>>,
    /// From the request's headers to the end.
    pub duration: Option<Duration>,
    /// How long the request waited for ASE.
    pub asked_for: Option<Duration>,
}

/// A line that waits for its ending.
#[derive(Debug)]
pub struct RequestHalf {
    text: Vec<u8>,
    decision: GatewayDecision,
    /// What the engine is told when the exchange has ended.
    observed: Option<Box<Observed>>,
}

/// A line, newline included.
#[derive(Debug)]
pub struct Line {
    text: Vec<u8>,
    kind: Kind,
}

impl Line {
    /// The bytes to write.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.text
    }

    /// What sort of exchange it tells of.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }
}

impl RequestHalf {
    /// How many bytes it holds.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let observed = self.observed.as_deref().map_or(0, Observed::bytes);
        self.text.len().saturating_add(observed)
    }

    /// Takes along what the engine is to be told.
    pub fn watch(&mut self, observed: Option<Box<Observed>>) {
        self.observed = observed;
    }

    /// Hands out what was taken along.
    pub fn take_observed(&mut self) -> Option<Box<Observed>> {
        self.observed.take()
    }

    /// Writes the request half.
    #[must_use]
    pub fn of(facts: &RequestFacts<'_>) -> Self {
        let mut out = Vec::with_capacity(USUAL_LINE_BYTES);
        json::object(&mut out, |o| {
            write_origin(o, facts);
            let identified = facts.found.map(|found| &found.identified);
            write_request(o, facts.metadata, identified);
            write_judgement(o, facts);
        });
        Self {
            text: out,
            decision: facts.decision,
            observed: None,
        }
    }

    /// Adds the ending.
    #[must_use]
    pub fn finish(self, ending: &Ending<'_>) -> Line {
        let mut out = self.text;
        // The closing brace makes room for the other members, whose own opening brace becomes the comma.
        out.pop();
        let start = out.len();
        json::object(&mut out, |o| write_ending(o, ending));
        if let Some(brace) = out.get_mut(start) {
            *brace = b',';
        }
        out.push(b'\n');
        Line {
            text: out,
            kind: Kind {
                decision: self.decision,
                end: ending.outcome,
            },
        }
    }
}

impl ReportMode {
    fn as_str(self) -> &'static str {
        match self {
            Self::Batch(mode) => mode.as_str(),
            Self::Sideband => "sideband",
        }
    }
}

fn write_origin(o: &mut Object<'_>, facts: &RequestFacts<'_>) {
    match facts.started {
        Started::At(at) => o.text("time", clock::rfc3339(at).as_bytes()),
        Started::Clamped(at) => {
            o.text("time", clock::rfc3339(at).as_bytes());
            o.flag("time_clamped", true);
        }
    }
    o.text("id", cut(facts.id, MAX_VALUE_BYTES));
    o.text("gateway", facts.gateway.as_bytes());
    o.text("mode", facts.mode.as_str().as_bytes());
    match &facts.metadata.source_ip {
        SourceIp::Known(address) => {
            let mut text = Vec::with_capacity(MAX_IPV4_BYTES);
            address.write(&mut text);
            o.text("client_ip", &text);
        }
        // No address is invented for a report without one.
        SourceIp::Absent | SourceIp::Invalid(_) => {}
    }
    if let Some(port) = facts.metadata.source_port {
        o.number("client_port", u64::from(port));
    }
}

/// What shows of a request that it broke a rule: a JSON object with the request as the access log has it.
#[must_use]
pub fn evidence(metadata: &RequestMetadata<'_>, identified: &Identified<'_>) -> String {
    let mut out = Vec::with_capacity(256);
    json::object(&mut out, |o| write_request(o, metadata, Some(identified)));
    String::from_utf8_lossy(&out).into_owned()
}

fn write_request(
    o: &mut Object<'_>,
    metadata: &RequestMetadata<'_>,
    identified: Option<&Identified<'_>>,
) {
    let secret_names: Vec<&str> = identified
        .iter()
        .flat_map(|identified| &identified.credentials)
        .filter(|credential| credential.place != Place::Cookie)
        .map(|credential| &*credential.name)
        .collect();
    if let Some(method) = metadata.method.as_deref() {
        o.text("method", cut(method, MAX_VALUE_BYTES));
    }
    header(o, "host", &metadata.headers, "host", &secret_names);
    if let Some(url) = metadata.url.as_deref() {
        let url = redaction::redact_url(url, &secret_names);
        o.text("url", cut(&url, MAX_URL_BYTES));
    }
    if let Some(version) = metadata.http_version.as_deref() {
        o.text("http_version", cut(version, MAX_VALUE_BYTES));
    }
    header(
        o,
        "user_agent",
        &metadata.headers,
        "user-agent",
        &secret_names,
    );
    header(o, "referer", &metadata.headers, REFERER, &secret_names);
    header(
        o,
        "content_type",
        &metadata.headers,
        "content-type",
        &secret_names,
    );
    length(o, "content_length", &metadata.headers);
    if metadata.tls.known().next().is_some() {
        o.object("tls", |t| {
            for (name, fact) in metadata.tls.known() {
                t.text(name, cut(fact, MAX_VALUE_BYTES));
            }
        });
    }
}

fn write_judgement(o: &mut Object<'_>, facts: &RequestFacts<'_>) {
    if let Some(api) = facts.found.and_then(|found| found.decision.api.as_ref()) {
        o.text("api", api.id().as_str().as_bytes());
    }
    o.text("decision", facts.decision.as_str().as_bytes());
    if let Some(cause) = facts.decision.cause() {
        o.text("cause", cause.as_str().as_bytes());
    }
    if let Some(verdict) = facts.verdict {
        o.text("verdict", verdict.as_str().as_bytes());
    }
    let Some(found) = facts.found else {
        return;
    };
    if let Some(listing) = &found.decision.listing {
        o.object("listed", |l| {
            l.text("identifier", listing.identifier.to_string().as_bytes());
            l.text("source", listing.source.as_str().as_bytes());
            l.text("reason", cut(&listing.reason, MAX_VALUE_BYTES));
        });
    }
    if let Some(detection) = found.decision.detection {
        o.object("detected", |d| {
            d.text("rule", detection.as_str().as_bytes());
            if let Some(attack) = detection.attack_id() {
                d.number("attack_id", u64::from(attack));
            }
        });
    }
    let Identified {
        credentials,
        left_out,
    } = &found.identified;
    if !credentials.is_empty() {
        o.array("credentials", |a| {
            for credential in credentials.iter().take(MAX_CREDENTIALS) {
                a.object(|c| write_credential(c, credential));
            }
        });
    }
    let unlogged = credentials.len().saturating_sub(MAX_CREDENTIALS);
    let left_out = left_out.saturating_add(unlogged);
    if left_out > 0 {
        o.number(
            "credentials_left_out",
            u64::try_from(left_out).unwrap_or(u64::MAX),
        );
    }
}

fn write_credential(o: &mut Object<'_>, credential: &IdentifiedCredential<'_>) {
    o.text("id", credential.id.text().as_str().as_bytes());
    o.text("kind", credential.kind.as_str().as_bytes());
    o.text("name", cut(&credential.name, MAX_VALUE_BYTES));
    o.text("in", credential.place.as_str().as_bytes());
    o.text("provenance", credential.provenance.as_str().as_bytes());
}

fn write_ending(o: &mut Object<'_>, ending: &Ending<'_>) {
    o.text("outcome", ending.outcome.as_str().as_bytes());
    if let Some(response) = ending.response {
        o.number("response_code", u64::from(response.code));
        header(
            o,
            "response_content_type",
            &response.headers,
            "content-type",
            &[],
        );
        length(o, "response_content_length", &response.headers);
    }
    if let Some(duration) = ending.duration {
        o.number("duration_us", micros(duration));
    }
    if let Some(asked_for) = ending.asked_for {
        o.number("ask_us", micros(asked_for));
    }
}

fn header(
    o: &mut Object<'_>,
    key: &'static str,
    headers: &Headers<'_>,
    name: &str,
    secret: &[&str],
) {
    if let Some(value) = headers.first(name.as_bytes()) {
        let value = text::of(value);
        // A header that an API or a gateway takes for a credential is one, whatever it is called.
        let value = if secret
            .iter()
            .any(|secret| secret.eq_ignore_ascii_case(name))
        {
            Cow::Borrowed(redaction::HIDDEN)
        } else if name == REFERER {
            redaction::redact_header(name, &value, secret)
        } else {
            // The others that are logged hold no secret by their own names.
            value
        };
        let max = if name == REFERER {
            MAX_URL_BYTES
        } else {
            MAX_VALUE_BYTES
        };
        o.text(key, cut(&value, max));
    }
}

fn length(o: &mut Object<'_>, key: &'static str, headers: &Headers<'_>) {
    let value = headers.first(b"content-length");
    if let Some(length) = value.and_then(|value| text::of(value).trim().parse().ok()) {
        o.number(key, length);
    }
}

/// As many characters from the start as take at most `max` bytes in JSON.
fn cut(text: &str, max: usize) -> &[u8] {
    // A byte takes at most as much as an escape has.
    if text.len() <= max / "\\u0000".len() {
        return text.as_bytes();
    }
    let mut room = max;
    let fits = |character: &char| {
        let size = match character {
            '\0'..='\x1f' => "\\u0000".len(),
            '"' | '\\' => 2,
            other => other.len_utf8(),
        };
        let fits = size <= room;
        room = room.saturating_sub(size);
        fits
    };
    let end: usize = text.chars().take_while(fits).map(char::len_utf8).sum();
    text.as_bytes().get(..end).unwrap_or_default()
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
