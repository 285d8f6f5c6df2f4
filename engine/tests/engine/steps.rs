//! Which steps make a walk, on how many routes at once: long numbers, several routes in turn, what one has made oneself.

use crate::support::{Request, Story};

/// An engine that is cheap to make: what it learns of APIs does not matter here.
fn story() -> Story {
    let mut settings = ase_engine::Settings::default();
    settings.limits.windows = 64;
    Story::with(settings)
}

#[test]
fn who_walks_over_several_routes_in_turn_is_found_on_one_of_them() {
    const KINDS: [&str; 6] = ["orders", "invoices", "users", "tickets", "notes", "cards"];
    for count in 1..=KINDS.len() {
        let mut story = story();
        let kinds = KINDS.iter().take(count);
        let steps = (0..200_u32).flat_map(|id| kinds.clone().map(move |kind| (id, kind)));
        let requests = steps.zip(0_u32..).map(|((id, kind), number)| {
            let target = format!("/api/{kind}/{id}");
            Request::get(f64::from(number) * 0.7, "203.0.113.7", &target, 200)
        });
        let found = story.requests_until_listed(requests);
        assert!(
            found.is_some_and(|at| at <= 30 * count),
            "{count}: {found:?}"
        );
    }
}

#[test]
fn who_has_read_a_little_of_two_routes_is_still_followed_on_a_third() {
    let mut story = story();
    let mut reads: Vec<(&str, u32)> = Vec::new();
    reads.extend((0..20).map(|id| ("orders", id)));
    reads.extend((0..20).map(|id| ("invoices", id)));
    reads.extend((0..100).map(|id| ("users", id)));
    let requests = reads.iter().zip(0_u32..).map(|((kind, id), number)| {
        let target = format!("/api/{kind}/{id}");
        Request::get(f64::from(number) * 2.0, "203.0.113.7", &target, 200)
    });
    let found = story.requests_until_listed(requests);
    assert!(found.is_some_and(|at| at <= 100), "{found:?}");
}

#[test]
fn who_walks_over_numbers_with_letters_before_them_is_found_as_soon() {
    let found = |written: fn(u32) -> String| {
        let requests = (100_001..100_101_u32).map(|id| {
            let target = format!("/api/orders/{}", written(id));
            Request::get(f64::from(id - 100_000), "203.0.113.7", &target, 200)
        });
        story().requests_until_listed(requests)
    };
    let bare = found(|id| id.to_string()).unwrap_or(0);
    assert!((20..30).contains(&bare), "{bare}");
    let written: [fn(u32) -> String; 6] = [
        |id| format!("ORD-{id}"),
        |id| format!("ord_{id}"),
        |id| format!("ORD{id}"),
        |id| format!("ORD-{id:012}"),
        |id| format!("inv.{id}"),
        // Two shops' orders in turn.
        |id| format!("{}-{id}", ["N", "S"][id as usize % 2]),
    ];
    for written in written {
        // Distinct ids are estimated.
        let at = found(written);
        assert!(
            at.is_some_and(|at| at.abs_diff(bare) <= 3),
            "{}: {at:?}",
            written(7)
        );
    }
}

/// Numbers in no order, of so many digits.
fn at_random(digits: u32) -> impl Iterator<Item = u64> {
    let lowest = 10_u64.pow(digits - 1);
    (1_u64..).map(move |number| lowest + number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % (lowest * 9))
}

#[test]
fn who_reads_long_numbers_here_and_there_is_left_alone() {
    for digits in 7..=18 {
        let mut story = story();
        story.play_all(
            at_random(digits)
                .take(100)
                .zip(0_u32..)
                .map(|(id, number)| {
                    let target = format!("/api/posts/{id}");
                    Request::get(f64::from(number) * 16.0, "192.0.2.10", &target, 200)
                }),
        );
        assert_eq!(story.attacks(), [], "{digits} digits");
    }
}

#[test]
fn who_walks_over_long_numbers_is_found_up_and_down_and_across_any_boundary() {
    for first in [
        4_294_967_280_u64,
        2_026_112_200_001,
        (1 << 48) - 12,
        4_006_381_333_900,
        999_999_999_999_999_000,
    ] {
        let up = (0..100).map(|step| first + step);
        let down = (0..100).map(|step| first + 99 - step);
        let mixed = (0..100).map(|step| first + (step ^ 3));
        for ids in [up.collect::<Vec<_>>(), down.collect(), mixed.collect()] {
            let mut story = story();
            let walk = ids.iter().zip(0_u32..).map(|(id, number)| {
                let target = format!("/api/orders/{id}");
                Request::get(f64::from(number), "203.0.113.5", &target, 200)
            });
            let found = story.requests_until_listed(walk);
            assert!(found.is_some_and(|at| at <= 30), "{first}: {found:?}");
        }
    }
}

/// How many of 1,200 invoices somebody reads, one after the other, until that is found: twenty at a time, and in between
/// what is meant to take the walk's place. Begun with some other reading.
fn invoices_read_between(begin: &[String], between: fn(u32) -> String, count: u32) -> Option<u32> {
    let ip = "203.0.113.66";
    let mut story = story();
    let mut at = 0.0;
    let mut lists = |target: &str| {
        at += 0.7;
        story.play(&Request::get(at, ip, target, 200));
        story.lists_address(ip)
    };
    for target in begin {
        assert!(!lists(target), "{target}");
    }
    for round in 0..60 {
        for number in 0..20 {
            let invoice = round * 20 + number;
            if lists(&format!("/api/invoices/{invoice}")) {
                return Some(invoice);
            }
        }
        for number in 0..count {
            if lists(&between(round * count + number)) {
                return Some((round + 1) * 20);
            }
        }
    }
    None
}

/// Twenty objects of each kind, one after the other.
fn twenty_of_each(kinds: &[&str]) -> Vec<String> {
    let targets = kinds
        .iter()
        .flat_map(|kind| (0..20_u32).map(move |id| format!("/api/{kind}/{id}")));
    targets.collect()
}

#[test]
fn asking_again_for_the_same_does_not_free_the_walk_that_was_followed() {
    let sparse: Vec<String> = (1..=40_u32)
        .map(|number| format!("/api/items/{}", number * 7919))
        .collect();
    let parked = twenty_of_each(&["orders", "tickets"]);
    for begin in [sparse, parked] {
        let same = invoices_read_between(&begin, |_| "/api/users/4711".to_owned(), 40);
        assert!(same.is_some_and(|until| until <= 60), "{same:?}");
        let two = invoices_read_between(&begin, |n| format!("/api/users/{}", n % 2 * 977), 40);
        assert!(two.is_some_and(|until| until <= 60), "{two:?}");
    }
}

#[test]
fn reading_here_and_there_parks_nobody() {
    for kinds in [&["items", "cards"][..], &["items", "cards", "notes"]] {
        let sparse = kinds.iter().flat_map(|kind| {
            (1..=40_u32).map(move |number| format!("/api/{kind}/{}", number * 7919))
        });
        let found = invoices_read_between(&sparse.collect::<Vec<_>>(), |_| String::new(), 0);
        assert!(
            found.is_some_and(|until| until <= 35),
            "{kinds:?}: {found:?}"
        );
    }
}

#[test]
fn who_parks_on_one_route_and_walks_over_two_others_in_turn_is_found() {
    let turns = (0..200_u32).flat_map(|id| ["users", "notes"].map(|kind| (kind, id)));
    for parked in [
        &["orders"][..],
        &["orders", "tickets"],
        &["orders", "tickets", "cards"],
    ] {
        let mut targets = twenty_of_each(parked);
        targets.extend(turns.clone().map(|(kind, id)| format!("/api/{kind}/{id}")));
        let walk = targets.iter().zip(0_u32..).map(|(target, number)| {
            Request::get(f64::from(number) * 0.7, "203.0.113.66", target, 200)
        });
        let found = story().requests_until_listed(walk);
        let then = found.map(|at| at - parked.len() * 20);
        assert!(then.is_some_and(|at| at <= 120), "{parked:?}: {then:?}");
    }
}

/// Somebody sends writes to a collection and then, one a second, reads what stands there.
fn writes_then_reads(writes: u32, status: u16, reads: u32) -> impl Iterator<Item = Request> {
    let ip = "203.0.113.66";
    let write = move |number| Request::new(f64::from(number), ip, "POST", "/api/invoices", status);
    let read = move |number: u32| {
        let target = format!("/api/invoices/{}", 5000 + number);
        Request::get(f64::from(writes + number), ip, &target, 200)
    };
    (0..writes).map(write).chain((0..reads).map(read))
}

#[test]
fn searches_and_writes_that_make_nothing_do_not_pay_for_a_walk() {
    for status in [200, 202, 204, 400] {
        for writes in [20, 100, 300] {
            let walk = writes_then_reads(writes, status, 130);
            let found = story().requests_until_listed(walk);
            let reads = found.map(|at| at.saturating_sub(writes as usize));
            assert!(reads.is_some_and(|at| at <= 50), "{status}: {reads:?}");
        }
    }
}

#[test]
fn what_was_made_pays_for_as_much_and_not_for_a_long_walk() {
    let found = story().requests_until_listed(writes_then_reads(20, 201, 130));
    assert!(found.is_some_and(|at| at <= 20 + 60), "{found:?}");
}

#[test]
fn searching_before_each_read_does_not_make_the_objects_of_others_ones_own() {
    let mut story = story();
    story.play_all((0..60_u32).map(|owner| {
        let ip = format!("10.1.{owner}.1");
        let target = format!("/api/invoices/{}", 5000 + owner * 10);
        Request::get(f64::from(owner), &ip, &target, 200)
    }));
    let walk = (0..200_u32).map(|number| {
        let at = 100.0 + f64::from(number);
        if number % 2 == 0 {
            return Request::new(at, "203.0.113.66", "POST", "/api/invoices", 200);
        }
        let target = format!("/api/invoices/{}", 5000 + number / 2);
        Request::get(at, "203.0.113.66", &target, 200)
    });
    let found = story.requests_until_listed(walk);
    assert!(found.is_some_and(|at| at <= 60), "{found:?}");
}

#[test]
fn who_reads_back_what_was_made_is_left_alone_also_when_the_answer_was_only_ok() {
    for at_once in [1, 5, 12] {
        let mut story = story();
        // Somebody else has been there before, and goes on meanwhile.
        let other =
            |at: f64, id: u32| Request::get(at, "192.0.2.77", &format!("/api/files/{id}"), 200);
        story.play(&other(0.0, 4000));
        for round in 0..60 / at_once {
            let at = 10.0 + f64::from(round * at_once) * 20.0;
            let first = 5000 + round * at_once * 2;
            for _ in 0..at_once {
                story.play(&Request::new(at, "192.0.2.10", "POST", "/api/files", 200));
            }
            if round % 4 == 0 {
                story.play(&other(at + 1.0, first + at_once));
            }
            // The last first.
            for id in (first..first + at_once).rev() {
                let target = format!("/api/files/{id}");
                story.play(&Request::get(at + 2.0, "192.0.2.10", &target, 200));
            }
        }
        assert_eq!(story.attacks(), [], "{at_once} at once");
    }
}

/// Somebody who reads orders by these ids, one every two seconds.
fn reads(ids: impl Iterator<Item = u64>) -> impl Iterator<Item = Request> {
    ids.zip(0_u32..).map(|(id, number)| {
        let target = format!("/api/orders/{id}");
        Request::get(f64::from(number) * 2.0, "203.0.113.7", &target, 200)
    })
}

#[test]
fn ids_far_from_all_others_hide_no_walk() {
    let first = std::iter::once(900_000_000).chain(100..200);
    let now_and_then = (100..200).map(|id| if id % 10 == 3 { id * 70_000 } else { id });
    let found = [
        story().requests_until_listed(reads(first)),
        story().requests_until_listed(reads(now_and_then)),
    ];
    let soon = |found: &Option<usize>| found.is_some_and(|at| at <= 40);
    assert!(found.iter().all(soon), "{found:?}");
}

#[test]
fn ids_near_each_other_with_gaps_between_them_are_no_walk_with_or_without_a_far_one() {
    for gap in [4, 5, 8] {
        let near = (0..60).map(|step| 1_000 + step * gap);
        let found = story().requests_until_listed(reads(near.clone()));
        let far = story().requests_until_listed(reads(std::iter::once(9).chain(near)));
        assert_eq!((found, far), (None, None), "{gap}");
    }
}

#[test]
fn who_has_jobs_done_and_asks_for_each_until_it_is_ready_is_left_alone() {
    let mut story = story();
    let mut requests = Vec::new();
    for job in 1..=200_u32 {
        let at = f64::from(job) * 8.0;
        let path = "/api/v1/jobs";
        requests.push(Request::new(at, "192.0.2.7", "POST", path, 202));
        for (poll, status) in (1_u32..).zip([404, 404, 404, 404, 404, 200]) {
            let target = format!("{path}/{job}/result");
            let at = at + f64::from(poll);
            requests.push(Request::get(at, "192.0.2.7", &target, status));
        }
        let at = at + 7.0;
        requests.push(Request::get(at, "192.0.2.7", "/api/v1/notifications", 304));
    }
    assert_eq!(story.requests_until_listed(requests), None);
}
