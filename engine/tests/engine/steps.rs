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
