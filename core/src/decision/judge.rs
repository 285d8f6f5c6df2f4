//! Judges one request by each API that some reading of it finds: the lists first, then the rules of that API.

use std::sync::Arc;

use super::carried::{self, Identified};
use super::{
    Decision, Detection, Effects, Listing, RequestCounts, Snapshot, Switch, Switches, Verdict,
};
use crate::credential::{CredentialId, CredentialKind, KeyRing};
use crate::identifier_list::{EntryRef, IdentifierList, ListedIdentifier, Source};
use crate::identity::{Credentials, Kinds, Provenance};
use crate::metadata::RequestReport;
use crate::registry::{ApiDefinition, Blocking, Found, Lure, Registry, TokenRule};
use crate::time::UnixMillis;

/// Everything that a decision looks at.
pub(super) struct Judge<'j, 'c, 'm, C> {
    report: &'j RequestReport<'m>,
    snapshot: &'j Snapshot,
    keys: &'c KeyRing,
    counts: &'c C,
    now: UnixMillis,
    naming: Naming,
}

/// Which credentials are given ids.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Naming {
    /// Those that a list may hold.
    Sought,
    /// All.
    All,
}

/// A credential that some list may name.
#[derive(Clone, Copy)]
struct Sought {
    kind: CredentialKind,
    provenance: Provenance,
    id: CredentialId,
}

impl<'j, 'c, 'm, C: RequestCounts> Judge<'j, 'c, 'm, C> {
    pub(super) fn new(
        report: &'j RequestReport<'m>,
        snapshot: &'j Snapshot,
        (keys, counts): (&'c KeyRing, &'c C),
        now: UnixMillis,
        naming: Naming,
    ) -> Self {
        Self {
            report,
            snapshot,
            keys,
            counts,
            now,
            naming,
        }
    }

    pub(super) fn decide(&self) -> (Decision, Identified<'j>) {
        let (usual, others) = candidates(self.report, &self.snapshot.registry);
        let mut decided = self.judge(usual);
        for other in others {
            let other = self.judge(Found::Api(other));
            if other.0.strictness() > decided.0.strictness() {
                decided = other;
            }
        }
        decided
    }

    fn judge(&self, found: Found<'j>) -> (Decision, Identified<'j>) {
        let unknown = |verdict| (Decision::bare(verdict, None), self.identified(None));
        let api = match found {
            Found::Api(api) => api,
            Found::UnknownApi => return unknown(Verdict::UnknownApi),
            Found::UnknownHostname => return unknown(Verdict::UnknownHostname),
        };
        let kinds = self.sought_kinds();
        let carried = self.carried(api, kinds);
        let identified = self.identified(carried.as_ref());
        let sought = self.sought(carried.as_ref(), &identified, kinds);
        let decision = self.judge_for(api, carried.as_ref(), &sought);
        (decision, identified)
    }

    fn judge_for(
        &self,
        api: &Arc<ApiDefinition>,
        carried: Option<&Credentials<'_>>,
        sought: &[Sought],
    ) -> Decision {
        let of_api = |verdict| Decision::bare(verdict, Some(Arc::clone(api)));
        if let Some(listing) = self.listing(&self.snapshot.allow, sought, may_allow, api) {
            return Decision {
                listing: Some(listing),
                ..of_api(Verdict::AllowListed)
            };
        }
        let attack = self.listing(&self.snapshot.attack, sought, |_| true, api);
        let lured = api.rules().decoys().hit_by(self.report, api);
        if let Some(listing) = attack.filter(|listing| holds_on(listing, lured)) {
            return Decision {
                listing: Some(listing),
                ..of_api(self.enforced(api))
            };
        }
        let (verdict, detection, effects) = self.rules(api, lured, carried);
        Decision {
            detection,
            effects,
            ..of_api(verdict)
        }
    }

    /// The request's credentials; `None` when neither a list nor a rule nor a log asks for any.
    fn carried(&self, api: &'j ApiDefinition, sought: Kinds) -> Option<Credentials<'j>> {
        let mut kinds = match self.naming {
            Naming::Sought => sought,
            Naming::All => Kinds::ALL,
        };
        match api.rules().token() {
            TokenRule::Mandatory => kinds = kinds.with(CredentialKind::Token),
            TokenRule::Optional => {}
        }
        (!kinds.is_empty()).then(|| carried::carried(self.report, Some(api), kinds))
    }

    /// All credentials by their ids, if that is asked for. Of a request to no API those that the gateway names.
    fn identified(&self, carried: Option<&Credentials<'j>>) -> Identified<'j> {
        match (self.naming, carried) {
            (Naming::Sought, _) => Identified::default(),
            (Naming::All, Some(carried)) => Identified::named(self.report, carried, self.keys),
            (Naming::All, None) => Identified::of(self.report, None, self.keys),
        }
    }

    /// The ids of those credentials that a list may name; an id costs more than all look-ups together.
    fn sought(
        &self,
        carried: Option<&Credentials<'_>>,
        identified: &Identified<'_>,
        kinds: Kinds,
    ) -> Vec<Sought> {
        if self.naming == Naming::All && self.keys.previous().is_none() {
            let credentials = identified.credentials.iter();
            let listed = credentials.filter(|found| kinds.include(found.kind));
            return listed
                .map(|found| Sought {
                    kind: found.kind,
                    provenance: found.provenance,
                    id: found.id,
                })
                .collect();
        }
        let hashed = self.report.metadata.hashed.iter().map(|found| Sought {
            kind: found.kind,
            provenance: found.provenance,
            id: found.id,
        });
        carried
            .into_iter()
            .flat_map(Credentials::iter)
            .filter(|found| kinds.include(found.kind))
            .flat_map(|found| {
                let value = found.value.as_bytes();
                let ids = self.keys.ids_of(found.kind, &found.name, value);
                ids.into_iter().map(|id| Sought {
                    kind: found.kind,
                    provenance: found.provenance,
                    id,
                })
            })
            .chain(hashed)
            .collect()
    }

    /// The kinds of which either list holds any.
    fn sought_kinds(&self) -> Kinds {
        let Snapshot { allow, attack, .. } = self.snapshot;
        CredentialKind::ALL
            .into_iter()
            .filter(|kind| allow.credentials_listed(*kind) + attack.credentials_listed(*kind) > 0)
            .fold(Kinds::NONE, Kinds::with)
    }

    fn listing(
        &self,
        list: &IdentifierList,
        sought: &[Sought],
        counts: fn(&Sought) -> bool,
        api: &ApiDefinition,
    ) -> Option<Listing> {
        let (id, group) = (api.id(), api.group());
        if let Some((network, entry)) =
            list.look_up_address(self.report.client, id, group, self.now)
        {
            return Some(listing(ListedIdentifier::Network(network), entry));
        }
        let mut counting = sought.iter().filter(|found| counts(found));
        counting.find_map(
            |Sought {
                 kind, id: digest, ..
             }| {
                let entry = list.look_up_credential(*kind, digest, id, group, self.now)?;
                let (kind, id) = (*kind, *digest);
                Some(listing(ListedIdentifier::Credential { kind, id }, entry))
            },
        )
    }

    /// What the rules say of a request that no list decides.
    fn rules(
        &self,
        api: &ApiDefinition,
        lured: Option<Lure>,
        carried: Option<&Credentials<'_>>,
    ) -> (Verdict, Option<Detection>, Effects) {
        let rules = api.rules();
        if let Some(lure) = lured {
            let detection = Detection::Decoy(lure);
            let effects = self.listed_for(detection, api);
            return (Verdict::NotListed, Some(detection), effects);
        }
        let broken = if rules.patterns().is_empty() {
            None
        } else {
            rules.patterns().broken_by(self.report)
        };
        let broken = broken.map(Detection::Pattern).or_else(|| {
            let missing = rules.token() == TokenRule::Mandatory
                && !carried.is_some_and(has_token)
                && !has_hashed_token(self.report)
                && !is_preflight(self.report);
            missing.then_some(Detection::TokenMissing)
        });
        if let Some(detection) = broken {
            let effects = self.listed_for(detection, api);
            let verdict = match effects.list {
                Some(_) => Verdict::Blocked,
                None => Verdict::WouldBlock,
            };
            return (verdict, Some(detection), effects);
        }
        let Some(limit) = rules.spike() else {
            return (Verdict::NotListed, None, Effects::default());
        };
        let effects = Effects {
            list: None,
            count: Some(limit),
        };
        if self.counts.requests(self.report, api, limit) < limit.requests.get() {
            return (Verdict::NotListed, None, effects);
        }
        let verdict = match api.blocking() {
            Blocking::Enforced => Verdict::Blocked,
            Blocking::DetectOnly => Verdict::WouldBlock,
        };
        (verdict, Some(Detection::ClientSpike), effects)
    }

    /// Whether a detection puts the client on the list: both switches are on, and the API blocks. A decoy API has
    /// nothing of its own to block, so it needs no blocking.
    fn listed_for(&self, detection: Detection, api: &ApiDefinition) -> Effects {
        let Switches {
            firewall,
            ase_detected_attack,
        } = self.snapshot.switches;
        let lists = match (detection, api.blocking()) {
            (Detection::Decoy(Lure::OutOfContext), Blocking::Enforced | Blocking::DetectOnly)
            | (_, Blocking::Enforced) => firewall.is_on() && ase_detected_attack.is_on(),
            (
                Detection::Decoy(Lure::InContext)
                | Detection::Pattern(_)
                | Detection::TokenMissing
                | Detection::ClientSpike,
                Blocking::DetectOnly,
            ) => false,
        };
        Effects {
            list: lists.then_some(detection),
            count: None,
        }
    }

    /// What happens to a listed client.
    fn enforced(&self, api: &ApiDefinition) -> Verdict {
        match (self.snapshot.switches.firewall, api.blocking()) {
            (Switch::On, Blocking::Enforced) => Verdict::Blocked,
            (Switch::On | Switch::Off, Blocking::DetectOnly)
            | (Switch::Off, Blocking::Enforced) => Verdict::WouldBlock,
        }
    }
}

/// What the usual reading finds, and the other APIs that some reading finds.
fn candidates<'r>(
    report: &RequestReport<'_>,
    registry: &'r Registry,
) -> (Found<'r>, Vec<&'r Arc<ApiDefinition>>) {
    match (&*report.hosts, &*report.paths) {
        ([], [path]) => return (registry.find(None, path), Vec::new()),
        ([host], [path]) => return (registry.find(Some(host), path), Vec::new()),
        (_, _) => {}
    }
    let mut all = Vec::with_capacity(1);
    for path in &report.paths {
        if report.hosts.is_empty() {
            all.push(registry.find(None, path));
        }
        all.extend(
            report
                .hosts
                .iter()
                .map(|host| registry.find(Some(host), path)),
        );
    }
    let usual = all.first().copied().unwrap_or(Found::UnknownApi);
    let mut others: Vec<&Arc<ApiDefinition>> = Vec::new();
    for found in all.into_iter().skip(1) {
        if let Found::Api(api) = found
            && !others.iter().any(|known| known.id() == api.id())
        {
            others.push(api);
        }
    }
    others.retain(|api| !matches!(usual, Found::Api(usual) if usual.id() == api.id()));
    (usual, others)
}

/// A decoy API goes on answering the clients that it has caught: they should not learn what it is.
fn holds_on(listing: &Listing, lured: Option<Lure>) -> bool {
    match lured {
        Some(Lure::OutOfContext) => match listing.source {
            Source::RealTime(_) => false,
            Source::Manual | Source::File | Source::Engine => true,
        },
        Some(Lure::InContext) | None => true,
    }
}

/// A user name is no secret: only one that the gateway verified opens the door.
fn may_allow(credential: &Sought) -> bool {
    match credential.kind {
        CredentialKind::Username => credential.provenance == Provenance::Verified,
        CredentialKind::Cookie | CredentialKind::Token | CredentialKind::ApiKey => true,
    }
}

fn has_token(carried: &Credentials<'_>) -> bool {
    carried
        .iter()
        .any(|found| found.kind == CredentialKind::Token)
}

/// Browsers ask so before they send a request with a token (fetch standard, "CORS-preflight request").
fn is_preflight(report: &RequestReport<'_>) -> bool {
    let headers = &report.metadata.headers;
    report.method == "OPTIONS"
        && headers.first(b"origin").is_some()
        && headers.first(b"access-control-request-method").is_some()
}

fn has_hashed_token(report: &RequestReport<'_>) -> bool {
    let mut hashed = report.metadata.hashed.iter();
    hashed.any(|found| found.kind == CredentialKind::Token)
}

fn listing(identifier: ListedIdentifier, entry: EntryRef<'_>) -> Listing {
    Listing {
        identifier,
        source: entry.source,
        reason: Arc::from(entry.reason),
    }
}
