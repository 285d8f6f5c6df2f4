//! Who may say that objects are for everybody: several who walk over the same ids do not, and ordinary readers do.

use std::collections::BTreeMap;

use ase_core::credential::CredentialKind::{Cookie, Token};
use ase_core::identity::Provenance::{Claimed, Verified};
use ase_engine::Settings;

use crate::support::{Request, Story, identifier};

/// An engine that is cheap to make: what it learns of APIs does not matter here.
fn story() -> Story {
    let mut settings = Settings::default();
    settings.limits.windows = 64;
    Story::with(settings)
}

/// What a walker carries.
#[derive(Clone, Copy, Debug)]
enum Carries {
    Nothing,
    OneCookie,
    AnotherCookieEachTime,
}

fn walker(number: u32) -> String {
    format!("203.0.{number}.9")
}

/// Requests in the order of their time.
fn in_order(mut requests: Vec<Request>) -> Vec<Request> {
    requests.sort_by_key(|request| request.at_ms);
    requests
}

/// Somebody walks over invoices, `seconds` apart.
fn walk(number: u32, begins: f64, seconds: f64, carries: Carries) -> impl Iterator<Item = Request> {
    (0..100_u32).map(move |id| {
        let at = begins + f64::from(id) * seconds;
        let target = format!("/api/invoices/{}", id ^ 1);
        let request = Request::get(at, &walker(number), &target, 200);
        let cookie = match carries {
            Carries::Nothing => return request,
            Carries::OneCookie => format!("of {number}"),
            Carries::AnotherCookieEachTime => format!("{number} {id}"),
        };
        request.with(Cookie, &cookie, Claimed)
    })
}

/// Everybody reads an invoice of their own, each with a token, from `begins` on.
fn owners(begins: f64, seconds: f64, count: u32) -> impl Iterator<Item = Request> {
    (0..count).map(move |owner| {
        let ip = format!("10.1.{owner}.1");
        let at = begins + f64::from(owner) * seconds;
        let read = Request::get(at, &ip, &format!("/api/invoices/{}", owner % 80), 200);
        read.with(Token, &format!("of owner {owner}"), Verified)
    })
}

/// How many requests each walker had made when it was listed, the most of them.
fn most_until_listed(story: &mut Story, requests: Vec<Request>, walkers: u32) -> Option<u32> {
    let mut made: BTreeMap<String, u32> = BTreeMap::new();
    let mut until: BTreeMap<String, u32> = BTreeMap::new();
    for request in in_order(requests) {
        story.play(&request);
        let so_far = made.entry(request.ip.clone()).or_default();
        *so_far += 1;
        if until.len() == walkers as usize {
            break;
        }
        if !until.contains_key(&request.ip) && story.lists_address(&request.ip) {
            until.insert(request.ip, *so_far);
        }
    }
    let each = (0..walkers).map(|number| until.get(&walker(number)).copied());
    each.collect::<Option<Vec<u32>>>()?.into_iter().max()
}

#[test]
fn several_who_walk_over_the_same_ids_at_once_are_all_found() {
    let mut worst = Vec::new();
    for walkers in [3, 5, 10] {
        for carries in [
            Carries::Nothing,
            Carries::OneCookie,
            Carries::AnotherCookieEachTime,
        ] {
            for (seconds, apart) in [
                (0.1, 0.0),
                (0.1, 2.0),
                (5.0, 0.0),
                (5.0, 7.0),
                (5.0, 20.0),
                (5.0, 60.0),
                (5.0, 300.0),
                (60.0, 0.0),
            ] {
                for honest in [0, 60] {
                    let mut story = story();
                    let mut requests: Vec<Request> = owners(0.0, 11.0, honest).collect();
                    for number in 0..walkers {
                        let begins = 100.0 + f64::from(number) * apart;
                        requests.extend(walk(number, begins, seconds, carries));
                    }
                    let most = most_until_listed(&mut story, requests, walkers);
                    if most.is_none_or(|most| most > 45) {
                        worst.push((walkers, carries, seconds, apart, honest, most));
                    }
                }
            }
        }
    }
    assert!(worst.is_empty(), "{worst:#?}");
}

#[test]
fn who_reads_a_few_of_other_peoples_objects_does_not_make_them_public_for_another() {
    let mut story = story();
    let mut requests: Vec<Request> = owners(0.0, 5.0, 60).collect();
    // Twenty objects in no order, each soon before its owner.
    requests.extend((0..20_u32).map(|number| {
        let owner = 1 + number * 7 % 59;
        let at = f64::from(owner) * 5.0 - 2.0;
        Request::get(at, &walker(1), &format!("/api/invoices/{owner}"), 200)
    }));
    requests.extend(walk(0, 400.0, 1.0, Carries::OneCookie));
    let most = most_until_listed(&mut story, requests, 1);
    assert!(most.is_some_and(|most| most <= 30), "{most:?}");
}

#[test]
fn owners_who_change_their_network_do_not_make_their_objects_public() {
    let mut story = story();
    let mut requests = Vec::new();
    for owner in 0..30_u32 {
        for (network, later) in [(1, 0.0), (2, 60.0)] {
            let at = f64::from(owner) * 10.0 + later;
            let ip = format!("10.{network}.{owner}.1");
            let read = Request::get(at, &ip, &format!("/api/invoices/{owner}"), 200);
            requests.push(read.with(Token, &format!("of owner {owner}"), Verified));
        }
    }
    requests.extend(walk(0, 500.0, 1.0, Carries::Nothing));
    let most = most_until_listed(&mut story, requests, 1);
    assert!(most.is_some_and(|most| most <= 30), "{most:?}");
}

/// An employee with a verified token, among colleagues who look up a few things.
fn insider(order: fn(u32) -> u32) -> Option<usize> {
    let mut story = story();
    let mut requests: Vec<Request> = owners(0.0, 10.0, 60).collect();
    for colleague in 0..2_u32 {
        requests.extend((0..8_u32).map(|number| {
            let at = 200.0 + f64::from(number) * 60.0;
            let id = (number * 5 + colleague * 3) % 60;
            let ip = format!("10.2.{colleague}.1");
            let read = Request::get(at, &ip, &format!("/api/invoices/{id}"), 200);
            read.with(Token, &format!("of colleague {colleague}"), Verified)
        }));
    }
    let visits = [
        "/api/me",
        "/api/news",
        "/api/tasks",
        "/api/team",
        "/api/reports",
    ];
    for (place, page) in visits.into_iter().enumerate() {
        for ip in ["10.2.0.1", "10.2.1.1", "10.2.9.1"] {
            let read = Request::get(100.0 + place as f64, ip, page, 200);
            let name = if ip == "10.2.9.1" { "insider" } else { ip };
            requests.push(read.with(Token, name, Verified));
        }
    }
    requests.extend((0..80_u32).map(|number| {
        let at = 620.0 + f64::from(number) * 4.0;
        let target = format!("/api/invoices/{}", order(number));
        Request::get(at, "10.2.9.1", &target, 200).with(Token, "insider", Verified)
    }));
    for (number, request) in (1_usize..).zip(in_order(requests)) {
        story.play(&request);
        if story.lists(&identifier(Token, "insider")) {
            assert!(!story.lists_address("10.2.9.1"));
            return Some(number - 60 - 16 - 15);
        }
    }
    None
}

#[test]
fn an_insider_who_walks_over_other_peoples_objects_is_found_by_the_token() {
    let sequential = insider(|number| number);
    assert!(
        sequential.is_some_and(|until| until <= 30),
        "{sequential:?}"
    );
    let in_no_order = insider(|number| number * 37 % 80);
    assert!(
        in_no_order.is_some_and(|until| until <= 75),
        "{in_no_order:?}"
    );
}

#[test]
fn addresses_of_one_ipv6_network_are_one_reader() {
    let mut story = story();
    let walk = (0..100_u32).map(|id| {
        let ip = format!("2001:db8:7:7:{:x}::1", id % 10);
        let target = format!("/api/invoices/{}", id / 2);
        Request::get(f64::from(id), &ip, &target, 200)
    });
    story.play_all(walk);
    assert!(story.lists_address("2001:db8:7:7::/64"));
}

#[test]
fn a_catalogue_that_many_read_is_no_walk_for_crawlers_also_when_several_come_at_once() {
    for cookies in [false, true] {
        let mut story = story();
        let mut requests = Vec::new();
        let popular = |number: u32| number * number % 97 * (number % 7) / 6;
        for reader in 0..20_u32 {
            requests.extend((0..12_u32).map(|number| {
                let at = f64::from(reader) * 13.0 + f64::from(number) * 40.0;
                let target = format!("/api/products/{}", popular(reader * 5 + number * 3));
                let read = Request::get(at, &format!("10.3.{reader}.1"), &target, 200);
                if cookies {
                    read.with(Cookie, &format!("of {reader}"), Claimed)
                } else {
                    read
                }
            }));
        }
        for crawler in 0..3_u32 {
            requests.extend((0..200_u32).map(|id| {
                let at = 900.0 + f64::from(id) + f64::from(crawler) * 5.0;
                let ip = format!("198.51.{crawler}.7");
                Request::get(at, &ip, &format!("/api/products/{id}"), 200)
            }));
        }
        story.play_all(in_order(requests));
        assert_eq!(story.attacks(), [], "cookies: {cookies}");
    }
}

#[test]
fn an_office_a_visitor_and_a_link_checker_are_enough_for_a_small_shop() {
    let mut story = story();
    let pages = ["/", "/about", "/contact", "/blog"].repeat(2);
    let mut requests = Vec::new();
    for (place, page) in pages.into_iter().enumerate() {
        for ip in ["10.4.0.1", "10.4.1.1", "10.4.2.1"] {
            requests.push(Request::get(place as f64, ip, page, 200));
        }
    }
    // Six people behind one address, one visitor, and a link checker in an order of its own.
    for (ip, seconds, count, factor) in [
        ("10.4.0.1", 2.0, 400_u32, 17),
        ("10.4.1.1", 25.0, 20, 23),
        ("10.4.2.1", 1.0, 240, 37),
    ] {
        requests.extend((0..count).map(|number| {
            let at = 10.0 + f64::from(number) * seconds;
            let id = number * factor % 79;
            Request::get(at, ip, &format!("/products/{id}"), 200)
        }));
    }
    story.play_all(in_order(requests));
    assert_eq!(story.attacks(), []);
}

#[test]
fn what_is_for_everybody_still_is_after_a_restart() {
    let mut story = story();
    for reader in 0..8_u32 {
        story.play_all((0..12_u32).map(|id| {
            let ip = format!("10.5.{reader}.1");
            Request::get(
                f64::from(id * 8 + reader),
                &ip,
                &format!("/api/products/{id}"),
                200,
            )
        }));
    }
    let text = story.engine.snapshot().into_text();
    let now = ase_core::time::UnixMillis(crate::support::START + 200_000);
    let (engine, restored) = ase_engine::Engine::restore(Settings::default(), 42, &text, now);
    assert_eq!(restored.left_out, 0, "{text}");
    story.engine = engine;
    story.play_all((0..200_u32).map(|id| {
        Request::get(
            200.0 + f64::from(id),
            "198.51.100.7",
            &format!("/api/products/{id}"),
            200,
        )
    }));
    assert_eq!(story.attacks(), []);
}

#[test]
fn a_shop_whose_pages_load_their_products_one_by_one_is_left_alone() {
    let mut story = story();
    for visitor in 0..40_u32 {
        let (ip, name) = (format!("10.6.{visitor}.1"), format!("of {visitor}"));
        // Every third turns the page twice, once a few have been there.
        let pages = if visitor % 3 == 0 && visitor > 3 {
            3
        } else {
            1
        };
        story.play_all((0..pages * 20_u32).map(|id| {
            let at = f64::from(visitor * 45 + id / 20 * 15) + f64::from(id % 20) * 0.05;
            Request::get(at, &ip, &format!("/api/products/{id}"), 200).with(Cookie, &name, Claimed)
        }));
    }
    assert_eq!(story.attacks(), []);
}
