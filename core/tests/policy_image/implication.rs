//! The one property that local mode stands on: a pass of the image is a plain pass of the decision.

use std::borrow::Cow;
use std::cell::Cell;
use std::sync::Arc;

use ase_core::credential::{CredentialKey, CredentialKind};
use ase_core::decision::{
    Decision, Effects, NoCounts, Snapshot, Switch, Switches, Verdict, decide,
};
use ase_core::headers::Headers;
use ase_core::identifier_list::{Entry, ListedIdentifier};
use ase_core::identity::{
    CredentialNames, Credentials, HashedCredential, is_header, without_credentials,
};
use ase_core::metadata::RequestReport;
use ase_core::policy_image::{
    AskReason, FingerprintBits, Judgement, LocalRequest, PolicyImage, RANGES_BYTES, Settings, build,
};
use ase_core::wire::{Identifier, RequestHead, body_text, read_request, write_request};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::test_runner::{Config, TestRunner};

use super::world::{
    Api, Key, NOW, Request, apis, entry, identifier, key_ring, registry, request, ring,
};

/// In what form a gateway tells credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Values,
    Ids,
    Removed,
}

type Listings = Vec<(ListedIdentifier, Entry)>;

#[derive(Clone, Debug)]
struct Case {
    apis: Vec<Api>,
    ring: (Key, Option<Key>),
    listed: Listings,
    added: Listings,
    allowed: Listings,
    firewall: Switch,
    build: (FingerprintBits, usize),
    form: Form,
    gateway_keys: Vec<Key>,
    names: CredentialNames,
    /// A header that ASE is not told of.
    hidden: &'static str,
    requests: Vec<Request>,
}

fn listings(most: usize) -> impl Strategy<Value = Listings> {
    prop::collection::vec((identifier(), entry()), 0..most)
}

fn case() -> impl Strategy<Value = Case> {
    let width = prop_oneof![Just(FingerprintBits::Eight), Just(FingerprintBits::Sixteen)];
    let ranges_bytes = prop_oneof![Just(RANGES_BYTES), 0_usize..100];
    let form = prop_oneof![Just(Form::Values), Just(Form::Ids), Just(Form::Removed)];
    let firewall = prop_oneof![3 => Just(Switch::On), 1 => Just(Switch::Off)];
    let lists = (listings(5), listings(3), listings(2), firewall);
    let hidden = select(vec!["", "", "x_api_key", "cookie"]);
    let gateway = (form, gateway_keys(), names(), hidden);
    let requests = prop::collection::vec(request(), 1..12);
    (
        apis(),
        ring(),
        lists,
        (width, ranges_bytes),
        gateway,
        requests,
    )
        .prop_map(
            |(
                apis,
                ring,
                (listed, added, allowed, firewall),
                build,
                (form, gateway_keys, names, hidden),
                requests,
            )| Case {
                apis,
                ring,
                listed,
                added,
                allowed,
                firewall,
                build,
                form,
                gateway_keys,
                names,
                hidden,
                requests,
            },
        )
}

/// The keys of a gateway: all, some, a forgotten one, or one of the right id and a wrong secret.
fn gateway_keys() -> impl Strategy<Value = Vec<Key>> {
    let all = vec![Key(1, 1), Key(2, 2), Key(3, 3), Key(9, 9), Key(2, 7)];
    prop_oneof![
        2 => Just(vec![Key(2, 2), Key(1, 1)]),
        1 => Just(vec![Key(2, 2)]),
        1 => Just(vec![Key(3, 3), Key(2, 2)]),
        2 => subsequence(all, 0..=2),
    ]
}

/// Names that a gateway looks for by its own configuration.
fn names() -> impl Strategy<Value = CredentialNames> {
    let some =
        |name: &'static str| prop::option::of(Just(name.to_owned())).prop_map(Vec::from_iter);
    (
        some("authorization"),
        some("access_token"),
        some("x-api-key"),
        some("SID"),
    )
        .prop_map(
            |(token_headers, token_query, api_key_headers, cookies)| CredentialNames {
                token_headers,
                token_query,
                api_key_headers,
                cookies,
                ..CredentialNames::default()
            },
        )
}

#[test]
fn what_a_gateway_passes_by_its_image_ase_would_pass_without_a_word() {
    let (passed, asked) = (Cell::new(0), Cell::new(0));
    let reasons = std::cell::RefCell::new(std::collections::HashSet::new());
    let mut runner = TestRunner::new(Config {
        cases: 3000,
        ..Config::default()
    });
    let result = runner.run(&case(), |case| {
        for (request, judgement, decision) in judged(&case) {
            match judgement {
                Judgement::Pass => {
                    passed.set(passed.get() + 1);
                    prop_assert!(is_plain_pass(decision.as_ref()), "{request:?} {decision:?}");
                }
                Judgement::Ask(reason) => {
                    asked.set(asked.get() + 1);
                    reasons.borrow_mut().insert(reason);
                }
            }
        }
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
    let reasons = reasons.borrow();
    // The property would hold of an image that always asks.
    assert!(passed.get() > asked.get() / 10, "{passed:?} {asked:?}");
    for reason in [
        AskReason::UnknownApi,
        AskReason::AlwaysAsk,
        AskReason::ListedAddress,
        AskReason::Undecidable,
    ] {
        assert!(reasons.contains(&reason), "{reason:?}");
    }
    for kind in CredentialKind::ALL {
        assert!(
            reasons.contains(&AskReason::ListedCredential(kind)),
            "{kind:?}"
        );
        assert!(reasons.contains(&AskReason::NoKey(kind)), "{kind:?}");
    }
}

fn is_plain_pass(decision: Option<&Decision>) -> bool {
    decision.is_some_and(|decision| {
        matches!(decision.verdict, Verdict::NotListed | Verdict::AllowListed)
            && decision.api.is_some()
            && decision.detection.is_none()
            && decision.effects == Effects::default()
    })
}

/// Each request of a case, what the image says of it and what ASE would have said to the question; `None` when it would have refused it.
fn judged(case: &Case) -> Vec<(&Request, Judgement, Option<Decision>)> {
    let keys = key_ring(case.ring);
    let mut snapshot = Snapshot {
        registry: Arc::new(registry(&case.apis)),
        switches: Switches {
            firewall: case.firewall,
            ase_detected_attack: Switch::On,
        },
        ..Snapshot::default()
    };
    for (identifier, entry) in &case.listed {
        snapshot.attack.insert(*identifier, entry.clone());
    }
    for (identifier, entry) in &case.allowed {
        snapshot.allow.insert(*identifier, entry.clone());
    }
    let (width, ranges_bytes) = case.build;
    let settings = Settings {
        ranges_bytes,
        ..Settings::new(&keys, width, 7, [5; 16])
    };
    let image = build(&snapshot, &settings).unwrap();
    let mut owners = PolicyImage::parse(image.clone()).unwrap();
    let mut gateways = PolicyImage::parse(image).unwrap();
    for (identifier, entry) in &case.added {
        snapshot.attack.insert(*identifier, entry.clone());
        let before = owners.revision();
        owners.add(identifier).unwrap();
        let mut overlay = Vec::new();
        owners.write_overlay(before, &mut overlay);
        gateways.extend(&overlay).unwrap();
    }
    let made: Vec<CredentialKey> = case.gateway_keys.iter().map(|key| key.make()).collect();
    let judge = |request| {
        let headers = request_headers(request);
        let url = &request.url;
        let credentials = Credentials::find(&headers, url, &case.names);
        let local = LocalRequest {
            client: request.client,
            headers: &headers,
            url,
            host: request.host.as_deref(),
            credentials: &credentials,
            username: request.username.as_deref(),
        };
        let judgement = gateways.judge(&local, &made);
        let question = question(case, request, &headers, &credentials, &made);
        let text = body_text(&question);
        let metadata = read_request(&text).unwrap();
        let report = RequestReport::of(&metadata).ok();
        let decision = report.map(|report| decide(&report, &snapshot, &keys, &NoCounts, NOW));
        (request, judgement, decision)
    };
    case.requests.iter().map(judge).collect()
}

fn request_headers(request: &Request) -> Headers<'_> {
    let mut headers = Headers::default();
    request.push_headers(&mut headers);
    headers
}

/// The question as the gateway would write it, in each of the three forms.
fn question(
    case: &Case,
    request: &Request,
    headers: &Headers<'_>,
    credentials: &Credentials<'_>,
    keys: &[CredentialKey],
) -> Vec<u8> {
    let url = match case.form {
        Form::Values => Cow::Borrowed(&*request.url),
        Form::Ids | Form::Removed => without_credentials(&request.url, &case.names),
    };
    let head = RequestHead {
        source_ip: request.client,
        source_port: None,
        method: b"GET",
        url: &url,
        host: request.host.as_deref(),
        http_version: None,
        tls: None,
        username: request.username.as_deref(),
        client_id: None,
    };
    let own = case
        .names
        .token_headers
        .iter()
        .chain(&case.names.api_key_headers);
    let secret: Vec<&str> = own
        .map(String::as_str)
        .chain(["authorization", "cookie"])
        .collect();
    let told = |name: &[u8]| {
        let secret = secret.iter().any(|known| is_header(name, known));
        (case.form == Form::Values || !secret) && !name.eq_ignore_ascii_case(case.hidden.as_bytes())
    };
    let lines = headers.iter().filter(|header| told(&header.name));
    let values = credentials
        .iter()
        .filter(|_| case.form == Form::Values)
        .map(Identifier::Value);
    let ids = credentials
        .iter()
        .filter(|_| case.form == Form::Ids)
        .flat_map(|found| {
            keys.iter().map(|key| {
                Identifier::Id(HashedCredential {
                    kind: found.kind,
                    name: found.name.clone(),
                    place: found.place,
                    id: key.id_of(found.kind, &found.name, found.value.as_bytes()),
                    provenance: found.provenance,
                })
            })
        });
    let mut out = Vec::new();
    write_request(
        &mut out,
        &head,
        lines.map(|header| (&*header.name, &*header.value)),
        values.chain(ids),
    );
    out
}
