//! APIs that no definition covers, as their traffic shows them: base paths, templates, what clients identify themselves by.
//!
//! Only what answers well is learned, so that a scanner cannot invent an API. Bounded in APIs, templates, names and their length.
//! Of credentials only kinds and the names of their places are kept.

use std::collections::BTreeMap;

use ase_core::api_id::ApiId;
use ase_core::credential::CredentialKind;

use crate::client::percent;
use crate::counters::Counters;
use crate::path_shape::{Segment, segment_kind};
use crate::signs::{Answer, File, Intent, Signs};
use crate::transaction::{Carrier, Covers, Declared, Transaction};

mod collapse;

const MAX_APIS: usize = 256;
const MAX_TEMPLATES: usize = 128;
const MAX_SEGMENTS: usize = 12;
const MAX_SEGMENT_CHARS: usize = 64;
/// Most levels of a base path; definitions take ten.
const MAX_BASE_SEGMENTS: usize = 6;
/// Places of credentials that are counted of an API.
const MAX_CARRIERS: usize = 32;
/// The share of requests from which on a kind of credential belongs to the API, in percent.
const USUAL: f32 = 50.0;

/// An API that nobody has declared, or what is undeclared of one.
#[derive(Clone, Debug, PartialEq)]
pub struct DiscoveredApi {
    /// The API that declares other routes; `None` for one that no definition covers.
    pub api: Option<ApiId>,
    /// The path that its requests begin with: a definition's `url`. Empty for a declared API.
    pub base_path: String,
    /// Well answered requests.
    pub requests: u32,
    /// Its calls, the busiest first. Where a path goes on in very many words, these name things, as ids do.
    pub templates: Vec<Template>,
    /// The kinds of credentials that half of its requests carry at least: `oauth2_access_token`, `apikey_header`, `cookie`, ...
    pub identified_by: Vec<CredentialKind>,
    /// The places of credentials that half of its requests have at least, the most usual first.
    pub carriers: Vec<Usual>,
    /// Where its clients log in, if anywhere: a definition's `login_url`.
    pub login_path: Option<String>,
}

/// A place of credentials that an API's clients use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usual {
    /// Which.
    pub carrier: Carrier,
    /// Well answered requests that had it.
    pub requests: u32,
}

/// One call of an API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// The method.
    pub method: &'static str,
    /// The path, with `{id}` for what names an object.
    pub path: String,
    /// Well answered requests.
    pub requests: u32,
}

#[derive(Debug, Default)]
pub(crate) struct Discovery(BTreeMap<(Option<ApiId>, String), Found>);

#[derive(Debug, Default)]
struct Found {
    requests: u32,
    templates: BTreeMap<(&'static str, String), u32>,
    kinds: [u32; CredentialKind::ALL.len()],
    carriers: Vec<Usual>,
    login_path: Option<String>,
}

impl Discovery {
    /// Learns from a transaction that no definition covers, or only the one that covers the rest.
    pub(crate) fn learn(
        &mut self,
        transaction: &Transaction<'_>,
        signs: &Signs,
        counters: &mut Counters,
    ) {
        let is_call = signs.answer == Answer::Success
            && signs.file == File::Call
            && signs.injection.is_none();
        let Some(method) = method(transaction.method).filter(|_| is_call) else {
            return;
        };
        let Some(owner) = owner(transaction) else {
            return;
        };
        let Some(segments) = template(transaction) else {
            return;
        };
        let base = match owner {
            None => (None, base(&segments)),
            Some(api) => (Some(api.clone()), String::new()),
        };
        if !self.0.contains_key(&base) && self.0.len() >= MAX_APIS {
            counters.discoveries_refused += 1;
            return;
        }
        let found = self.0.entry(base).or_default();
        found.requests = found.requests.saturating_add(1);
        found.count_credentials(transaction, counters);
        let path = joined(&segments);
        if signs.login.is_some() && signs.intent == Intent::Write && found.login_path.is_none() {
            found.login_path = Some(path.clone());
        }
        let key = (method, path);
        if found.templates.contains_key(&key) || found.templates.len() < MAX_TEMPLATES {
            let count = found.templates.entry(key).or_default();
            *count = count.saturating_add(1);
        } else {
            counters.discoveries_refused += 1;
        }
    }

    /// What has been found, the busiest first.
    pub(crate) fn apis(&self) -> Vec<DiscoveredApi> {
        let mut apis: Vec<DiscoveredApi> = self
            .0
            .iter()
            .map(|((api, base), found)| found.api(api.as_ref(), base))
            .collect();
        apis.sort_by_key(|api| std::cmp::Reverse(api.requests));
        apis
    }
}

impl Found {
    fn count_credentials(&mut self, transaction: &Transaction<'_>, counters: &mut Counters) {
        for (count, kind) in self.kinds.iter_mut().zip(CredentialKind::ALL) {
            let mut carried = transaction.credentials.iter().map(|carried| carried.kind);
            let mut seems = transaction.carriers.iter().map(|carrier| carrier.kind);
            let carries = carried.any(|found| found == kind) || seems.any(|found| found == kind);
            *count = count.saturating_add(u32::from(carries));
        }
        for carrier in transaction.carriers {
            if !self.count_carrier(carrier) {
                counters.discoveries_refused += 1;
            }
        }
    }

    /// False when there is no room: the oldest that was seen once only makes room, so that names that change leave it to those that stay.
    fn count_carrier(&mut self, carrier: &Carrier) -> bool {
        let known = self.carriers.iter_mut();
        if let Some(usual) = known.into_iter().find(|usual| usual.carrier == *carrier) {
            usual.requests = usual.requests.saturating_add(1);
            return true;
        }
        let new = Usual {
            carrier: carrier.clone(),
            requests: 1,
        };
        if self.carriers.len() >= MAX_CARRIERS {
            let rare = self.carriers.iter().position(|usual| usual.requests <= 1);
            let Some(oldest) = rare else {
                return false;
            };
            self.carriers.remove(oldest);
        }
        self.carriers.push(new);
        true
    }

    fn api(&self, api: Option<&ApiId>, base: &str) -> DiscoveredApi {
        let first = base.split('/').count().max(2);
        let mut templates = collapse::templates(&self.templates, first);
        templates.sort_by_key(|template| std::cmp::Reverse(template.requests));
        let usual = |count: u32| percent(count as f32, self.requests as f32) >= USUAL;
        let kinds = CredentialKind::ALL.into_iter().zip(self.kinds);
        let carriers = self.carriers.iter();
        let mut carriers: Vec<Usual> = carriers
            .filter(|carried| usual(carried.requests))
            .cloned()
            .collect();
        carriers.sort_by(|one, other| {
            let order = other.requests.cmp(&one.requests);
            order.then_with(|| one.carrier.cmp(&other.carrier))
        });
        DiscoveredApi {
            api: api.cloned(),
            base_path: base.to_owned(),
            requests: self.requests,
            templates,
            identified_by: kinds
                .filter(|(_, count)| usual(*count))
                .map(|(kind, _)| kind)
                .collect(),
            carriers,
            login_path: self.login_path.clone(),
        }
    }
}

/// Whose undeclared routes a transaction may show: those of an API that declares others, or of none. `None` when nothing of it
/// is undeclared.
fn owner<'a>(transaction: &Transaction<'a>) -> Option<Option<&'a ApiId>> {
    let Some(api) = transaction.api else {
        return Some(None);
    };
    match (api.covers, transaction.declared()) {
        (_, Declared::Route(_)) | (Covers::Own, Declared::Nothing) => None,
        (Covers::Rest, Declared::Nothing | Declared::Other) => Some(None),
        (Covers::Own, Declared::Other) => Some(Some(api.id)),
    }
}

fn method(method: &str) -> Option<&'static str> {
    const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
    METHODS.into_iter().find(|known| *known == method)
}

/// The segments of a path with `{id}` for ids; `None` for a path that no API has.
fn template(transaction: &Transaction<'_>) -> Option<Vec<String>> {
    let segments = transaction
        .path
        .segments()
        .map(|segment| match segment_kind(segment) {
            Segment::Number(_) | Segment::Opaque => Some("{id}".to_owned()),
            Segment::Word => {
                let text = std::str::from_utf8(segment).ok()?;
                // A definition cannot name the others, and no API has them.
                let odd = |letter: char| letter.is_control() || "%?#;\\{}".contains(letter);
                let plain = text.len() <= MAX_SEGMENT_CHARS && !text.contains(odd);
                plain.then(|| text.to_owned())
            }
        });
    let segments: Vec<String> = segments.take(MAX_SEGMENTS + 1).collect::<Option<_>>()?;
    (1..=MAX_SEGMENTS)
        .contains(&segments.len())
        .then_some(segments)
}

/// What comes before the names of things: `/api/v1` of `/api/v1/orders/{id}`, otherwise the first segment.
fn base(segments: &[String]) -> String {
    let leads = |segment: &&String| {
        let version = segment
            .strip_prefix('v')
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()));
        version
            || matches!(
                segment.as_str(),
                "api" | "apis" | "rest" | "services" | "public" | "internal"
            )
    };
    let leading = segments.iter().take(MAX_BASE_SEGMENTS);
    let leading = leading.take_while(leads).count().max(1);
    joined(segments.get(..leading).unwrap_or(segments))
}

fn joined(segments: &[String]) -> String {
    segments
        .iter()
        .fold(String::new(), |path, segment| path + "/" + segment)
}
