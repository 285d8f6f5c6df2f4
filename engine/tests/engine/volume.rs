//! Who walks over ids, takes, writes, deletes or hammers too much is listed, and who browses or runs a busy page is not.

use crate::support::{Request, Story, identifier};
use ase_core::credential::CredentialKind::{ApiKey, Token};
use ase_core::identity::Provenance::Verified;
use ase_engine::Attack;

const ATTACKER: &str = "203.0.113.9";
const USER: &str = "192.0.2.10";

/// The numbers 0 to `count` in an order as parallel requests have it.
fn shuffled(count: u64) -> impl Iterator<Item = u64> {
    (0..count).map(move |number| number ^ 3)
}

#[test]
fn walking_over_ids_is_stopped_fast_or_slow_in_any_order_whether_they_exist_or_not() {
    for seconds in [0.01, 1.0, 5.0, 20.0] {
        for (template, status) in [
            ("/api/users/{}", 200),
            ("/api/users/{}", 404),
            ("/api/user?id={}", 200),
            ("/api/users/{}/orders", 403),
        ] {
            let mut story = Story::new();
            let walk = shuffled(100).map(|id| {
                let target = template.replace("{}", &(id + 1000).to_string());
                Request::get(id as f64 * seconds, ATTACKER, &target, status)
            });
            let until = story.requests_until_listed(walk);
            assert!(
                until.is_some_and(|until| until <= 30),
                "{template} {status} {seconds} s: {until:?}"
            );
        }
    }
}

#[test]
fn guessing_ids_that_cannot_be_counted_through_is_told_by_the_misses() {
    let mut story = Story::new();
    let guesses = (0..100_u64).map(|number| {
        let target = format!(
            "/api/documents/{:032x}",
            u128::from(number) * 0x1234_5678_9abc_def1
        );
        Request::get(
            number as f64,
            ATTACKER,
            &target,
            if number % 4 == 0 { 200 } else { 404 },
        )
    });
    assert!(
        story
            .requests_until_listed(guesses)
            .is_some_and(|until| until <= 30)
    );
}

#[test]
fn a_page_that_loads_the_same_twenty_products_again_and_again_is_left_alone() {
    let mut story = Story::new();
    for visit in 0..50 {
        let at = f64::from(visit) * 20.0;
        story.play_all(
            (1..=20).map(|id| Request::get(at, USER, &format!("/api/products/{id}"), 200)),
        );
        story.play_all(
            (1..=5)
                .map(|id| Request::get(at + 1.0, USER, &format!("/api/orders/{}", id * 977), 200)),
        );
    }
    assert_eq!(story.attacks(), []);
}

#[test]
fn somebody_who_opens_many_documents_here_and_there_is_left_alone() {
    let mut story = Story::new();
    let reads = (1..=50_u64).map(|number| {
        let id = number * 48_271 % 100_003;
        Request::get(
            number as f64 * 40.0,
            USER,
            &format!("/api/documents/{id}"),
            200,
        )
    });
    story.play_all(reads);
    assert_eq!(story.attacks(), []);
}

#[test]
fn pages_that_everybody_reads_may_be_read_one_after_the_other() {
    let mut story = Story::new();
    for (reader, ip) in ["192.0.2.1", "192.0.2.2", "198.51.100.3", "198.51.100.4"]
        .into_iter()
        .enumerate()
    {
        for id in 0..12 {
            let at = f64::from(id) * 60.0 + reader as f64;
            story.play(&Request::get(at, ip, &format!("/api/products/{id}"), 200));
        }
    }
    // A link checker, a crawler.
    story.play_all((0..400).map(|id| {
        Request::get(
            1000.0 + f64::from(id),
            USER,
            &format!("/api/products/{id}"),
            200,
        )
    }));
    assert_eq!(story.attacks(), []);
}

#[test]
fn several_who_walk_over_the_same_ids_do_not_make_them_public() {
    let mut story = Story::new();
    for owner in 0..40 {
        let token = format!("token-{owner}");
        let read = Request::get(
            f64::from(owner),
            &format!("10.1.{owner}.1"),
            &format!("/api/invoices/{owner}"),
            200,
        );
        story.play(&read.with(Token, &token, Verified));
    }
    for walker in 0..8 {
        let ip = format!("203.0.113.{walker}");
        let at = 100.0 + f64::from(walker) * 100.0;
        let walk = (0..60)
            .map(|id| Request::get(at + f64::from(id), &ip, &format!("/api/invoices/{id}"), 200));
        assert!(
            story
                .requests_until_listed(walk)
                .is_some_and(|until| until <= 30),
            "{walker}"
        );
    }
}

#[test]
fn who_reads_back_what_it_has_made_is_left_alone() {
    let mut story = Story::new();
    for id in 0..60 {
        let at = f64::from(id) * 10.0;
        story.play(&Request::new(at, USER, "POST", "/api/files", 201));
        story.play(&Request::get(
            at + 1.0,
            USER,
            &format!("/api/files/{id}"),
            200,
        ));
        story.play(&Request::new(
            at + 2.0,
            USER,
            "DELETE",
            &format!("/api/files/{id}"),
            204,
        ));
    }
    assert_eq!(story.attacks(), []);
}

#[test]
fn who_makes_many_files_before_reading_them_back_is_left_alone() {
    let mut story = Story::new();
    for round in 0..25 {
        let at = f64::from(round) * 40.0;
        let file = |which: u32| format!("/api/files/{}", 100 + round * 5 + which);
        for which in 0..5 {
            let at = at + f64::from(which);
            story.play(&Request::new(at, USER, "POST", "/api/files", 201));
        }
        for which in 0..5 {
            let at = at + 5.0 + f64::from(which);
            story.play(&Request::get(at, USER, &file(which), 200));
        }
        for which in 0..3 {
            let at = at + 10.0 + f64::from(which);
            story.play(&Request::new(at, USER, "DELETE", &file(which), 204));
        }
    }
    assert_eq!(story.attacks(), []);
}

#[test]
fn a_page_that_reports_about_itself_every_second_is_left_alone() {
    let mut story = Story::new();
    for second in 0..1800 {
        let at = f64::from(second);
        story.play(&Request::new(at, USER, "POST", "/api/events", 204));
        story.play(&Request::get(at + 0.5, USER, "/api/feed", 200));
    }
    assert_eq!(story.attacks(), []);
}

#[test]
fn scraping_deleting_writing_and_hammering_are_told_apart() {
    type Case = (Attack, fn(u32) -> Request);
    let cases: [Case; 4] = [
        (Attack::Scraping, |number| {
            Request::get(
                f64::from(number) * 0.2,
                ATTACKER,
                &format!("/api/pages/page-{number}-of-many"),
                200,
            )
        }),
        (Attack::MassDeletion, |number| {
            Request::new(f64::from(number), ATTACKER, "DELETE", "/api/cart/line", 204)
        }),
        (Attack::MassWrites, |number| {
            Request::new(
                f64::from(number) * 0.5,
                ATTACKER,
                "POST",
                "/api/comments",
                201,
            )
        }),
        (Attack::ExtremeActivity, |number| {
            Request::get(f64::from(number) * 0.001, ATTACKER, "/api/status", 200)
        }),
    ];
    for (attack, request) in cases {
        let mut story = Story::new();
        assert!(
            story
                .requests_until_listed((0..8000).map(request))
                .is_some(),
            "{attack}"
        );
        assert_eq!(story.attacks(), [attack]);
    }
}

#[test]
fn taking_gigabytes_of_many_objects_is_exfiltration() {
    let mut story = Story::new();
    let reads = (0..400).map(|number| {
        let mut request = Request::get(
            f64::from(number),
            ATTACKER,
            &format!("/api/export/part-{number}-x"),
            200,
        );
        request.response_bytes = 20_000_000;
        request
    });
    assert!(story.requests_until_listed(reads).is_some());
    assert_eq!(story.attacks(), [Attack::Exfiltration]);
}

#[test]
fn a_token_in_the_hands_of_two_is_listed_and_a_traveller_is_not() {
    let mut story = Story::new();
    let visit = |number: u32, ip: &str, agent: &str| {
        let request = Request::get(f64::from(number) * 10.0, ip, "/api/orders", 200).agent(agent);
        request.with(Token, "mine", Verified)
    };
    for number in 0..60 {
        // A train: the network changes all the time, the browser does not.
        story.play(&visit(
            number,
            if number % 2 == 0 {
                USER
            } else {
                "198.51.100.7"
            },
            "Mozilla/5.0",
        ));
    }
    assert_eq!(story.attacks(), []);
    for number in 60..80 {
        story.play(&visit(number, USER, "Mozilla/5.0"));
        story.play(&visit(number, ATTACKER, "python-requests/2.31"));
    }
    assert_eq!(story.attacks(), [Attack::StolenCredential]);
    assert!(story.lists(&identifier(Token, "mine")));
    assert!(!story.lists_address(USER));
}

#[test]
fn a_key_of_a_fleet_of_servers_is_no_stolen_key() {
    let mut story = Story::new();
    for number in 0..600_u32 {
        let (ip, agent) = (
            format!("10.{}.0.1", number % 12),
            format!("service/{}", number % 3),
        );
        let request = Request::get(f64::from(number), &ip, "/api/orders", 200).agent(&agent);
        story.play(&request.with(ApiKey, "fleet", Verified));
    }
    assert_eq!(story.attacks(), []);
}

#[test]
fn a_walk_can_be_looked_at_in_numbers_and_samples_also_after_it_was_listed() {
    let mut story = Story::new();
    story.play_all((0..40).map(|id| {
        Request::get(
            f64::from(id),
            USER,
            &format!("/api/orders/{}", 100 + id),
            200,
        )
    }));
    let client = story.engine.client(&crate::support::address(USER)).unwrap();
    let fact = |name: &str| {
        let found = client.facts.iter().find(|fact| fact.name == name);
        found.map(|fact| fact.value)
    };
    // An estimate: few ids share a bit of the record.
    assert!(
        fact("ids").is_some_and(|ids| (34.0..=46.0).contains(&ids)),
        "{:?}",
        client.facts
    );
    assert_eq!(fact("ids_failed"), None, "what is nothing is left out");
    let samples: Vec<&str> = client
        .samples
        .iter()
        .map(|sample| &*sample.target)
        .collect();
    let listed = usize::try_from(client.requests - client.passed_since_listing).unwrap();
    assert_eq!(samples[0], "/api/orders/111");
    let crossing = format!("/api/orders/{}", 99 + listed);
    let detection = &story.output.detections[0];
    let shown = detection.samples.iter();
    let shown: Vec<&str> = shown.map(|sample| &*sample.target).collect();
    assert_eq!(shown.last(), Some(&&*crossing));
    assert!(shown.len() >= 3, "{shown:?}");
    let next = format!("/api/orders/{}", 100 + listed);
    assert!(samples.contains(&&*next), "{samples:?}");
}
