//! What each answer means, as tables.

use super::*;

#[test]
fn each_answer_has_one_meaning() {
    use FailureClass as Class;
    let fail_open = GatewayDecision::FailOpen;
    for (status, verdict, expected) in [
        ("200", Some("allowed"), GatewayDecision::Verdict),
        ("200", Some("would_block"), GatewayDecision::Verdict),
        ("200", None, GatewayDecision::Verdict),
        ("403", Some("blocked"), GatewayDecision::Denied),
        ("403", None, GatewayDecision::Denied),
        ("503", Some("unregistered"), GatewayDecision::Unregistered),
        ("503", None, fail_open(Class::Ase5xx)),
        ("503", Some("allowed"), fail_open(Class::Ase5xx)),
        ("503", Some("overloaded"), fail_open(Class::Ase5xx)),
        ("400", Some("rejected"), fail_open(Class::Undecidable)),
        ("401", Some("rejected"), fail_open(Class::AseRejected)),
        ("401", None, fail_open(Class::AseRejected)),
        ("413", None, fail_open(Class::Undecidable)),
        ("500", None, fail_open(Class::Ase5xx)),
        ("504", None, fail_open(Class::Ase5xx)),
        ("100", None, fail_open(Class::BadReply)),
        ("201", None, fail_open(Class::BadReply)),
        ("204", None, fail_open(Class::BadReply)),
        ("302", None, fail_open(Class::BadReply)),
        ("404", Some("rejected"), fail_open(Class::BadReply)),
        ("429", None, fail_open(Class::BadReply)),
        ("2OO", None, fail_open(Class::BadReply)),
        ("", None, fail_open(Class::BadReply)),
    ] {
        check("{}", &from_ase(status, verdict), expected);
    }
}

#[test]
fn a_503_without_a_label_is_an_unknown_api_only_where_its_body_says_so() {
    let headers = [(":status", "503"), ("x-envoy-upstream-service-time", "1")];
    for body in ["Error: Unknown API", "Error: Unknown Hostname\n"] {
        check(
            r#"{"on_failure": "closed"}"#,
            &answer_with(&headers, body),
            GatewayDecision::Unregistered,
        );
    }
    for body in [
        "",
        "no healthy upstream",
        "Error: Overloaded",
        "error: unknown api",
        " Error: Unknown API",
    ] {
        check(
            r#"{"on_failure": "closed"}"#,
            &answer_with(&headers, body),
            GatewayDecision::FailedClosed(FailureClass::Ase5xx),
        );
    }
}

#[test]
fn the_body_of_an_answer_is_not_looked_at_where_its_headers_tell() {
    for (status, verdict) in [
        ("200", "allowed"),
        ("403", "blocked"),
        ("503", "unregistered"),
    ] {
        let mut headers = Headers::default();
        headers.push(b":status".as_slice(), status.as_bytes());
        headers.push(b"x-ase-verdict".as_slice(), verdict.as_bytes());
        let config = config("{}");
        let mark = &config.ase().answer_mark;
        let _answer = Answer::of(&headers, mark, || -> Vec<u8> { panic!("{status}") });
    }
}

#[test]
fn what_the_host_made_up_is_never_a_verdict() {
    use FailureClass as Class;
    for (status, class) in [
        ("504", Class::Timeout),
        ("503", Class::Unreachable),
        ("502", Class::BadReply),
        ("200", Class::BadReply),
        ("403", Class::BadReply),
    ] {
        let made_up = answer(&[
            (":status", status),
            ("content-length", "9"),
            ("content-type", "text/plain"),
        ]);
        check("{}", &made_up, GatewayDecision::FailOpen(class));
        check(
            r#"{"on_failure": "closed"}"#,
            &made_up,
            GatewayDecision::FailedClosed(class),
        );
    }
    check(
        "{}",
        &answer(&[]),
        GatewayDecision::FailOpen(Class::ResetAfterHeaders),
    );
    check(
        "{}",
        &Answer::unreadable(),
        GatewayDecision::FailOpen(Class::BadReply),
    );
}

#[test]
fn an_unknown_api_can_be_blocked() {
    let document = r#"{"unregistered": "block", "on_failure": "open"}"#;
    check(
        document,
        &from_ase("503", Some("unregistered")),
        GatewayDecision::UnregisteredBlocked,
    );
    check(
        document,
        &from_ase("503", Some("overloaded")),
        GatewayDecision::FailOpen(FailureClass::Ase5xx),
    );
}

#[test]
fn an_answer_without_the_configured_mark_is_the_hosts() {
    let marked = r#"{"ase": {"answer_mark": {"header": "server", "value": "ase"}}}"#;
    let outcome = |document: &str, headers: &[(&'static str, &'static str)]| {
        let mut list = Headers::default();
        for (name, value) in headers {
            list.push(name.as_bytes(), value.as_bytes());
        }
        let config = config(document);
        Answer::of(&list, &config.ase().answer_mark, Vec::new).outcome()
    };
    let (status, envoy) = ((":status", "403"), ("x-envoy-upstream-service-time", "1"));
    let host_made = Outcome::Failure(FailureClass::BadReply);
    assert_eq!(
        outcome(marked, &[status, ("server", "ASE")]),
        Outcome::Block
    );
    assert_eq!(outcome(marked, &[status, ("server", "nginx")]), host_made);
    assert_eq!(outcome(marked, &[status, envoy]), host_made);
    assert_eq!(outcome("{}", &[status, envoy]), Outcome::Block);
    assert_eq!(outcome("{}", &[status, ("server", "ASE")]), host_made);
    for document in [marked, "{}"] {
        let labelled = [status, ("x-ase-verdict", "blocked")];
        assert_eq!(outcome(document, &labelled), Outcome::Block);
    }
}

#[test]
fn in_the_shadow_every_request_passes_and_what_would_have_stopped_it_is_said() {
    use FailureClass as Class;
    let document =
        r#"{"mode": "shadow", "on_failure": {"timeout": "closed"}, "unregistered": "block"}"#;
    for (answer, expected) in [
        (from_ase("200", None), GatewayDecision::Verdict),
        (
            from_ase("403", Some("blocked")),
            GatewayDecision::ShadowDenied,
        ),
        (
            from_ase("503", Some("unregistered")),
            GatewayDecision::ShadowUnregisteredBlocked,
        ),
        (
            answer(&[(":status", "504")]),
            GatewayDecision::ShadowFailedClosed(Class::Timeout),
        ),
        (
            from_ase("500", None),
            GatewayDecision::FailOpen(Class::Ase5xx),
        ),
    ] {
        check(document, &answer, expected);
    }
    let open = r#"{"mode": "shadow"}"#;
    let unregistered = from_ase("503", Some("unregistered"));
    check(open, &unregistered, GatewayDecision::Unregistered);
}

/// The decision after the question was answered like this.
fn check(document: &str, answer: &Answer, expected: GatewayDecision) {
    let config = config(document);
    let (mut exchange, mut breaker) = started(&config);
    let sent = exchange.dispatched(
        Ok(CalloutToken(7)),
        &config,
        &mut breaker,
        Moment::default(),
    );
    assert!(matches!(sent, Effect::Nothing) && exchange.holds_request());
    let now = Moment::from_nanos(3_000_000);
    match exchange.answer(CalloutToken(7), answer, &config, &mut breaker, now) {
        Effect::Pass(permit) => assert_eq!(permit.reason().decision(), Some(expected)),
        Effect::Reply(reply) => assert_eq!(reply.reason().decision(), expected),
        effect @ (Effect::Ask | Effect::Nothing) => panic!("{effect:?}"),
    }
    let record = exchange.finish(now).unwrap();
    assert_eq!(record.decision, expected);
    assert_eq!(record.asked_for, Some(Duration::from_millis(3)));
}
