//! The bounds one by one; then random traffic against the one promise: every record is delivered, dropped with a reason, or waits.

use std::cell::Cell;

use ase_core::headers::Headers;
use ase_core::time::UnixMillis;
use ase_core::transaction::{Course, End, GatewayDecision, Mode};
use proptest::prelude::*;

use super::*;
use crate::exchange::AnswerMark;

const LIMITS: OutboxLimits = OutboxLimits {
    batch_bytes: 2048,
    queue_bytes: 8192,
    in_flight: 2,
    attempts: 3,
};
const RECEIPT: Option<Receipt> = Some(Receipt {
    rejected: 0,
    image: News::Silent,
});
const TICK: Duration = Duration::from_millis(50);

fn answer(
    status: &'static str,
    verdict: &'static str,
    retry_after: Option<&'static str>,
) -> Answer {
    let mut headers = Headers::default();
    headers.push(b":status".as_slice(), status.as_bytes());
    headers.push(b"x-ase-verdict".as_slice(), verdict.as_bytes());
    if let Some(secs) = retry_after {
        headers.push(b"retry-after".as_slice(), secs.as_bytes());
    }
    let mark = AnswerMark {
        header: "x-ase-verdict".to_owned(),
        value: None,
    };
    Answer::of(&headers, &mark, Vec::new)
}

fn taken() -> Answer {
    answer("200", "allowed", None)
}

fn full() -> Answer {
    answer("503", "overloaded", None)
}

fn put(outbox: &mut Outbox, request_bytes: usize) {
    let request = format!("{{\"pad\":\"{}\"}}", "x".repeat(request_bytes));
    let course = Course {
        id: RecordId::mint(1, 1),
        started: UnixMillis(1),
        duration: Duration::from_millis(1),
        mode: Mode::Sync,
        decision: GatewayDecision::Verdict,
        verdict: None,
        asked_for: None,
        end: End::Upstream,
    };
    outbox.record(&Record {
        course: &course,
        request: &|out| out.extend_from_slice(request.as_bytes()),
        response: None,
    });
}

fn both() -> Halves {
    Halves::RequestThenResponse(b"{}".to_vec(), Some(b"{}".to_vec()))
}

fn response() -> Halves {
    Halves::Response(b"{}".to_vec(), Site::Primary)
}

/// Sends what is due; the number of lines of each body, and the tokens.
fn send(outbox: &mut Outbox, next_token: &Cell<u32>) -> Vec<(CalloutToken, Endpoint, usize)> {
    let mut sent = Vec::new();
    outbox.dispatch(|call| {
        let token = CalloutToken(next_token.get());
        next_token.set(token.0 + 1);
        sent.push((
            token,
            call.endpoint,
            call.body.iter().filter(|byte| **byte == b'\n').count(),
        ));
        Ok(token)
    });
    sent
}

fn total(outbox: &mut Outbox, sum: &mut Tally) {
    let tally = outbox.take_tally();
    sum.queued += tally.queued;
    sum.delivered += tally.delivered;
    for (reason, records) in tally.dropped() {
        sum.drop_records(reason, records);
    }
}

fn dropped(sum: &Tally) -> Vec<(DropReason, u64)> {
    sum.dropped().collect()
}

#[test]
fn a_tick_sends_what_has_gathered_as_one_batch() {
    let mut outbox = Outbox::new(LIMITS);
    let tokens = Cell::new(0);
    put(&mut outbox, 100);
    put(&mut outbox, 100);
    assert!(send(&mut outbox, &tokens).is_empty());
    outbox.tick(TICK);
    assert_eq!(
        send(&mut outbox, &tokens),
        [(CalloutToken(0), Endpoint::Batch, 2)]
    );
    outbox.answered(CalloutToken(9), Site::Primary, &taken(), RECEIPT);
    assert_eq!(outbox.held_records(), 2);
    outbox.answered(
        CalloutToken(0),
        Site::Primary,
        &taken(),
        Some(Receipt {
            rejected: 1,
            image: News::Silent,
        }),
    );
    assert!(outbox.is_empty());
    let tally = outbox.take_tally();
    assert_eq!(
        (tally.queued, tally.delivered, dropped(&tally)),
        (2, 1, vec![(DropReason::Rejected, 1)])
    );
}

#[test]
fn a_batch_is_closed_at_its_size_and_calls_under_way_are_bounded() {
    let mut outbox = Outbox::new(LIMITS);
    let tokens = Cell::new(0);
    for _ in 0..7 {
        put(&mut outbox, 700);
    }
    outbox.tick(TICK);
    assert_eq!(
        send(&mut outbox, &tokens),
        [
            (CalloutToken(0), Endpoint::Batch, 2),
            (CalloutToken(1), Endpoint::Batch, 2)
        ]
    );
    assert!(send(&mut outbox, &tokens).is_empty());
    outbox.answered(CalloutToken(0), Site::Primary, &taken(), RECEIPT);
    assert_eq!(
        send(&mut outbox, &tokens),
        [(CalloutToken(2), Endpoint::Batch, 2)]
    );
    outbox.answered(CalloutToken(1), Site::Primary, &taken(), RECEIPT);
    outbox.tick(TICK);
    assert_eq!(
        send(&mut outbox, &tokens),
        [(CalloutToken(3), Endpoint::Batch, 1)]
    );
}

#[test]
fn records_over_the_bounds_are_dropped_with_their_reason() {
    let mut outbox = Outbox::new(LIMITS);
    put(&mut outbox, 9000);
    for _ in 0..9 {
        put(&mut outbox, 1000);
    }
    let tally = outbox.take_tally();
    assert_eq!(tally.queued, 10);
    assert_eq!(
        dropped(&tally),
        [(DropReason::TooLarge, 1), (DropReason::QueueFull, 2)]
    );
    assert_eq!(outbox.held_records(), 7);
}

#[test]
fn a_failed_batch_is_tried_again_after_a_growing_wait_and_then_dropped() {
    let mut outbox = Outbox::new(LIMITS);
    let tokens = Cell::new(0);
    put(&mut outbox, 100);
    outbox.tick(TICK);
    let mut waits = Vec::new();
    for attempt in 0..3_u32 {
        assert_eq!(send(&mut outbox, &tokens).len(), 1, "attempt {attempt}");
        outbox.answered(CalloutToken(attempt), Site::Primary, &full(), RECEIPT);
        let mut ticks = 0;
        while send_is_held(&mut outbox) {
            outbox.tick(TICK);
            ticks += 1;
        }
        waits.push(ticks);
    }
    assert_eq!(waits, [5, 20, 80]);
    let tally = outbox.take_tally();
    assert_eq!(dropped(&tally), [(DropReason::Attempts, 1)]);
    assert_eq!(
        tally.failures().collect::<Vec<_>>(),
        [(FailureClass::Ase5xx, 3)]
    );
    assert!(outbox.is_empty());
}

#[test]
fn a_200_without_a_receipt_delivers_nothing_and_the_batch_comes_again() {
    let mut outbox = Outbox::new(LIMITS);
    let tokens = Cell::new(0);
    put(&mut outbox, 100);
    outbox.tick(TICK);
    send(&mut outbox, &tokens);
    outbox.answered(CalloutToken(0), Site::Primary, &taken(), None);
    assert_eq!(outbox.held_records(), 1);
    while send_is_held(&mut outbox) {
        outbox.tick(TICK);
    }
    assert_eq!(send(&mut outbox, &tokens).len(), 1);
    outbox.answered(CalloutToken(1), Site::Primary, &taken(), RECEIPT);
    let tally = outbox.take_tally();
    assert_eq!((tally.delivered, dropped(&tally)), (1, vec![]));
    assert_eq!(
        tally.failures().collect::<Vec<_>>(),
        [(FailureClass::BadReply, 1)]
    );
}

fn send_is_held(outbox: &mut Outbox) -> bool {
    !outbox.may_send()
}

#[test]
fn retry_after_is_honoured_within_a_bound() {
    for (secs, ticks) in [("1", 20), ("0", 5), ("99999", 1200), ("soon", 5)] {
        let mut outbox = Outbox::new(LIMITS);
        put(&mut outbox, 100);
        outbox.tick(TICK);
        send(&mut outbox, &Cell::new(0));
        outbox.answered(
            CalloutToken(0),
            Site::Primary,
            &answer("503", "overloaded", Some(secs)),
            RECEIPT,
        );
        let mut waited = 0;
        while send_is_held(&mut outbox) {
            outbox.tick(TICK);
            waited += 1;
        }
        assert_eq!(waited, ticks, "{secs}");
    }
}

#[test]
fn a_refused_batch_is_not_tried_again() {
    let mut outbox = Outbox::new(LIMITS);
    put(&mut outbox, 100);
    outbox.tick(TICK);
    send(&mut outbox, &Cell::new(0));
    outbox.answered(
        CalloutToken(0),
        Site::Primary,
        &answer("401", "rejected", None),
        None,
    );
    assert!(outbox.is_empty());
    assert_eq!(dropped(&outbox.take_tally()), [(DropReason::Rejected, 1)]);
}

#[test]
fn per_call_sends_the_response_once_the_request_has_been_answered() {
    let mut outbox = Outbox::new(LIMITS);
    let tokens = Cell::new(0);
    let id = RecordId::mint(1, 1);
    outbox.calls(&id, both());
    outbox.calls(&id, response());
    outbox.tick(TICK);
    assert_eq!(
        send(&mut outbox, &tokens),
        [
            (CalloutToken(0), Endpoint::Request, 0),
            (CalloutToken(1), Endpoint::Response, 0)
        ]
    );
    outbox.answered(CalloutToken(1), Site::Primary, &taken(), RECEIPT);
    assert!(send(&mut outbox, &tokens).is_empty());
    outbox.answered(
        CalloutToken(0),
        Site::Primary,
        &answer("403", "blocked", None),
        RECEIPT,
    );
    assert_eq!(
        send(&mut outbox, &tokens),
        [(CalloutToken(2), Endpoint::Response, 0)]
    );
    outbox.answered(CalloutToken(2), Site::Primary, &taken(), RECEIPT);
    assert!(outbox.is_empty());
    assert_eq!(outbox.take_tally().delivered, 2);
}

#[test]
fn per_call_keeps_the_response_of_an_api_that_ase_does_not_know() {
    let mut outbox = Outbox::new(LIMITS);
    outbox.calls(&RecordId::mint(1, 1), both());
    send(&mut outbox, &Cell::new(0));
    outbox.answered(
        CalloutToken(0),
        Site::Primary,
        &answer("503", "unregistered", None),
        RECEIPT,
    );
    assert!(outbox.is_empty());
}

#[test]
fn draining_sends_at_once_waits_little_and_loses_only_what_fails_for_good() {
    let mut outbox = Outbox::new(LIMITS);
    let tokens = Cell::new(0);
    put(&mut outbox, 100);
    outbox.tick(TICK);
    send(&mut outbox, &tokens);
    outbox.answered(CalloutToken(0), Site::Primary, &full(), RECEIPT);
    put(&mut outbox, 100);
    outbox.drain();
    assert_eq!(send(&mut outbox, &tokens).len(), 2);
    outbox.answered(CalloutToken(1), Site::Primary, &taken(), RECEIPT);
    put(&mut outbox, 100);
    assert_eq!(send(&mut outbox, &tokens).len(), 1);
    outbox.answered(CalloutToken(3), Site::Primary, &taken(), RECEIPT);
    let patient = answer("503", "overloaded", Some("60"));
    outbox.answered(CalloutToken(2), Site::Primary, &patient, RECEIPT);
    for attempts_left in [2, 1] {
        assert!(
            send_is_held(&mut outbox) && outbox.is_draining(),
            "{attempts_left}"
        );
        outbox.tick(MAX_DRAINING_WAIT);
        outbox.dispatch(|_| Err(DispatchRefusal::NotSent));
    }
    assert!(outbox.is_draining() && outbox.is_empty());
    outbox.close();
    put(&mut outbox, 100);
    let tally = outbox.take_tally();
    assert_eq!((tally.queued, tally.delivered), (4, 2));
    assert_eq!(dropped(&tally), [(DropReason::Shutdown, 2)]);
}

#[derive(Clone, Debug)]
enum Step {
    Put(usize),
    Call(bool),
    Tick,
    Send(Vec<bool>),
    Answer(u32, u8, Option<u32>),
    Drain,
    Close,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop_oneof![0..1500_usize, Just(9000)].prop_map(Step::Put),
        2 => any::<bool>().prop_map(Step::Call),
        3 => Just(Step::Tick),
        4 => prop::collection::vec(any::<bool>(), 1..9).prop_map(Step::Send),
        6 => (0..12_u32, 0..7_u8, prop::option::of(0..4_u32)).prop_map(|(back, kind, rejected)| Step::Answer(back, kind, rejected)),
        1 => prop_oneof![4 => Just(Step::Drain), 1 => Just(Step::Close)],
    ]
}

proptest! {
    #[test]
    fn no_record_is_lost_uncounted_and_no_bound_is_exceeded(steps in prop::collection::vec(any_step(), 0..80)) {
        let mut outbox = Outbox::new(LIMITS);
        let mut sum = Tally::default();
        let mut put_records = 0;
        let mut next_token = 0;
        let answers = [taken(), full(), answer("400", "rejected", None), answer("403", "blocked", None), answer("503", "unregistered", None), Answer::unreadable()];
        for step in steps {
            match step {
                Step::Put(bytes) => {
                    put_records += 1;
                    put(&mut outbox, bytes);
                }
                Step::Call(with_request) => {
                    put_records += 1;
                    let halves = if with_request { both() } else { response() };
                    outbox.calls(&RecordId::mint(2, 2), halves);
                }
                Step::Tick => outbox.tick(Duration::from_secs(3)),
                Step::Send(outcomes) => {
                    let mut outcomes = outcomes.into_iter().cycle();
                    outbox.dispatch(|_| {
                        next_token += 1;
                        if outcomes.next().unwrap() { Ok(CalloutToken(next_token)) } else { Err(DispatchRefusal::NotSent) }
                    });
                }
                Step::Answer(back, kind, rejected) => {
                    let receipt = rejected.map(|rejected| Receipt {
                        rejected,
                        image: News::Silent,
                    });
                    let answer = answers[usize::from(kind) % answers.len()];
                    outbox.answered(CalloutToken(u32::saturating_sub(next_token, back)), Site::Primary, &answer, receipt);
                }
                Step::Drain => outbox.drain(),
                Step::Close => outbox.close(),
            }
            total(&mut outbox, &mut sum);
            let lost: u64 = sum.dropped().map(|(_, records)| records).sum();
            prop_assert_eq!(sum.queued, put_records);
            prop_assert_eq!(sum.queued, sum.delivered + lost + outbox.held_records() as u64);
            prop_assert!(outbox.held_bytes <= LIMITS.queue_bytes);
            prop_assert!(outbox.under_way.len() <= LIMITS.in_flight);
            let bytes: usize = outbox.waiting.iter().chain(outbox.under_way.iter().map(|(_, parcel)| parcel)).map(Parcel::bytes).sum();
            prop_assert_eq!(outbox.held_bytes, bytes + outbox.open.len());
        }
    }
}
