//! Few wait, none is lost, and each is written once, in its order.

use std::time::Duration;

use ase_core::time::UnixMillis;
use ase_core::transaction::{Course, End, GatewayDecision, Mode, RecordId};
use proptest::prelude::*;

use super::*;
use crate::kept::KeptRequest;
use crate::pairs;

fn finished(number: u64, header_bytes: usize) -> Finished {
    let long = "a".repeat(header_bytes);
    let headers = pairs::write(&[
        (":authority", "a"),
        (":path", "/"),
        (":method", "GET"),
        ("x-long", &long),
    ]);
    Finished {
        course: Course {
            id: RecordId::mint(7, number),
            started: UnixMillis(number),
            duration: Duration::ZERO,
            mode: Mode::Async,
            decision: GatewayDecision::Async,
            verdict: None,
            asked_for: None,
            end: End::Upstream,
        },
        site: Site::Primary,
        config: Rc::new(Config::parse(b"{}").unwrap()),
        kept: Kept::of(KeptRequest {
            headers,
            ..KeptRequest::default()
        }),
        token_request: None,
    }
}

fn written(unwritten: &mut Unwritten) -> Vec<(u64, usize)> {
    let mut records = Vec::new();
    unwritten.write(|record, _, _| {
        let mut request = Vec::new();
        (record.request)(&mut request);
        records.push((record.course.started.0, request.len()));
    });
    records
}

#[test]
fn a_huge_exchange_is_written_at_once_and_leaves_no_memory_behind() {
    let mut unwritten = Unwritten::default();
    assert!(!unwritten.push(finished(0, 10)));
    assert!(unwritten.push(finished(1, MOST_BYTES)));
    assert_eq!(written(&mut unwritten).len(), 2);
    assert!(!unwritten.push(finished(2, 10)), "its bytes are forgotten");
}

proptest! {
    #[test]
    fn each_is_written_once_in_its_order_and_few_wait(sizes in prop::collection::vec(0_usize..2000, 0..120)) {
        let mut unwritten = Unwritten::default();
        let mut records = Vec::new();
        for (number, size) in sizes.iter().enumerate() {
            if unwritten.push(finished(number as u64, *size)) {
                prop_assert!(unwritten.finished.len() <= MOST);
                records.extend(written(&mut unwritten));
            }
        }
        records.extend(written(&mut unwritten));
        prop_assert_eq!(written(&mut unwritten), []);
        let numbers: Vec<u64> = records.iter().map(|(number, _)| *number).collect();
        prop_assert_eq!(numbers, (0..sizes.len() as u64).collect::<Vec<_>>());
        for ((_, bytes), size) in records.iter().zip(&sizes) {
            prop_assert!(*bytes > *size, "a record with another's request");
        }
    }
}
