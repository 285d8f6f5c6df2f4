//! Whatever comes in, memory is bounded, nothing panics, and what is degraded is counted.

use crate::support::{Request, START, Story, address};
use ase_core::credential::CredentialKind;
use ase_core::identity::Provenance;
use ase_core::time::UnixMillis;
use ase_engine::{Attack, Engine, Fate, Lesson, Limits, Settings};
use proptest::prelude::*;

fn small() -> Settings {
    Settings {
        limits: Limits {
            clients: 100,
            suspects: 10,
            routes: 50,
            apis: 2,
            lessons: 4,
            windows: 64,
        },
        ..Settings::default()
    }
}

fn any_request() -> impl Strategy<Value = Request> {
    let target = prop_oneof![
        "/[a-z]{0,3}/[0-9]{1,3}",
        "/[a-z./%]{0,12}(\\?[a-z=&%'0-9]{0,12})?",
        Just("/api/login".to_owned()),
        ".{0,30}",
    ];
    let method = prop_oneof![
        Just("GET".to_owned()),
        Just("POST".to_owned()),
        Just("DELETE".to_owned()),
        ".{0,6}"
    ];
    let status = prop_oneof![
        Just(Some(200)),
        Just(Some(401)),
        Just(Some(404)),
        Just(None),
        any::<u16>().prop_map(Some)
    ];
    let times = prop_oneof![START..START + 1_000_000, any::<u64>()];
    (
        times,
        0..300_u32,
        method,
        target,
        status,
        0..5_usize,
        any::<u64>(),
    )
        .prop_map(
            |(at_ms, client, method, target, status, credentials, bytes)| {
                let ip = format!("10.0.{}.{}", client / 250, client % 250);
                let mut request = Request::get(0.0, &ip, &target, 200);
                for number in 0..credentials {
                    let Some(kind) = CredentialKind::ALL.into_iter().cycle().nth(number) else {
                        continue;
                    };
                    let provenance = if bytes % 2 == 0 {
                        Provenance::Claimed
                    } else {
                        Provenance::Verified
                    };
                    request =
                        request.with(kind, &format!("{}", client % 7 + number as u32), provenance);
                }
                (
                    request.at_ms,
                    request.method,
                    request.status,
                    request.response_bytes,
                ) = (at_ms, method, status, bytes);
                request.fate = if bytes % 11 == 0 {
                    Fate::Blocked
                } else {
                    Fate::Passed
                };
                request
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_traffic_makes_it_panic_or_outgrow_its_limits(requests in proptest::collection::vec(any_request(), 1..300)) {
        let mut story = Story::with(small());
        story.play_all(requests);
        prop_assert!(story.engine.watched() <= 100);
        for detection in &story.output.detections {
            prop_assert!(detection.samples.len() <= 8);
            prop_assert!(detection.first <= detection.last);
            story.engine.undo(detection.id, Lesson::Threshold);
        }
        let text = story.engine.snapshot().into_text();
        let (restored, _) = Engine::restore(small(), 42, &text, UnixMillis(START));
        prop_assert!(restored.watched() <= 100);
    }

    #[test]
    fn any_text_is_restored_or_left_out(text in "(ase-engine 2 [0-9a-f]{16}\n)?((api|route|login|objects|reads|offender|proven|lesson|made|training|usual|sequence)( [0-9a-z./=:,-]{1,12}){0,6}\n){0,20}.{0,40}") {
        let (engine, restored) = Engine::restore(small(), 42, &text, UnixMillis(START));
        prop_assert!(engine.watched() <= 100);
        prop_assert!(restored.taken + restored.left_out <= text.lines().count() as u64);
    }

    #[test]
    fn seconds_of_disorder_and_duplicates_change_no_verdict(order in Just((0..60_usize).collect::<Vec<_>>()).prop_shuffle()) {
        // Attackers and users, each record twice, reordered within five seconds.
        let mut records = Vec::new();
        for (place, number) in order.into_iter().enumerate() {
            let at = place as f64 * 0.08;
            let mut attack = Request::get(at, "203.0.113.9", &format!("/api/word-{number}x"), 404);
            let mut read = Request::get(at, "192.0.2.10", &format!("/api/products/{}", number % 5), 200);
            attack.record = Some(number as u64 + 1);
            read.record = Some(number as u64 + 1000);
            records.extend([attack.clone(), read.clone(), attack, read]);
        }
        let mut story = Story::new();
        story.play_all(records);
        prop_assert_eq!(story.attacks(), [Attack::Probing]);
        prop_assert!(story.lists_address("203.0.113.9"));
        prop_assert_eq!(story.engine.counters().duplicates, 120);
    }
}

#[test]
fn a_flood_of_new_clients_makes_nobody_forget_an_attacker_at_work() {
    let mut settings = small();
    settings.limits.clients = 1000;
    let mut story = Story::with(settings);
    let attacker = "203.0.113.9";
    for number in 0..12_u32 {
        let at = f64::from(number);
        story.play(&Request::get(
            at,
            attacker,
            &format!("/api/word-{number}x"),
            404,
        ));
        for flood in 0..2000_u32 {
            let ip = format!("10.{}.{}.{}", number, flood / 200, flood % 200);
            story.play(&Request::get(at, &ip, "/", 200));
        }
    }
    assert!(story.lists_address(attacker));
    let counters = story.engine.counters();
    assert_eq!(story.engine.watched(), 1000);
    assert!(counters.clients_evicted > 20_000);
    assert_eq!(counters.suspects_evicted, 0);
}

#[test]
fn what_was_learned_survives_a_restart() {
    let mut story = Story::new();
    for (number, operator) in ["192.0.2.1", "192.0.2.2"].into_iter().enumerate() {
        story.play(&Request::get(
            number as f64,
            operator,
            "/phpmyadmin/index.php",
            200,
        ));
    }
    story.play_all((0..10).map(|number| {
        Request::get(
            f64::from(number) + 10.0,
            "203.0.113.9",
            &format!("/api/word-{number}x"),
            404,
        )
    }));
    let wrong = story.output.detections[0].id;
    story.play_all((0..10).map(|number| {
        Request::get(
            f64::from(number) + 30.0,
            "203.0.113.10",
            &format!("/api/word-{number}x"),
            404,
        )
    }));
    story.engine.undo(wrong, Lesson::Client).unwrap();
    let text = story.engine.snapshot().into_text();
    assert!(
        text.contains("lesson client 203.0.113.9 probing\n"),
        "{text}"
    );

    let now = UnixMillis(START + 60_000);
    let (engine, restored) = Engine::restore(Settings::default(), 42, &text, now);
    assert_eq!(restored.left_out, 0, "{text}");
    assert_eq!(engine.snapshot().into_text(), text);
    let offender = engine.client(&address("203.0.113.10")).unwrap();
    assert_eq!(offender.offences, 1);
    story.engine = engine;
    story.output.clear();
    let user = "198.51.100.3";
    story.play_all(
        (0..30).map(|number| {
            Request::get(f64::from(number) + 70.0, user, "/phpmyadmin/index.php", 403)
        }),
    );
    story.play_all((0..10).map(|number| {
        Request::get(
            f64::from(number) + 110.0,
            "203.0.113.9",
            &format!("/api/other-{number}x"),
            404,
        )
    }));
    assert_eq!(story.attacks(), []);

    let (_, restored) = Engine::restore(Settings::default(), 43, &text, now);
    assert_eq!(
        restored.taken, 2,
        "offender and lesson about a client need no hash: {text}"
    );
}

#[test]
fn a_clock_that_jumps_a_year_ahead_and_back_stops_no_detection() {
    let mut story = Story::new();
    let year = 365.0 * 86_400.0;
    for (attacker, offset) in [
        ("203.0.113.1", 0.0),
        ("203.0.113.2", year),
        ("203.0.113.3", 100.0),
    ] {
        let probes = (0..12).map(|number| {
            Request::get(
                offset + f64::from(number),
                attacker,
                &format!("/api/word-{number}x"),
                404,
            )
        });
        assert!(story.requests_until_listed(probes).is_some(), "{attacker}");
    }
    assert_eq!(story.engine.counters().clock_set_back, 1);
}

#[test]
fn as_many_windows_are_measured_as_are_allowed_and_no_fewer_than_eight() {
    // From the third client on "/" is a route, of which a client has another window.
    for (allowed, displaced) in [(0, 14), (8, 14), (4096, 0)] {
        let mut settings = small();
        settings.limits.windows = allowed;
        let mut story = Story::with(settings);
        story.play_all(
            (0..12).map(|client| Request::get(0.0, &format!("192.0.2.{client}"), "/", 200)),
        );
        let counters = story.engine.counters();
        assert_eq!(counters.windows_displaced, displaced, "{allowed}");
    }
}
