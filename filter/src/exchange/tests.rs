//! Classification of answers as a table; then random orders of events against the two promises: at most one exit, and never limbo.

use ase_core::headers::Headers;
use proptest::prelude::*;

use super::*;
use crate::config::OffReason;

fn config(document: &str) -> Config {
    Config::parse(document.as_bytes()).unwrap()
}

fn answer(headers: &[(&'static str, &'static str)]) -> Answer {
    answer_with(headers, "")
}

fn answer_with(headers: &[(&'static str, &'static str)], body: &str) -> Answer {
    let mut list = Headers::default();
    for (name, value) in headers {
        list.push(name.as_bytes(), value.as_bytes());
    }
    Answer::of(&list, &config("{}").ase().answer_mark, || {
        body.as_bytes().to_vec()
    })
}

/// An answer as ASE gives it, through Envoy.
fn from_ase(status: &'static str, verdict: Option<&'static str>) -> Answer {
    let mut headers = vec![(":status", status), ("x-envoy-upstream-service-time", "1")];
    headers.extend(verdict.map(|verdict| ("x-ase-verdict", verdict)));
    answer(&headers)
}

fn started(config: &Config) -> (Exchange, Breaker) {
    let mut breaker = Breaker::default();
    let head = Head::Read;
    let (exchange, effect) = Exchange::request(
        RecordId::mint(1, 2),
        head,
        config.policy(b"", b""),
        config,
        &mut breaker,
        Moment::default(),
    );
    assert!(matches!(effect, Effect::Ask));
    (exchange, breaker)
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
fn a_question_that_is_not_sent_is_a_failure_of_its_own_class() {
    for (refusal, class) in [
        (DispatchRefusal::UnknownCluster, FailureClass::Misconfigured),
        (DispatchRefusal::NotSent, FailureClass::NotDispatched),
    ] {
        let config = config(&format!(
            r#"{{"on_failure": {{"{}": "closed"}}}}"#,
            class.as_str()
        ));
        let (mut exchange, mut breaker) = started(&config);
        let effect = exchange.dispatched(Err(refusal), &config, &mut breaker, Moment::default());
        let Effect::Reply(reply) = effect else {
            panic!("{effect:?}")
        };
        assert_eq!(reply.reason(), ReplyReason::Failed(class));
        assert_eq!(
            reply.details(&config),
            format!("ase_failed_closed_{}", class.as_str())
        );
        assert_eq!(reply.content(&config).status, 503);
        assert!(exchange.holds_request());
        assert_eq!(exchange.finish(Moment::default()).unwrap().end, End::Failed);
    }
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

/// Asks the primary of two and lets it answer after 200 of the 500 ms; the effect of that.
fn failed_over(answer: &Answer) -> (Config, Exchange, Breaker, Effect) {
    let config = config(r#"{"ase": {"secondary": {"cluster": "b"}}, "on_failure": "closed"}"#);
    let (mut exchange, mut breaker) = started(&config);
    assert_eq!(exchange.site(), Site::Primary);
    let sent = Ok(CalloutToken(1));
    let _held = exchange.dispatched(sent, &config, &mut breaker, Moment::default());
    let now = Moment::from_nanos(200_000_000);
    let effect = exchange.answer(CalloutToken(1), answer, &config, &mut breaker, now);
    (config, exchange, breaker, effect)
}

#[test]
fn the_secondary_is_asked_once_and_within_what_is_left_of_the_wait() {
    let (config, mut exchange, mut breaker, effect) = failed_over(&from_ase("500", None));
    assert!(matches!(effect, Effect::Ask) && exchange.holds_request());
    assert_eq!(exchange.site(), Site::Secondary);
    assert_eq!(exchange.wait(), Duration::from_millis(300));
    assert_eq!(exchange.failed_over(), Some(FailureClass::Ase5xx));
    let now = Moment::from_nanos(200_000_000);
    let _held = exchange.dispatched(Ok(CalloutToken(2)), &config, &mut breaker, now);
    let late = exchange.answer(
        CalloutToken(1),
        &from_ase("200", None),
        &config,
        &mut breaker,
        now,
    );
    assert!(matches!(late, Effect::Nothing), "the primary had its turn");
    let failed = exchange.answer(
        CalloutToken(2),
        &from_ase("503", None),
        &config,
        &mut breaker,
        now,
    );
    let closed = ReplyReason::Failed(FailureClass::Ase5xx);
    assert!(matches!(failed, Effect::Reply(reply) if reply.reason() == closed));
}

#[test]
fn a_verdict_of_the_secondary_counts_and_the_next_question_goes_there_at_once() {
    let (config, mut exchange, mut breaker, _) = failed_over(&answer(&[(":status", "503")]));
    let now = Moment::from_nanos(210_000_000);
    let _held = exchange.dispatched(Ok(CalloutToken(2)), &config, &mut breaker, now);
    let verdict = from_ase("403", Some("blocked"));
    let denied = exchange.answer(CalloutToken(2), &verdict, &config, &mut breaker, now);
    assert!(matches!(denied, Effect::Reply(reply) if reply.reason() == ReplyReason::Denied));
    let record = exchange.finish(now).unwrap();
    assert_eq!(record.asked_for, Some(Duration::from_millis(210)));
    let admitted = breaker.admit(config.breaker(), now);
    assert_eq!(admitted, Admission::Ask(Site::Secondary));
}

#[test]
fn nothing_is_asked_twice_where_another_ase_would_say_the_same_or_no_time_is_left() {
    for (status, class) in [
        ("400", FailureClass::Undecidable),
        ("401", FailureClass::AseRejected),
    ] {
        let (_, exchange, _, effect) = failed_over(&from_ase(status, Some("rejected")));
        assert!(
            matches!(effect, Effect::Reply(reply) if reply.reason() == ReplyReason::Failed(class))
        );
        assert_eq!(exchange.failed_over(), None);
    }
    let config = config(r#"{"ase": {"secondary": {"cluster": "b"}}}"#);
    let (mut exchange, mut breaker) = started(&config);
    let _held = exchange.dispatched(
        Ok(CalloutToken(1)),
        &config,
        &mut breaker,
        Moment::default(),
    );
    let timeout = answer(&[(":status", "504")]);
    let now = Moment::from_nanos(499_500_000);
    let effect = exchange.answer(CalloutToken(1), &timeout, &config, &mut breaker, now);
    assert!(
        matches!(effect, Effect::Pass(_)),
        "half a millisecond is no time"
    );
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

#[test]
fn a_request_whose_route_is_off_passes_unasked_and_unreported() {
    let config = config(r#"{"mode": "off"}"#);
    let (mut exchange, effect) = Exchange::request(
        RecordId::mint(1, 3),
        Head::Unreadable,
        config.policy(b"", b""),
        &config,
        &mut Breaker::default(),
        Moment::default(),
    );
    let reason = PermitReason::NotAsked(OffReason::Route);
    assert!(matches!(effect, Effect::Pass(permit) if permit.reason() == reason));
    assert!(!exchange.holds_request() && !exchange.wants_response(Some(200)));
    assert!(exchange.finish(Moment::default()).is_none());
}

#[test]
fn a_head_that_cannot_be_read_falls_under_the_policy_and_async_still_passes() {
    let request = |document: &str| {
        let config = config(document);
        Exchange::request(
            RecordId::mint(0, 0),
            Head::Unreadable,
            config.policy(b"", b""),
            &config,
            &mut Breaker::default(),
            Moment::default(),
        )
        .1
    };
    let class = FailureClass::NotDispatched;
    let open = request("{}");
    assert!(
        matches!(open, Effect::Pass(permit) if permit.reason() == PermitReason::FailOpen(class))
    );
    let closed = request(r#"{"on_failure": "closed"}"#);
    assert!(matches!(closed, Effect::Reply(reply) if reply.reason() == ReplyReason::Failed(class)));
    let unasked = request(r#"{"mode": "async", "on_failure": "closed"}"#);
    assert!(matches!(unasked, Effect::Pass(permit) if permit.reason() == PermitReason::Async));
}

#[test]
fn a_request_that_cannot_be_put_as_a_question_is_not_asked_about_and_says_nothing_about_ase() {
    let class = FailureClass::Undecidable;
    for (document, expected) in [
        ("{}", GatewayDecision::FailOpen(class)),
        (
            r#"{"on_failure": {"undecidable": "closed"}}"#,
            GatewayDecision::FailedClosed(class),
        ),
        (
            r#"{"mode": "async", "on_failure": "closed"}"#,
            GatewayDecision::Async,
        ),
    ] {
        let config = config(document);
        let (mut exchange, effect) = Exchange::request(
            RecordId::mint(0, 0),
            Head::Incomplete,
            config.policy(b"", b""),
            &config,
            &mut Breaker::default(),
            Moment::default(),
        );
        assert!(matches!(effect, Effect::Pass(_) | Effect::Reply(_)));
        let record = exchange.finish(Moment::default()).unwrap();
        assert_eq!(record.decision, expected);
        assert_eq!(record.asked_for, None);
    }
    let config = config(r#"{"breaker": {"failures": 1}}"#);
    let (mut exchange, mut breaker) = started(&config);
    let now = Moment::default();
    let _held = exchange.dispatched(Ok(CalloutToken(1)), &config, &mut breaker, now);
    let refused = from_ase("400", Some("rejected"));
    let _exit = exchange.answer(CalloutToken(1), &refused, &config, &mut breaker, now);
    assert_eq!(
        breaker.admit(config.breaker(), now),
        Admission::Ask(Site::Primary)
    );
}

#[test]
fn a_reply_that_the_gateway_made_is_not_upstreams() {
    let config = config(r#"{"mode": "async"}"#);
    let (mut exchange, effect) = Exchange::request(
        RecordId::mint(1, 3),
        Head::Read,
        config.policy(b"", b""),
        &config,
        &mut Breaker::default(),
        Moment::default(),
    );
    assert!(matches!(effect, Effect::Pass(_)));
    exchange.response(ResponseOrigin::Gateway);
    let record = exchange.finish(Moment::default()).unwrap();
    assert_eq!(record.end, End::Gateway);
}

#[test]
fn an_exchange_that_stays_open_is_told_of_once_and_again_at_its_end() {
    let config = config(r#"{"mode": "async"}"#);
    let (mut exchange, effect) = Exchange::request(
        RecordId::mint(1, 3),
        Head::Read,
        config.policy(b"", b""),
        &config,
        &mut Breaker::default(),
        Moment::default(),
    );
    assert!(matches!(effect, Effect::Pass(_)));
    let after = Duration::from_secs(5);
    let at = |seconds| Moment::default().after(Duration::from_secs(seconds));
    let told = |exchange: &mut Exchange, seconds| {
        let told = exchange.tell_if_open(after, at(seconds))?;
        Some((told.id.as_str().to_owned(), told.end, told.duration))
    };
    assert_eq!(told(&mut exchange, 4), None);
    let id = RecordId::mint(1, 3);
    let open = (format!("{}.o", id.as_str()), End::Open, after);
    assert_eq!(told(&mut exchange, 5), Some(open));
    assert_eq!(told(&mut exchange, 6), None);
    exchange.response(ResponseOrigin::Upstream);
    let record = exchange.finish(at(7)).unwrap();
    assert_eq!((record.id, record.end), (id, End::Upstream));
    assert_eq!(told(&mut exchange, 8), None);
}

#[test]
fn a_request_that_waits_for_its_verdict_or_was_denied_is_not_told_of_as_open() {
    let config = config("{}");
    let (mut exchange, mut breaker) = started(&config);
    let late = Moment::default().after(Duration::from_secs(60));
    let told = |exchange: &mut Exchange| exchange.tell_if_open(Duration::ZERO, late);
    assert_eq!(told(&mut exchange), None);
    let _held = exchange.dispatched(
        Ok(CalloutToken(1)),
        &config,
        &mut breaker,
        Moment::default(),
    );
    assert_eq!(told(&mut exchange), None);
    let denial = from_ase("403", None);
    let _reply = exchange.answer(CalloutToken(1), &denial, &config, &mut breaker, late);
    assert_eq!(told(&mut exchange), None);
}

#[test]
fn a_failing_ase_is_left_alone() {
    let config = config(r#"{"breaker": {"failures": 1}}"#);
    let (mut exchange, mut breaker) = started(&config);
    let first = exchange.dispatched(
        Err(DispatchRefusal::NotSent),
        &config,
        &mut breaker,
        Moment::default(),
    );
    assert!(matches!(first, Effect::Pass(_)));
    let head = Head::Read;
    let (_, second) = Exchange::request(
        RecordId::mint(1, 3),
        head,
        config.policy(b"", b""),
        &config,
        &mut breaker,
        Moment::default(),
    );
    assert!(
        matches!(second, Effect::Pass(permit) if permit.reason() == PermitReason::FailOpen(FailureClass::CoolingDown))
    );
}

#[test]
fn the_end_says_what_the_client_got() {
    let config = config("{}");
    let ended = |answer: Option<Answer>, responds: bool| {
        let (mut exchange, mut breaker) = started(&config);
        let _held = exchange.dispatched(
            Ok(CalloutToken(1)),
            &config,
            &mut breaker,
            Moment::default(),
        );
        if let Some(answer) = answer {
            let _exit = exchange.answer(
                CalloutToken(1),
                &answer,
                &config,
                &mut breaker,
                Moment::default(),
            );
        }
        if responds && exchange.wants_response(Some(200)) {
            exchange.response(ResponseOrigin::Upstream);
        }
        let record = exchange.finish(Moment::default()).unwrap();
        (record.decision, record.end)
    };
    let (pass, block) = (from_ase("200", None), from_ase("403", None));
    assert_eq!(
        ended(Some(pass), true),
        (GatewayDecision::Verdict, End::Upstream)
    );
    assert_eq!(
        ended(Some(pass), false),
        (GatewayDecision::Verdict, End::Aborted)
    );
    assert_eq!(
        ended(Some(block), true),
        (GatewayDecision::Denied, End::Denied)
    );
    assert_eq!(
        ended(None, true),
        (GatewayDecision::Undecided, End::Aborted)
    );
}

#[test]
fn interim_responses_do_not_count_but_a_protocol_switch_does() {
    let config = config(r#"{"mode": "async"}"#);
    let head = Head::Read;
    let (mut exchange, effect) = Exchange::request(
        RecordId::mint(1, 3),
        head,
        config.policy(b"", b""),
        &config,
        &mut Breaker::default(),
        Moment::default(),
    );
    assert!(matches!(effect, Effect::Pass(_)));
    assert!(!exchange.wants_response(Some(100)) && !exchange.wants_response(Some(103)));
    assert!(exchange.wants_response(Some(101)) && exchange.wants_response(None));
    exchange.response(ResponseOrigin::Upstream);
    assert!(!exchange.wants_response(Some(200)));
}

#[derive(Clone, Debug)]
enum Event {
    Dispatched(Result<u32, ()>),
    Answer(u32, Answer),
    Response(u16),
    Finish,
}

fn any_event() -> impl Strategy<Value = Event> {
    let answers = prop::sample::select(vec![
        from_ase("200", Some("allowed")),
        from_ase("403", None),
        from_ase("503", None),
        from_ase("500", None),
        answer(&[(":status", "504")]),
        answer(&[]),
        Answer::unreadable(),
    ]);
    prop_oneof![
        prop_oneof![Just(Err(())), (1..4_u32).prop_map(Ok)].prop_map(Event::Dispatched),
        (1..4_u32, answers).prop_map(|(token, answer)| Event::Answer(token, answer)),
        (100..600_u16).prop_map(Event::Response),
        Just(Event::Finish),
    ]
}

proptest! {
    #[test]
    fn any_order_of_events_gives_at_most_one_exit_and_never_limbo(
        mode in prop::sample::select(vec!["sync", "async", "shadow", "local", "off"]),
        cleared: bool,
        policy in prop::sample::select(vec!["open", "closed"]),
        unregistered in prop::sample::select(vec!["pass", "block"]),
        readable: bool,
        secondary in prop::sample::select(vec!["", r#", "ase": {"secondary": {"cluster": "b"}}"#]),
        events in prop::collection::vec(any_event(), 0..12),
    ) {
        let config = config(&format!(
            r#"{{"mode": "{mode}", "on_failure": "{policy}", "unregistered": "{unregistered}", "breaker": {{"failures": 1, "cool_down_ms": 1}}{secondary}}}"#
        ));
        let mut breaker = Breaker::default();
        let head = match (readable, cleared) {
            (true, true) => Head::Cleared,
            (true, false) => Head::Read,
            (false, _) => Head::Unreadable,
        };
        let (mut exchange, effect) = Exchange::request(RecordId::mint(0, 0), head,
        config.policy(b"", b""), &config, &mut breaker, Moment::default());
        // The model: what an observer of inputs and effects knows.
        let mut pending = None;
        let mut asking = matches!(effect, Effect::Ask);
        let mut exits = Vec::new();
        let mut records = 0;
        let mut asked_again = 0;
        let note = |effect: Effect, exits: &mut Vec<Option<GatewayDecision>>| match effect {
            Effect::Pass(permit) => exits.push(permit.reason().decision()),
            Effect::Reply(reply) => exits.push(Some(reply.reason().decision())),
            Effect::Ask | Effect::Nothing => {}
        };
        note(effect, &mut exits);
        for (step, event) in events.into_iter().enumerate() {
            let now = Moment::from_nanos(step as u64 * 400_000);
            let exits_before = exits.len();
            match event {
                Event::Dispatched(result) => {
                    let sent = result.map(CalloutToken).map_err(|()| DispatchRefusal::NotSent);
                    let effect = exchange.dispatched(sent, &config, &mut breaker, now);
                    let again = matches!(effect, Effect::Ask);
                    asked_again += usize::from(again);
                    note(effect, &mut exits);
                    if asking && records == 0 {
                        asking = again;
                        pending = result.ok();
                    }
                }
                Event::Answer(token, answer) => {
                    let effect = exchange.answer(CalloutToken(token), &answer, &config, &mut breaker, now);
                    let again = matches!(effect, Effect::Ask);
                    asked_again += usize::from(again);
                    asking |= again;
                    note(effect, &mut exits);
                    let own = pending == Some(token) && records == 0;
                    let moved = exits.len() - exits_before + usize::from(again);
                    prop_assert_eq!(moved, usize::from(own), "only the answer to its own question moves it");
                    if own {
                        pending = None;
                    }
                }
                Event::Response(status) => {
                    if exchange.wants_response(Some(status)) {
                        prop_assert!(!exchange.holds_request(), "upstream answers only what was let through");
                        exchange.response(ResponseOrigin::Upstream);
                    }
                }
                Event::Finish => {
                    let expected = exits.last().copied().unwrap_or(Some(GatewayDecision::Undecided));
                    if let Some(record) = exchange.finish(now) {
                        prop_assert_eq!(Some(record.decision), expected);
                        records += 1;
                    }
                }
            }
            prop_assert!(asked_again <= usize::from(!secondary.is_empty()), "asked for ever");
            prop_assert!(exits.len() <= 1, "two exits: {:?}", exits);
            prop_assert!(exits.len() == 1 || asking || pending.is_some(), "limbo");
            let stopped = matches!(
                exits.first(),
                Some(Some(GatewayDecision::Denied | GatewayDecision::UnregisteredBlocked | GatewayDecision::FailedClosed(_)))
            );
            prop_assert!(!stopped || mode == "sync" || mode == "local", "the other modes stop nothing");
            if mode == "local" && cleared && readable {
                prop_assert_eq!(exits.first(), Some(&Some(GatewayDecision::Local)), "cleared by the image");
            }
            let passed = !exits.is_empty() && !stopped;
            prop_assert_eq!(exchange.holds_request(), !passed, "held unless a permit was given");
            prop_assert!(records <= 1);
        }
    }
}
