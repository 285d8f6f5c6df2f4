//! Any sequence of records, ticks, sends and answers: nothing is lost uncounted and no bound is exceeded.

use std::time::Duration;

use ase_core::headers::Headers;
use ase_core::time::UnixMillis;
use ase_core::transaction::wire::Record;
use ase_core::transaction::{Course, End, GatewayDecision, Mode, RecordId};
use ase_filter::config::Config;
use ase_filter::exchange::{Answer, CalloutToken, DispatchRefusal};
use ase_filter::outbox::{Halves, News, Outbox, OutboxLimits, Receipt};
use ase_filter::site::Site;

const LIMITS: OutboxLimits = OutboxLimits {
    batch_bytes: 900,
    queue_bytes: 4000,
    in_flight: 2,
    attempts: 3,
};

/// What an observer has seen.
#[derive(Default)]
struct Seen {
    put: u64,
    lost: u64,
    delivered: u64,
    queued: u64,
    under_way: Vec<CalloutToken>,
    tokens: u32,
}

/// Each two bytes are a step: what, and how.
pub fn outbox(bytes: &[u8]) {
    let Ok(config) = Config::parse(b"{}") else {
        panic!("the defaults are refused");
    };
    let mut outbox = Outbox::new(LIMITS);
    let mut seen = Seen::default();
    for step in bytes.chunks_exact(2).take(4000) {
        let [what, how] = *step else {
            return;
        };
        match what % 8 {
            0 | 1 => put(&mut outbox, &mut seen, how),
            2 => halves(&mut outbox, &mut seen, how),
            3 => outbox.tick(Duration::from_millis(u64::from(how) * 40)),
            4 => send(&mut outbox, &mut seen, how),
            5 | 6 => answered(&mut outbox, &mut seen, how, &config),
            _ if how < 4 => outbox.drain(),
            _ if how == 255 => {
                outbox.close();
                seen.under_way.clear();
                assert!(outbox.is_empty(), "something waits for nobody");
            }
            _ => {}
        }
        add_up(&mut outbox, &mut seen);
    }
}

fn put(outbox: &mut Outbox, seen: &mut Seen, how: u8) {
    let request = format!(r#"{{"url":"/{}"}}"#, "a".repeat(usize::from(how) * 20));
    let course = Course {
        id: RecordId::mint(1, seen.put),
        started: UnixMillis(1_700_000_000_000),
        duration: Duration::from_millis(u64::from(how)),
        mode: Mode::Async,
        decision: GatewayDecision::Async,
        verdict: None,
        asked_for: None,
        end: End::Upstream,
    };
    outbox.record(&Record {
        course: &course,
        request: &|out| out.extend_from_slice(request.as_bytes()),
        response: None,
    });
    seen.put += 1;
}

fn halves(outbox: &mut Outbox, seen: &mut Seen, how: u8) {
    let id = RecordId::mint(2, seen.put);
    let half = || b"{}".to_vec();
    let halves = match how % 3 {
        0 => Halves::RequestThenResponse(half(), Some(half())),
        1 => Halves::RequestThenResponse(half(), None),
        _ => Halves::Response(half(), Site::Primary),
    };
    outbox.calls(&id, halves);
    seen.put += 1;
}

fn send(outbox: &mut Outbox, seen: &mut Seen, how: u8) {
    let mut turn = how;
    outbox.dispatch(|call| {
        assert!(!call.body.is_empty(), "an empty call");
        turn = turn.rotate_right(1);
        if turn & 1 == 0 {
            seen.tokens += 1;
            seen.under_way.push(CalloutToken(seen.tokens));
            Ok(CalloutToken(seen.tokens))
        } else {
            Err(DispatchRefusal::NotSent)
        }
    });
    assert!(seen.under_way.len() <= LIMITS.in_flight, "too many calls");
}

fn answered(outbox: &mut Outbox, seen: &mut Seen, how: u8, config: &Config) {
    const STATUSES: [&str; 8] = ["200", "200", "403", "503", "400", "401", "500", "x"];
    let mut headers = Headers::default();
    headers.push(b"x-ase-verdict", b"unregistered");
    let status = STATUSES.get(usize::from(how) % 8).copied();
    headers.push(b":status", status.unwrap_or_default().as_bytes());
    if how.is_multiple_of(5) {
        headers.push(b"retry-after", b"4294967295");
    }
    let answer = Answer::of(&headers, &config.ase().answer_mark, Vec::new);
    let receipt = (how < 128).then_some(Receipt {
        rejected: u32::from(how / 8),
        image: News::Silent,
    });
    let token = CalloutToken(seen.tokens.saturating_sub(u32::from(how % 3)));
    seen.under_way.retain(|known| *known != token);
    let site = if how.is_multiple_of(2) {
        Site::Primary
    } else {
        Site::Secondary
    };
    outbox.answered(token, site, &answer, receipt);
}

fn add_up(outbox: &mut Outbox, seen: &mut Seen) {
    let tally = outbox.take_tally();
    seen.queued += tally.queued;
    seen.delivered += tally.delivered;
    seen.lost += tally.dropped().map(|(_, records)| records).sum::<u64>();
    assert_eq!(seen.queued, seen.put, "a record came uncounted");
    let held = u64::try_from(outbox.held_records()).unwrap_or(u64::MAX);
    assert_eq!(
        seen.queued,
        seen.delivered + seen.lost + held,
        "a record is lost uncounted"
    );
}
