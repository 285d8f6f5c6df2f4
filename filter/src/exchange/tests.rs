//! The life of one exchange, step by step.

use ase_core::headers::Headers;

use super::*;
use crate::config::OffReason;

mod answers;
mod any_order;
mod secondary;

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
