//! Exact messages, since operators read them.

use ase_core::transaction::FailureClass;

use super::*;

fn parse(document: &str) -> Config {
    Config::parse(document.as_bytes()).unwrap_or_else(|faults| panic!("{faults}"))
}

fn faults(document: &str) -> String {
    Config::parse(document.as_bytes()).unwrap_err().to_string()
}

#[test]
fn nothing_at_all_means_every_default() {
    for document in ["", " \n", "{}"] {
        let config = parse(document);
        assert_eq!(config.policy(b"", b""), Policy::DEFAULT);
        assert_eq!(Policy::DEFAULT.treatment, Treatment::Sync);
        assert_eq!(Policy::DEFAULT.unregistered, UnregisteredAction::Pass);
        assert_eq!(Policy::DEFAULT.enabled_percent, 100);
        assert!(config.may_ask() && config.route_metadata().is_none());
        assert_eq!(config.ase().primary.cluster, "ase");
        assert_eq!(config.ase().primary.authority, "ase");
        assert_eq!(Policy::DEFAULT.timeout, Duration::from_millis(500));
        assert_eq!(config.ase().request_path, "/ase/request");
        assert_eq!(config.ase().response_path, "/ase/response");
        assert_eq!(config.ase().batch_path, "/ase/batch");
        assert_eq!(config.question_path(), "/ase/request?delivery=batch");
        assert!(config.ase().token.is_none());
        assert_eq!(config.ase().correlation_header, "x-correlationid");
        assert_eq!(config.client_address(), ClientAddressSource::Envoy);
        let names = CredentialNames {
            token_headers: vec!["authorization".to_owned()],
            ..CredentialNames::default()
        };
        assert_eq!(config.credentials(), &names);
        assert_eq!(
            (
                config.block().status,
                config.block().body.as_str(),
                config.block_details()
            ),
            (403, "Forbidden\n", "ase_denied")
        );
        assert_eq!(
            (
                config.failure_reply(FailureClass::Timeout).status,
                config.failure_reply(FailureClass::Timeout).body.as_str()
            ),
            (503, "Service Unavailable\n")
        );
        assert!(
            FailureClass::ALL
                .into_iter()
                .all(|class| Policy::DEFAULT.on_failure.of(class) == FailureAction::Open)
        );
        assert_eq!(
            config.breaker(),
            BreakerLimits {
                failures: 10,
                cool_down: Duration::from_secs(1),
                rest: None,
            }
        );
        let delivery = config.delivery();
        assert_eq!(
            (delivery.kind, delivery.tick, delivery.timeout),
            (
                DeliveryKind::Batch,
                Duration::from_millis(50),
                Duration::from_secs(5)
            )
        );
        let limits = OutboxLimits {
            batch_bytes: 262_144,
            queue_bytes: 4_194_304,
            in_flight: 2,
            attempts: 20,
        };
        assert_eq!(delivery.limits, limits);
    }
}

#[test]
fn every_fault_is_reported_at_once_with_its_path() {
    let document = r#"{
        "mode": "fast", "shadow": true, "enabled_percent": 101, "not_enabled": "sync", "route_metadata": "a b",
        "ase": {"cluster": "", "authority": "a b", "timeout_ms": 0, "request_path": "ase", "token": "s3cret\n", "correlation_header": "ASE-Token", "tokn": "x",
            "secondary": {"cool_down_ms": 0}, "answer_mark": {"value": "ASE"}, "retry": {"on": ["reset", "404"], "per_try_timeout_ms": 0}},
        "client_address": {"trusted_hops": 1},
        "credentials": {"oauth_token": {"headers": ["a:b", 3]}, "api_key": {"query": [""]}, "cookies": "sid"},
        "user_info": {"username_header": ""},
        "block": {"status": 200, "headers": [{"name": "content-length", "value": "1"}, {"name": "x", "value": "a\nb"}, {"name": "x"}], "details": ""},
        "on_failure": {"default": "ajar", "timeout": "closed", "timeuot": "open"},
        "failure_reply": {"status": 600, "retry_after_s": 86401, "classes": {"timeout": {"status": 200}, "unregistered": {}}},
        "fail_open_header": "host", "decision_property": "yes",
        "unregistered": "deny",
        "breaker": {"failures": 1000001, "cool_down_ms": 0},
        "delivery": {"kind": "stream", "tick_ms": 0, "batch_bytes": 1023, "queue_bytes": 268435457, "in_flight": 65, "attempts": 0, "timeout_ms": 60001},
        "local": {"max_age_ms": 99, "poll_ticks": 0, "max_image_bytes": 4095, "fingerprint_bits": 12, "poll_ms": 100}
    }"#;
    let mut found: Vec<String> = faults(document).lines().map(str::to_owned).collect();
    found.sort();
    let mut expected = [
        r#"mode: "fast" is not one of sync, async, shadow, local, off"#,
        "shadow: unknown key",
        "enabled_percent: must be an integer from 0 to 100, found 101",
        r#"not_enabled: "sync" is not one of off, async"#,
        "route_metadata: must have no blanks, control characters or characters beyond ASCII",
        "ase.cluster: must have 1 to 4096 bytes",
        "ase.authority: must have no blanks, control characters or characters beyond ASCII",
        "ase.timeout_ms: must be an integer from 1 to 60000, found 0",
        "ase.request_path: must start with / and have no #, blanks or control characters",
        "ase.token: must have no blanks, control characters or characters beyond ASCII",
        r#"ase.correlation_header: "ase-token" is set by the filter or by the host: use another header"#,
        r#"ase.tokn: unknown key (did you mean "token"?)"#,
        "ase.secondary.cluster: is required",
        "ase.secondary.cool_down_ms: must be an integer from 1 to 600000, found 0",
        "ase.answer_mark.value: means something only beside \"header\"",
        r#"ase.retry.on[1]: "404" is not one of connect-failure, refused-stream, reset, reset-before-request, gateway-error, 5xx"#,
        "ase.retry.on: means something only beside \"attempts\" above 0",
        "ase.retry.per_try_timeout_ms: must be an integer from 1 to 60000, found 0",
        "ase.retry.per_try_timeout_ms: means something only beside \"attempts\" above 0",
        r#"client_address.trusted_hops: means something only beside "from": "xff""#,
        r##"credentials.oauth_token.headers[0]: "a:b" is not a header name: use letters, digits and !#$%&'*+-.^_`|~"##,
        "credentials.oauth_token.headers[1]: must be a string, found 3",
        "credentials.api_key.query[0]: must have 1 to 4096 bytes",
        "credentials.cookies: must be a list, found a string",
        r##"user_info.username_header: "" is not a header name: use letters, digits and !#$%&'*+-.^_`|~"##,
        "block.status: must be an integer from 400 to 599, found 200",
        r#"block.headers[0].name: "content-length" is set by the filter or by the host: use another header"#,
        "block.headers[1].value: must have no control characters",
        "block.headers[2].value: is required",
        "block.details: must have 1 to 4096 bytes",
        r#"on_failure.default: "ajar" is not one of open, closed"#,
        r#"on_failure.timeuot: unknown key (did you mean "timeout"?)"#,
        "failure_reply.status: must be an integer from 400 to 599, found 600",
        "failure_reply.retry_after_s: must be an integer from 0 to 86400, found 86401",
        "failure_reply.classes.timeout.status: must be an integer from 400 to 599, found 200",
        "failure_reply.classes.unregistered: unknown key",
        "decision_property: must be true or false, found a string",
        r#"fail_open_header: "host" is set by the filter or by the host: use another header"#,
        r#"unregistered: "deny" is not one of pass, block"#,
        "breaker.failures: must be an integer from 0 to 1000000, found 1000001",
        "breaker.cool_down_ms: must be an integer from 1 to 600000, found 0",
        "local.max_age_ms: must be an integer from 100 to 86400000, found 99",
        "local.poll_ticks: must be an integer from 1 to 10000, found 0",
        "local.max_image_bytes: must be an integer from 4096 to 268435456, found 4095",
        "local.fingerprint_bits: must be 8 or 16",
        "local.poll_ms: unknown key",
        r#"delivery.kind: "stream" is not one of batch, per_call"#,
        "delivery.tick_ms: must be an integer from 1 to 60000, found 0",
        "delivery.batch_bytes: must be an integer from 1024 to 16777216, found 1023",
        "delivery.queue_bytes: must be an integer from 1024 to 268435456, found 268435457",
        "delivery.in_flight: must be an integer from 1 to 64, found 65",
        "delivery.attempts: must be an integer from 1 to 100, found 0",
        "delivery.timeout_ms: must be an integer from 1 to 60000, found 60001",
    ];
    expected.sort_unstable();
    assert_eq!(found, expected);
    assert!(!faults(document).contains("s3cret"));
}

#[test]
fn what_is_no_configuration_at_all_is_refused() {
    assert!(faults("nonsense").starts_with("is not JSON: "));
    assert_eq!(faults("[]"), "must be an object, found a list");
    assert_eq!(faults("\"{}\""), "must be an object, found a string");
    assert_eq!(
        faults(r#"{"on_failure": 1}"#),
        "on_failure: must be open, closed or an object with an action per failure class"
    );
}

#[test]
fn a_failure_class_without_an_action_takes_the_default() {
    let policy = parse(r#"{"on_failure": {"default": "closed", "timeout": "open"}}"#)
        .policy(b"", b"")
        .on_failure;
    assert_eq!(policy.of(FailureClass::Timeout), FailureAction::Open);
    assert_eq!(
        policy.of(FailureClass::NotDispatched),
        FailureAction::Closed
    );
    let policy = parse(r#"{"on_failure": {"ase_5xx": "closed"}}"#)
        .policy(b"", b"")
        .on_failure;
    assert_eq!(policy.of(FailureClass::Ase5xx), FailureAction::Closed);
    assert_eq!(policy.of(FailureClass::Unreachable), FailureAction::Open);
}

#[test]
fn hops_are_required_with_xff() {
    assert_eq!(
        faults(r#"{"client_address": {"from": "xff"}}"#),
        "client_address.trusted_hops: is required"
    );
    assert_eq!(
        faults(r#"{"client_address": {"from": "xff", "trusted_hops": 33}}"#),
        "client_address.trusted_hops: must be an integer from 1 to 32, found 33"
    );
    let config = parse(r#"{"client_address": {"from": "xff", "trusted_hops": 2}}"#);
    assert_eq!(
        config.client_address(),
        ClientAddressSource::Xff(NonZeroU8::new(2).unwrap())
    );
}

#[test]
fn header_names_are_read_in_any_case_and_an_empty_list_names_nothing() {
    let config = parse(
        r#"{"ase": {"correlation_header": "X-Trace"}, "credentials": {"oauth_token": {"headers": []}, "api_key": {"headers": ["X-API-Key"]}, "cookies": ["SID"]}}"#,
    );
    assert_eq!(config.ase().correlation_header, "x-trace");
    let names = CredentialNames {
        api_key_headers: vec!["x-api-key".to_owned()],
        cookies: vec!["SID".to_owned()],
        ..CredentialNames::default()
    };
    assert_eq!(config.credentials(), &names);
}

#[test]
fn the_sideband_token_never_prints() {
    let config = parse(r#"{"ase": {"token": "s3cret"}}"#);
    assert!(!format!("{config:?}").contains("s3cret"));
}

#[test]
fn the_path_of_a_question_says_where_a_batch_follows() {
    let path = |document: &str| parse(document).question_path().into_owned();
    assert_eq!(
        path(r#"{"ase": {"request_path": "/gw/ase?tenant=1"}}"#),
        "/gw/ase?tenant=1&delivery=batch"
    );
    assert_eq!(
        path(r#"{"delivery": {"kind": "per_call"}}"#),
        "/ase/request"
    );
    let hidden = Config::parse(br##"{"ase": {"request_path": "/ase#x"}}"##).unwrap_err();
    assert!(
        hidden
            .to_string()
            .contains("ase.request_path: must start with / and have no #")
    );
}

#[test]
fn a_class_replaces_those_parts_of_the_failure_reply_that_it_names() {
    let config = parse(
        r#"{"failure_reply": {"status": 500, "retry_after_s": 7, "headers": [{"name": "x-a", "value": "1"}],
            "classes": {"timeout": {"status": 504, "retry_after_s": 0}, "undecidable": {"status": 400, "headers": [], "body": "no"}}}}"#,
    );
    let reply = |class| {
        let reply = config.failure_reply(class);
        let headers = crate::pairs::parse(&reply.headers).unwrap();
        let value = |name: &[u8]| headers.first(name).map(|value| value.to_vec());
        (
            reply.status,
            reply.body.clone(),
            value(b"x-a"),
            value(b"retry-after"),
        )
    };
    let (one, seven) = (Some(b"1".to_vec()), Some(b"7".to_vec()));
    let usual = "Service Unavailable\n".to_owned();
    assert_eq!(
        reply(FailureClass::Unreachable),
        (500, usual.clone(), one.clone(), seven.clone())
    );
    assert_eq!(reply(FailureClass::Timeout), (504, usual, one, None));
    assert_eq!(
        reply(FailureClass::Undecidable),
        (400, "no".to_owned(), None, seven)
    );
}

#[test]
fn retries_are_told_to_the_host_in_its_own_headers_and_only_when_wanted() {
    assert_eq!(parse("{}").ase().retry_headers, []);
    assert_eq!(
        parse(r#"{"ase": {"retry": {"attempts": 2}}}"#)
            .ase()
            .retry_headers,
        [
            ("x-envoy-max-retries", "2".to_owned()),
            (
                "x-envoy-retry-on",
                "connect-failure,refused-stream,reset".to_owned()
            ),
        ]
    );
    assert_eq!(
        parse(r#"{"ase": {"retry": {"attempts": 1, "on": ["reset"], "per_try_timeout_ms": 499}}}"#)
            .ase()
            .retry_headers,
        [
            ("x-envoy-max-retries", "1".to_owned()),
            ("x-envoy-retry-on", "reset".to_owned()),
            ("x-envoy-upstream-rq-per-try-timeout-ms", "499".to_owned()),
        ]
    );
    assert_eq!(
        faults(r#"{"ase": {"retry": {"attempts": 1, "per_try_timeout_ms": 500}}}"#),
        "ase.retry.per_try_timeout_ms: must be less than ase.timeout_ms"
    );
}

#[test]
fn a_secondary_takes_the_authority_of_the_primary_unless_it_has_its_own() {
    let config = parse(r#"{"ase": {"authority": "a", "secondary": {"cluster": "ase-2"}}}"#);
    let peer = |cluster: &str, authority: &str| Peer {
        cluster: cluster.to_owned(),
        authority: authority.to_owned(),
    };
    assert_eq!(config.ase().peer(Site::Primary), &peer("ase", "a"));
    assert_eq!(config.ase().peer(Site::Secondary), &peer("ase-2", "a"));
    assert_eq!(config.breaker().rest, Some(Duration::from_secs(10)));
    let config = parse(
        r#"{"ase": {"secondary": {"cluster": "ase-2", "authority": "b", "cool_down_ms": 5}}}"#,
    );
    assert_eq!(config.ase().peer(Site::Secondary), &peer("ase-2", "b"));
    assert_eq!(config.breaker().rest, Some(Duration::from_millis(5)));
}

#[test]
fn an_image_that_could_never_be_fresh_is_refused_where_one_is_used() {
    let seldom = r#""delivery": {"tick_ms": 60000}"#;
    let fault = "local.max_age_ms: must be twice as long as local.poll_ticks ticks of delivery.tick_ms, or longer: else no image is ever fresh";
    assert_eq!(faults(&format!(r#"{{"mode": "local", {seldom}}}"#)), fault);
    let rule = r#""routes": [{"paths": ["/a"], "mode": "local"}]"#;
    assert_eq!(faults(&format!("{{{rule}, {seldom}}}")), fault);
    for fine in [
        r#""mode": "sync""#,
        r#""mode": "local", "local": {"max_age_ms": 240000}"#,
    ] {
        parse(&format!("{{{fine}, {seldom}}}"));
    }
}

#[test]
fn each_ase_has_its_own_name_for_its_images() {
    let key = |more: &str| {
        parse(&format!(r#"{{"mode": "local"{more}}}"#))
            .local()
            .key
            .clone()
    };
    let keys = [
        key(""),
        key(r#", "ase": {"cluster": "b"}"#),
        key(r#", "ase": {"secondary": {"cluster": "b"}}"#),
        key(r#", "local": {"fingerprint_bits": 16}"#),
    ];
    for (number, one) in keys.iter().enumerate() {
        assert!(
            keys.iter().skip(number + 1).all(|other| other != one),
            "{one}"
        );
    }
    for same in [r#""block": {"status": 429}"#, r#""ase": {"token": "b"}"#] {
        assert_eq!(key(""), key(&format!(", {same}")));
    }
}
