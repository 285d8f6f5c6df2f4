//! Each real-time rule as a table, and the order of rules against a naive model.

use proptest::prelude::*;

use super::*;
use crate::address::Network;
use crate::api_id::ApiId;
use crate::credential::{CredentialKey, KeyId};
use crate::identifier_list::Rule;
use crate::registry::{Lure, Pattern};
use crate::wire::read_request;

const NOW: UnixMillis = UnixMillis(1_000_000);
const CLIENT: &str = "203.0.113.7";
const ON: Switches = Switches {
    firewall: Switch::On,
    ase_detected_attack: Switch::On,
};
const INVALID_METHOD: Detection = Detection::Pattern(Pattern::Method);
const INVALID_PROTOCOL: Detection = Detection::Pattern(Pattern::Protocol);
const INVALID_CONTENT: Detection = Detection::Pattern(Pattern::ContentType);

#[test]
fn a_request_of_a_protocol_that_is_not_allowed_is_refused_and_its_client_listed() {
    let https = r#""api_pattern_enforcement": {"protocol_allowed": "https"}"#;
    let sockets = r#""api_pattern_enforcement": {"protocol_allowed": "ws,wss"}"#;
    for (rules, url, headers, broken) in [
        (https, "/shop", "", false),
        (https, "https://a/shop", "", false),
        (https, "http://a/shop", "", true),
        (https, "/shop", r#",{"x-forwarded-proto":"https"}"#, false),
        (https, "/shop", r#",{"x-forwarded-proto":"HTTP"}"#, true),
        (
            https,
            "/shop",
            r#",{"x-forwarded-proto":"https, http"}"#,
            true,
        ),
        (https, "/shop", r#",{"x-forwarded-proto":"quic"}"#, false),
        (https, "/shop", r#",{"upgrade":"websocket"}"#, true),
        (sockets, "/shop", "", true),
        (sockets, "/shop", r#",{"Upgrade":"h2c, WebSocket"}"#, false),
    ] {
        let decision = World::with(rules).ask("GET", url, headers);
        let expected = broken.then_some(INVALID_PROTOCOL);
        assert_refused(&decision, expected, &format!("{rules} {url} {headers}"));
    }
}

#[test]
fn a_method_that_is_not_allowed_is_refused_and_its_client_listed() {
    let world = World::with(r#""api_pattern_enforcement": {"methods_allowed": ["get", "POST"]}"#);
    for (method, broken) in [
        ("GET", false),
        ("POST", false),
        ("DELETE", true),
        ("get", true),
        ("GET ", true),
    ] {
        let decision = world.ask(method, "/shop", "");
        assert_refused(&decision, broken.then_some(INVALID_METHOD), method);
    }
}

#[test]
fn a_content_type_that_is_not_allowed_is_refused_and_its_client_listed() {
    let rules =
        r#""api_pattern_enforcement": {"content_type_allowed": ["application/json", "text/*"]}"#;
    let world = World::with(rules);
    for (headers, broken) in [
        ("", false),
        (r#",{"content-type":""}"#, false),
        (
            r#",{"Content-Type":"Application/JSON; charset=utf-8"}"#,
            false,
        ),
        (r#",{"content-type":"text/csv"}"#, false),
        (r#",{"content-type":"application/xml"}"#, true),
        (
            r#",{"content-type":"application/json, application/xml"}"#,
            true,
        ),
        (
            r#",{"content-type":"application/json"},{"content-type":"application/xml"}"#,
            true,
        ),
        (r#",{"content-type":"json"}"#, true),
    ] {
        let decision = world.ask("POST", "/shop", headers);
        assert_refused(&decision, broken.then_some(INVALID_CONTENT), headers);
    }
}

#[test]
fn a_request_without_its_mandatory_token_is_refused_and_its_client_listed() {
    let world = World::with(r#""oauth2_access_token": true, "is_token_mandatory": true"#);
    let preflight = r#",{"origin":"https://a"},{"access-control-request-method":"GET"}"#;
    for (method, headers, missing) in [
        ("GET", "", true),
        ("GET", r#",{"authorization":"Bearer t"}"#, false),
        ("GET", r#",{"authorization":"Bearer "}"#, true),
        ("GET", r#",{"authorization":"Basic dXNlcg=="}"#, true),
        ("OPTIONS", preflight, false),
        ("OPTIONS", r#",{"origin":"https://a"}"#, true),
        ("GET", preflight, true),
    ] {
        let decision = world.ask(method, "/shop", headers);
        let expected = missing.then_some(Detection::TokenMissing);
        assert_refused(&decision, expected, &format!("{method} {headers}"));
    }
}

#[test]
fn a_decoy_within_an_api_answers_and_lists_its_caller_however_it_is_spelled() {
    let rules = r#""decoy_config": {"decoy_enabled": true, "decoy_subpaths": ["/admin", "old/v1", "/shop/keys"]}"#;
    let world = World::with(rules);
    for (url, hit) in [
        ("/shop/admin", true),
        ("/shop/admin/users?x", true),
        ("/shop//%61dmin", true),
        ("/shop/x/..%2fadmin", true),
        ("/shop/old/v1", true),
        ("/shop/keys", true),
        ("/shop/shop/keys", true),
        ("/shop/administrator", false),
        ("/shop/old", false),
        ("/shop", false),
    ] {
        let decision = world.ask("GET", url, "");
        let found = hit.then_some(Detection::Decoy(Lure::InContext));
        assert_eq!(decision.detection, found, "{url}");
        assert_eq!(decision.effects.list, found, "{url}");
        assert_eq!(decision.verdict, Verdict::NotListed, "{url}");
    }
}

#[test]
fn a_decoy_api_goes_on_answering_whom_it_caught_but_not_whom_others_listed() {
    for paths in ["[]", r#"["/"]"#, r#"["", "/x"]"#, r#"["/shop"]"#] {
        let rules =
            format!(r#""decoy_config": {{"decoy_enabled": true, "decoy_subpaths": {paths}}}"#);
        let mut world = World::with(&rules);
        let caught = Some(Detection::Decoy(Lure::OutOfContext));
        let first = world.ask("GET", "/shop/any", "");
        assert_eq!(
            (first.verdict, first.effects.list),
            (Verdict::NotListed, caught),
            "{paths}"
        );
        world.attack(Source::RealTime(Rule::Decoy));
        let again = world.ask("GET", "/shop/any", "");
        assert_eq!(
            (again.verdict, again.effects.list),
            (Verdict::NotListed, caught),
            "{paths}"
        );
        world.attack(Source::Manual);
        world.forgive(Source::RealTime(Rule::Decoy));
        assert_eq!(
            world.ask("GET", "/shop/any", "").verdict,
            Verdict::Blocked,
            "{paths}"
        );
    }
}

#[test]
fn a_decoy_api_lists_its_callers_though_its_own_blocking_is_off() {
    let mut world =
        World::with(r#""decoy_config": {"decoy_enabled": true}, "enable_blocking": false"#);
    assert!(world.ask("GET", "/shop", "").effects.list.is_some());
    world.snapshot.switches = Switches::default();
    let reported = world.ask("GET", "/shop", "");
    assert_eq!(reported.effects.list, None);
    assert!(reported.detection.is_some());
}

#[test]
fn a_client_over_its_limit_is_refused_and_not_listed() {
    let world = World::with(r#""flow_control": {"client_spike_threshold": "3/minute"}"#);
    for (counted, over) in [(0, false), (2, false), (3, true), (1000, true)] {
        let decision = world.decide("GET", "/shop", "", &Counted(counted));
        let found = over.then_some(Detection::ClientSpike);
        assert_eq!(
            (decision.detection, decision.effects.list),
            (found, None),
            "{counted}"
        );
        let verdict = if over {
            Verdict::Blocked
        } else {
            Verdict::NotListed
        };
        assert_eq!(decision.verdict, verdict, "{counted}");
        assert!(decision.effects.count.is_some(), "{counted}");
    }
    let off = World::with(r#""flow_control": {"client_spike_threshold": "0/second"}"#);
    let unlimited = off.decide("GET", "/shop", "", &Counted(u32::MAX));
    assert_eq!(
        (unlimited.verdict, unlimited.effects.count),
        (Verdict::NotListed, None)
    );
}

#[test]
fn without_its_switches_or_its_blocking_a_broken_rule_is_only_reported() {
    let rules = r#""api_pattern_enforcement": {"methods_allowed": ["POST"]}"#;
    let off = Switch::Off;
    for switches in [
        Switches {
            firewall: off,
            ..ON
        },
        Switches {
            ase_detected_attack: off,
            ..ON
        },
        Switches::default(),
    ] {
        let mut world = World::with(rules);
        world.snapshot.switches = switches;
        let decision = world.ask("GET", "/shop", "");
        assert_eq!(decision.verdict, Verdict::WouldBlock, "{switches:?}");
        assert_eq!(
            (decision.detection, decision.effects.list),
            (Some(INVALID_METHOD), None)
        );
    }
    let world = World::with(&format!(r#"{rules}, "enable_blocking": false"#));
    let decision = world.ask("GET", "/shop", "");
    assert_eq!(
        (decision.verdict, decision.effects.list),
        (Verdict::WouldBlock, None)
    );
}

#[test]
fn with_the_firewall_off_a_listed_client_is_only_reported() {
    let mut world = World::with(r#""cookie": "S""#);
    world.attack(Source::Manual);
    world.snapshot.switches.firewall = Switch::Off;
    assert_eq!(world.ask("GET", "/shop", "").verdict, Verdict::WouldBlock);
}

#[test]
fn an_odd_spelling_that_may_be_a_decoy_of_another_api_lists_its_caller() {
    let mut world = World::with(r#""cookie": "S""#);
    let lure = r#"{"api_metadata": {"url": "/lure", "hostname": "*", "decoy_config": {"decoy_enabled": true}}}"#;
    world.add("lure", lure);
    let decision = world.ask("GET", "/shop/..%2flure", "");
    assert_eq!(
        decision.effects.list,
        Some(Detection::Decoy(Lure::OutOfContext))
    );
    assert_eq!(decision.verdict, Verdict::NotListed);
}

fn assert_refused(decision: &Decision, detection: Option<Detection>, case: &str) {
    let verdict = match detection {
        Some(_) => Verdict::Blocked,
        None => Verdict::NotListed,
    };
    assert_eq!(
        (decision.verdict, decision.detection),
        (verdict, detection),
        "{case}"
    );
    assert_eq!(decision.effects.list, detection, "{case}");
}

/// One situation, as plainly as it can be said.
#[derive(Clone, Copy, Debug)]
struct Situation {
    known: bool,
    allowed: bool,
    listed: Option<Source>,
    decoy: Option<Lure>,
    wrong_method: bool,
    token_missing: bool,
    over: bool,
    blocking: bool,
    firewall: bool,
    detected: bool,
}

/// The answer in the words of the documentation.
fn naive(s: Situation) -> (Verdict, Option<Detection>, Option<Detection>) {
    let block_or = |enforced: bool| {
        if enforced {
            Verdict::Blocked
        } else {
            Verdict::WouldBlock
        }
    };
    if !s.known {
        return (Verdict::UnknownApi, None, None);
    }
    if s.allowed {
        return (Verdict::AllowListed, None, None);
    }
    let lure = s.decoy == Some(Lure::OutOfContext);
    if let Some(source) = s.listed
        && !(lure && source != Source::Manual)
    {
        return (block_or(s.blocking && s.firewall), None, None);
    }
    let acts = s.firewall && s.detected;
    if let Some(decoy) = s.decoy {
        let found = Detection::Decoy(decoy);
        let lists = acts && (lure || s.blocking);
        return (Verdict::NotListed, Some(found), lists.then_some(found));
    }
    let broken = match (s.wrong_method, s.token_missing) {
        (true, _) => Some(INVALID_METHOD),
        (false, true) => Some(Detection::TokenMissing),
        (false, false) => None,
    };
    if broken.is_some() {
        let lists = acts && s.blocking;
        return (block_or(lists), broken, broken.filter(|_| lists));
    }
    if s.over {
        return (block_or(s.blocking), Some(Detection::ClientSpike), None);
    }
    (Verdict::NotListed, None, None)
}

proptest! {
    #[test]
    fn rules_count_in_the_documented_order_whatever_else_is_broken(s in situation()) {
        let decoys = match s.decoy {
            None => r#"{"decoy_enabled": false}"#,
            Some(Lure::InContext) => r#"{"decoy_enabled": true, "decoy_subpaths": ["/in"]}"#,
            Some(Lure::OutOfContext) => r#"{"decoy_enabled": true}"#,
        };
        let mut world = World::with(&format!(
            r#""decoy_config": {decoys}, "api_pattern_enforcement": {{"methods_allowed": ["GET"]}},
               "flow_control": {{"client_spike_threshold": "10/second"}}, "oauth2_access_token": true,
               "is_token_mandatory": true, "enable_blocking": {}"#, s.blocking));
        let switch = |on| if on { Switch::On } else { Switch::Off };
        world.snapshot.switches = Switches { firewall: switch(s.firewall), ase_detected_attack: switch(s.detected) };
        if s.allowed {
            world.snapshot.allow.insert(client(), entry(Source::Manual));
        }
        if let Some(source) = s.listed {
            world.attack(source);
        }
        let url = match (s.known, s.decoy) {
            (false, _) => "/nowhere",
            (true, Some(Lure::InContext)) => "/shop/in",
            (true, Some(Lure::OutOfContext) | None) => "/shop/x",
        };
        let token = if s.token_missing { "" } else { r#",{"authorization":"Bearer t"}"# };
        let method = if s.wrong_method { "PUT" } else { "GET" };
        let counted = Counted(if s.over { 10 } else { 9 });
        let decision = world.decide(method, url, token, &counted);
        let found = (decision.verdict, decision.detection, decision.effects.list);
        prop_assert_eq!(found, naive(s));
        prop_assert_eq!(&decision, &world.decide(method, url, token, &counted), "the same question has the same answer");
    }
}

fn situation() -> impl Strategy<Value = Situation> {
    let source = prop_oneof![
        Just(None),
        Just(Some(Source::Manual)),
        Just(Some(Source::RealTime(Rule::Decoy)))
    ];
    let decoy = prop_oneof![
        Just(None),
        Just(Some(Lure::InContext)),
        Just(Some(Lure::OutOfContext))
    ];
    let flags = (
        prop::bool::weighted(0.9),
        prop::bool::weighted(0.2),
        any::<[bool; 6]>(),
    );
    (flags, source, decoy).prop_map(|((known, allowed, flags), listed, decoy)| {
        let [
            wrong_method,
            token_missing,
            over,
            blocking,
            firewall,
            detected,
        ] = flags;
        Situation {
            known,
            allowed,
            listed,
            decoy,
            wrong_method,
            token_missing,
            over,
            blocking,
            firewall,
            detected,
        }
    })
}

struct Counted(u32);

impl RequestCounts for Counted {
    fn requests(&self, _: &RequestReport<'_>, _: &ApiDefinition, _: SpikeLimit) -> u32 {
        self.0
    }
}

struct World {
    snapshot: Snapshot,
    key: KeyRing,
}

impl World {
    /// One API, `/shop` on every host, with blocking on unless the rules say otherwise.
    fn with(rules: &str) -> Self {
        let blocking = if rules.contains("enable_blocking") {
            ""
        } else {
            r#""enable_blocking": true,"#
        };
        let mut world = Self {
            snapshot: Snapshot {
                switches: ON,
                ..Snapshot::default()
            },
            key: KeyRing::new(CredentialKey::from_bytes(KeyId(1), [7; 32]), None),
        };
        world.add(
            "shop",
            &format!(
                r#"{{"api_metadata": {{"url": "/shop", "hostname": "*", {blocking} {rules}}}}}"#
            ),
        );
        world
    }

    fn add(&mut self, id: &str, document: &str) {
        let id = ApiId::parse(id).unwrap();
        let (api, warnings) = ApiDefinition::from_json(id, document.as_bytes()).unwrap();
        assert!(warnings.is_empty(), "{warnings}");
        let apis = self.snapshot.registry.iter().cloned().chain([api]);
        self.snapshot.registry = Arc::new(Registry::compile(apis).unwrap());
    }

    fn attack(&mut self, source: Source) {
        self.snapshot.attack.insert(client(), entry(source));
    }

    fn forgive(&mut self, source: Source) {
        let which = crate::identifier_list::RemoveWhich::OfSource(source);
        assert_eq!(self.snapshot.attack.remove(&client(), &which), 1);
    }

    fn ask(&self, method: &str, url: &str, more_headers: &str) -> Decision {
        self.decide(method, url, more_headers, &NoCounts)
    }

    fn decide(
        &self,
        method: &str,
        url: &str,
        more_headers: &str,
        counts: &impl RequestCounts,
    ) -> Decision {
        let body = format!(
            r#"{{"source_ip":"{CLIENT}","method":"{method}","url":"{url}","headers":[{{"host":"a"}}{more_headers}]}}"#
        );
        let metadata = read_request(&body).unwrap();
        let report = RequestReport::of(&metadata).unwrap();
        decide(&report, &self.snapshot, &self.key, counts, NOW)
    }
}

fn client() -> ListedIdentifier {
    ListedIdentifier::Network(Network::parse(CLIENT).unwrap())
}

fn entry(source: Source) -> crate::identifier_list::Entry {
    crate::identifier_list::Entry::everywhere(source, "test", UnixMillis(0))
}
