//! The second question, where a secondary is configured.

use super::*;

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
