//! What the filter clears by an image, ASE would have passed without a word: the filter's own configurations and questions against the decision.
//!
//! `core/tests/policy_image` has the same of the image alone, for questions in every form that any gateway could write.
#![expect(clippy::unwrap_used, reason = "test code outside of a test function")]

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::Arc;

use ase_core::decision::{Decision, Effects, NoCounts, Snapshot, Verdict, decide};
use ase_core::headers::Headers;
use ase_core::identifier_list::{Entry, ListedIdentifier};
use ase_core::metadata::RequestReport;
use ase_core::policy_image::{FingerprintBits, Judgement, PolicyImage, Settings, build};
use ase_core::wire::{body_text, read_request};
use ase_filter::config::Config;
use ase_filter::exchange::Head;
use ase_filter::head::{SeenRequest, Verified, client, write_question};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::test_runner::{Config as Cases, TestRunner};

#[path = "../../core/tests/policy_image/world.rs"]
mod world;

use world::{Api, Key, NOW, Request, apis, entry, identifier, key_ring, registry, request, ring};

#[derive(Clone, Debug)]
struct Case {
    apis: Vec<Api>,
    ring: (Key, Option<Key>),
    listed: Vec<(ListedIdentifier, Entry)>,
    allowed: Vec<(ListedIdentifier, Entry)>,
    config: String,
    requests: Vec<(Request, &'static str)>,
}

fn cases() -> impl Strategy<Value = Case> {
    let listings = |most| prop::collection::vec((identifier(), entry()), 0..most);
    // The host is in either of two headers.
    let requests = (request(), select(vec![":authority", ":authority", "host"]));
    let requests = prop::collection::vec(requests, 1..12);
    (
        apis(),
        ring(),
        listings(6),
        listings(2),
        configs(),
        requests,
    )
        .prop_map(|(apis, ring, listed, allowed, config, requests)| Case {
            apis,
            ring,
            listed,
            allowed,
            config,
            requests,
        })
}

fn configs() -> impl Strategy<Value = String> {
    let key = |Key(id, secret)| {
        let secret = format!("{secret:02x}").repeat(32);
        format!(r#"{{"id": "k{id}", "secret": "{secret}"}}"#)
    };
    let keys = vec![Key(1, 1), Key(2, 2), Key(3, 3), Key(2, 7)];
    let ids = subsequence(keys, 1..=2).prop_filter_map("two keys of one id", move |keys| {
        let distinct: BTreeSet<u8> = keys.iter().map(|key| key.0).collect();
        let keys: Vec<String> = keys.iter().map(|one| key(*one)).collect();
        let keys = keys.join(", ");
        (distinct.len() == keys.matches("id").count())
            .then(|| format!(r#""credentials": "ids", "credential_keys": [{keys}]"#))
    });
    let form = prop_oneof![
        2 => Just(r#""credentials": "values""#.to_owned()),
        3 => ids,
        1 => Just(r#""credentials": "removed""#.to_owned()),
    ];
    let told = select(vec![
        "{}",
        r#"{"deny": ["x_api_key"]}"#,
        r#"{"deny": ["cookie", "auth*"]}"#,
        r#"{"allow": ["accept", "x-user"]}"#,
        r#"{"allow": []}"#,
    ]);
    let credentials = vec![
        r#""oauth_token": {"headers": ["authorization", "x-jwt"], "query": ["access_token"]}"#,
        r#""api_key": {"headers": ["X-Api-Key"], "query": ["api_key"]}"#,
        r#""cookies": ["SID", "sid"]"#,
    ];
    let credentials = subsequence(credentials, 0..=3).prop_map(|parts| parts.join(", "));
    let users = select(vec![
        "{}",
        r#"{"username_header": "x-user"}"#,
        r#"{"username_header": "x-user", "header_provenance": "verified"}"#,
        r#"{"claimed_jwt": {"location": "h:authorization:bearer", "username_claim": "sub"}}"#,
        r#"{"verified_jwt": {"metadata": "payload", "username_claim": "sub"}}"#,
    ]);
    (form, told, credentials, users).prop_map(|(form, told, credentials, users)| {
        format!(
            r#"{{"report": {{{form}, "request_headers": {told}}}, "credentials": {{{credentials}}}, "user_info": {users}}}"#
        )
    })
}

#[test]
fn what_the_filter_clears_ase_would_have_passed_without_a_word() {
    let (cleared, asked) = (Cell::new(0), Cell::new(0));
    let mut runner = TestRunner::new(Cases {
        cases: 1500,
        ..Cases::default()
    });
    let result = runner.run(&cases(), |case| {
        for (request, judgement, decision) in judgements(&case) {
            if judgement == Judgement::Pass {
                cleared.set(cleared.get() + 1);
                prop_assert!(is_plain_pass(&decision), "{request:?} {decision:?}");
            } else {
                asked.set(asked.get() + 1);
            }
        }
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
    // The property would hold of an image that always asks.
    assert!(cleared.get() > asked.get() / 10, "{cleared:?} {asked:?}");
}

fn is_plain_pass(decision: &Option<Decision>) -> bool {
    decision.as_ref().is_some_and(|decision| {
        matches!(decision.verdict, Verdict::NotListed | Verdict::AllowListed)
            && decision.api.is_some()
            && decision.detection.is_none()
            && decision.effects == Effects::default()
    })
}

/// Each request of which there is a question, what the image says of it, and what ASE would have said: nothing to a question that it would have refused.
fn judgements(case: &Case) -> Vec<(&Request, Judgement, Option<Decision>)> {
    let ring = key_ring(case.ring);
    let config = Config::parse(case.config.as_bytes()).unwrap();
    let mut snapshot = Snapshot {
        registry: Arc::new(registry(&case.apis)),
        ..Snapshot::default()
    };
    for (identifier, entry) in &case.listed {
        snapshot.attack.insert(*identifier, entry.clone());
    }
    for (identifier, entry) in &case.allowed {
        snapshot.allow.insert(*identifier, entry.clone());
    }
    let settings = Settings::new(&ring, FingerprintBits::Sixteen, 1, [4; 16]);
    let image = PolicyImage::parse(build(&snapshot, &settings).unwrap()).unwrap();
    let judge = |(request, host_header): &'_ (Request, &'static str)| {
        let mut headers = Headers::default();
        headers.push(":method".as_bytes(), b"GET".as_slice());
        headers.push(":path".as_bytes(), request.url.as_slice());
        if let Some(host) = &request.host {
            headers.push(host_header.as_bytes(), host.as_slice());
        }
        request.push_headers(&mut headers);
        let address = request.client.map(|client| client.to_string());
        let seen = SeenRequest {
            headers: &headers,
            source_address: address.as_deref().map(str::as_bytes),
            protocol: Some(b"HTTP/1.1"),
            verified: Verified {
                username: request.username.as_deref(),
                client_id: None,
            },
            tls: None,
        };
        let client = client(config.client_address(), &seen);
        let keys = config.report().credentials.keys();
        let (mut half, mut judgement) = (Vec::new(), None);
        let head = write_question(&mut half, &seen, client, &config, &mut |local| {
            judgement = Some(image.judge(local, keys));
            false
        });
        if head == Head::Incomplete {
            assert_eq!(judgement, None, "an image is asked about half a request");
            return None;
        }
        let text = body_text(&half);
        let metadata = read_request(&text).unwrap();
        let report = RequestReport::of(&metadata).ok();
        let decision = report.map(|report| decide(&report, &snapshot, &ring, &NoCounts, NOW));
        Some((judgement.unwrap(), decision))
    };
    case.requests
        .iter()
        .filter_map(|request| {
            let (judgement, decision) = judge(request)?;
            Some((&request.0, judgement, decision))
        })
        .collect()
}
