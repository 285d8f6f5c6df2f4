//! What outlives an engine: one that was restored from a snapshot judges as the one that made it, and no text breaks one.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, its helpers too"
)]

use std::sync::OnceLock;
use std::time::Duration;

use crate::support::{Request, START, Story, identifier, shop};
use ase_core::credential::CredentialKind;
use ase_core::identity::Provenance;
use ase_core::time::UnixMillis;
use ase_engine::{
    Attack, Basis, Detection, Engine, Lesson, Limits, Listing, Provenness, Settings, Training,
};
use proptest::prelude::*;

const HOUR: f64 = 3600.0;

fn read(story: &mut Story, at: f64, ip: &str, pages: std::ops::Range<u32>) {
    for (number, page) in (0..).zip(pages) {
        let target = format!("/api/pages/page-{page}-of-the-guide");
        let at = at + f64::from(number);
        story.play(&Request::get(at, ip, &target, 200));
    }
}

fn probe(story: &mut Story, at: f64, ip: &str, words: u32) {
    for number in 0..words {
        let target = format!("/api/word-{number}x");
        story.play(&Request::get(at + f64::from(number), ip, &target, 404));
    }
}

fn log_in(story: &mut Story, at: f64, ip: &str, answers: &[u16]) {
    for (number, status) in (0..).zip(answers) {
        let at = at + f64::from(number) * 2.0;
        story.play(&Request::new(at, ip, "POST", "/api/login", *status));
    }
}

/// Hours in which forty clients shop and read, twice an hour.
fn live(story: &mut Story, half_hours: std::ops::Range<u32>) {
    for half_hour in half_hours {
        for client in 0..40_u32 {
            let at = f64::from(half_hour) * HOUR / 2.0 + f64::from(client) * 20.0;
            let ip = format!("10.0.{client}.1");
            shop(story, at, &ip, (16, 1));
            let page = half_hour + client * 3;
            read(story, at + 100.0, &ip, page..page + 4);
        }
    }
}

/// What counts of a detection.
fn verdict(detection: &Detection) -> String {
    let variables: Vec<_> = detection
        .variables
        .iter()
        .map(|measured| (measured.value, measured.tn, measured.tx, measured.basis))
        .collect();
    let (attack, whom, at) = (detection.attack, detection.identifier, detection.at.0);
    let (id, listing) = (detection.id, &detection.listing);
    format!("{id:?} {attack} {whom} {at} {variables:?} {listing:?}")
}

#[test]
fn a_restored_engine_judges_what_comes_next_as_the_one_that_made_the_snapshot() {
    let mut story = Story::new();
    live(&mut story, 0..60);
    let at = 30.0 * HOUR;
    // Login answers mean something, operators have pages that strangers lack, somebody offends, and one does so by right.
    log_in(&mut story, at, "10.0.1.1", &[401, 200]);
    for operator in ["10.0.1.1", "10.0.2.1"] {
        story.play(&Request::get(at + 10.0, operator, "/phpmyadmin/", 200));
    }
    probe(&mut story, at + 20.0, "203.0.113.1", 12);
    probe(&mut story, at + 40.0, "203.0.113.2", 12);
    let wrong = story.output.detections.last().unwrap().id;
    story.engine.undo(wrong, Lesson::Client).unwrap();
    // Windows that are over have been learned from; those that are not are not in a snapshot.
    let at = at + 1800.0;
    story.play(&Request::get(at, "10.0.1.1", "/api/list", 200));
    let mut restarted = story.restarted(Settings::default(), at);
    assert_eq!(restarted.engine.baselines(), story.engine.baselines());
    assert_eq!(story.engine.baselines()[0].progress, 1.0);

    let verdicts = [&mut story, &mut restarted].map(|story| {
        story.output.clear();
        let at = at + 60.0;
        read(story, at, "203.0.113.10", 1000..1400);
        shop(story, at + 500.0, "203.0.113.11", (16, 5));
        probe(story, at + 600.0, "203.0.113.12", 12);
        // The one who has offended is still listed, the other one may.
        probe(story, at + 620.0, "203.0.113.1", 12);
        probe(story, at + 640.0, "203.0.113.2", 12);
        log_in(story, at + 660.0, "203.0.113.13", &[401; 30]);
        for number in 0..30 {
            let at = at + 700.0 + f64::from(number);
            story.play(&Request::get(at, "203.0.113.14", "/phpmyadmin/", 403));
        }
        story
            .output
            .detections
            .iter()
            .map(verdict)
            .collect::<Vec<_>>()
    });
    assert_eq!(verdicts[0], verdicts[1]);
    let attacks = [
        Attack::Scraping,
        Attack::ExtremeActivity,
        Attack::Sequence,
        Attack::Probing,
        Attack::Login,
    ];
    assert_eq!(restarted.attacks(), attacks);
    let scraped = restarted.output.detections[0].variables[0];
    assert_eq!(scraped.basis, Basis::Learned);
}

#[test]
fn who_has_offended_before_is_listed_longer_after_a_restart_too() {
    let mut story = Story::new();
    probe(&mut story, 0.0, "203.0.113.1", 12);
    let at = 3.0 * HOUR;
    let mut restarted = story.restarted(Settings::default(), at);
    probe(&mut restarted, at, "203.0.113.1", 12);
    let ttl = |story: &Story| match story.output.detections.last().unwrap().listing {
        Listing::Proposed { ttl } => ttl,
        Listing::Simulated(_) | Listing::OfMembers => Duration::ZERO,
    };
    assert_eq!(ttl(&restarted), ttl(&story) * 4);
}

#[test]
fn a_credential_that_has_proven_itself_shields_its_address_after_a_restart() {
    let mut story = Story::new();
    let key = CredentialKind::ApiKey;
    let carrying = |request: Request| request.with(key, "k", Provenance::Claimed);
    for number in 0..40 {
        let ip = ["192.0.2.1", "198.51.100.1"][number % 2];
        let at = number as f64 * 30.0;
        story.play(&carrying(Request::get(at, ip, "/api/list", 200)));
    }
    let at = 1300.0;
    let proven = |story: &Story| story.engine.client(&identifier(key, "k")).unwrap().proven;
    assert_eq!(proven(&story), Provenness::Proven);
    let mut restarted = story.restarted(Settings::default(), at);
    for number in 0..12 {
        let target = format!("/api/word-{number}x");
        let at = at + f64::from(number);
        restarted.play(&carrying(Request::get(at, "192.0.2.1", &target, 404)));
    }
    assert!(restarted.lists(&identifier(key, "k")));
    assert!(!restarted.lists_address("192.0.2.1"));
}

#[test]
fn a_detection_of_before_the_restart_can_be_taken_back_and_teaches() {
    let mut story = Story::new();
    probe(&mut story, 0.0, "203.0.113.1", 12);
    let detection = story.output.detections[0].clone();
    let mut restarted = story.restarted(Settings::default(), 60.0);
    let (whom, attack) = (detection.identifier, detection.attack);
    let id = restarted.engine.last_detection(&whom, attack);
    assert_eq!(id, Some(detection.id));
    assert_eq!(restarted.engine.last_detection(&whom, Attack::Login), None);
    assert!(
        restarted
            .engine
            .undo(detection.id, Lesson::Threshold)
            .is_some()
    );
    probe(&mut restarted, 100.0, "203.0.113.2", 7);
    assert_eq!(restarted.attacks(), []);
    probe(&mut restarted, 200.0, "203.0.113.3", 20);
    assert_eq!(restarted.attacks(), [Attack::Probing]);
}

/// A trained engine that has little room.
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
        training: Training {
            period: Duration::from_secs(3600),
            windows: 20,
            clients: 5,
            sessions: 5,
            ..Training::default()
        },
        ..Settings::default()
    }
}

/// Its snapshot, with facts of every kind.
fn real() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| {
        let mut story = Story::with(small());
        live(&mut story, 0..8);
        log_in(&mut story, 4.0 * HOUR, "10.0.1.1", &[401, 200]);
        probe(&mut story, 4.0 * HOUR, "203.0.113.1", 12);
        probe(&mut story, 4.0 * HOUR, "203.0.113.2", 12);
        let key = CredentialKind::ApiKey;
        for number in 0..9 {
            let product = Request::get(
                4.0 * HOUR,
                "10.0.1.1",
                &format!("/api/products/{number}"),
                200,
            );
            story.play(&product.with(key, "k", Provenance::Verified));
        }
        let wrong = story.output.detections[0].id;
        story.engine.undo(wrong, Lesson::Threshold).unwrap();
        story.engine.snapshot().into_text()
    })
}

#[test]
fn a_snapshot_has_facts_of_every_kind() {
    for kind in [
        "api", "route", "login", "objects", "reads", "offender", "proven", "lesson", "made",
        "followed", "training", "usual", "sequence",
    ] {
        let has = real()
            .lines()
            .any(|line| line.split(' ').next() == Some(kind));
        assert!(has, "{kind}");
    }
}

#[test]
fn a_fact_beyond_its_bounds_is_left_out() {
    let mut head = real().lines().next().unwrap().to_owned();
    head.push_str("\ntraining 0 60 9 9 1.0.0.0 1 1 0.0.0.0 0.0\n");
    let training =
        |api: u32, seconds: &str| format!("training {api} {seconds} 9 9 1.0.0.0 1 1 0.0.0.0 0.0");
    for fact in [
        "usual 0 calls 61000 -",
        "usual 0 calls 1 -",
        "usual 0 calls NaN -",
        "usual 0 calls - 128:1",
        "usual 0 calls - 3:-1",
        "usual 0 calls - 3:inf",
        "usual 0 naps - 3:1",
        "usual 1 calls 400 -",
        "sequence 1 0 1 1",
        "sequence 1 1 65536 1",
        "made 18446744073709551615 203.0.113.1 probing 1 1 0,0,0,0,0,0",
        "made 9223372036854775808 203.0.113.1 probing 1 1 0,0,0,0,0,0",
        "made 1 203.0.113.1 probing 1 1 0,0,0,0,0",
        "made 1 203.0.113.1 probing 3 1 0,0,0,0,0,0",
        "lesson threshold 1 probing A -1",
        "lesson threshold 3 probing A 1",
        "reads 3 1 1",
        "reads 1 1 20000",
        "offender 203.0.113.1 256 1 1 -",
        "offender 203.0.113.1 1 1 1 nonsense",
        "proven nobody",
        "followed 3/1 /too/many/apis",
        "followed 1 /no/route",
        "followed 1/0 /no/hash",
        "followed 1/5 no-path",
        "followed 1/5 /b\u{e4}h",
        "followed 1/5 /in two",
        &format!("followed 1/5 /{}", "x".repeat(128)),
        "training 1/7 60 9 9 1.0.0.0 1 1 0.0.0.0 0.0",
        "usual 1/7 calls 400 -",
        "usual 0/7 calls 400 -",
        &training(3, "60"),
        &training(1, "-1"),
        &training(1, "inf"),
    ] {
        let text = format!("{head}{fact}");
        let (_, restored) = Engine::restore(small(), 42, &text, UnixMillis(START));
        assert_eq!((restored.taken, restored.left_out), (1, 1), "{fact}");
    }
}

#[test]
fn nobody_is_held_to_be_listed_for_longer_than_a_listing_lasts() {
    let head = real().lines().next().unwrap();
    let never = u64::MAX;
    let text = format!("{head}\noffender 203.0.113.1 9 {never} {never} probing");
    let now = UnixMillis(START);
    let (engine, _) = Engine::restore(small(), 42, &text, now);
    let client = engine
        .client(&crate::support::address("203.0.113.1"))
        .unwrap();
    let longest = Settings::default().ttl.longest;
    assert_eq!(client.listed_until, Some(now.after(longest)));
}

/// Words that a line does not expect.
const NASTY: [&str; 14] = [
    "",
    "-",
    "-1",
    "0",
    "NaN",
    "inf",
    "1e39",
    "18446744073709551615",
    "ffffffffffffffff",
    "65535",
    "127:1e10,128:1",
    "0.0.0",
    "calls",
    "\u{1f4a5}",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_bent_snapshot_is_restored_as_far_as_it_is_one_and_the_engine_goes_on(
        bends in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..NASTY.len(), 0..4_u8), 1..6)
    ) {
        let mut lines: Vec<String> = real().lines().map(str::to_owned).collect();
        for (line, word, nasty, how) in bends {
            // Kinds of which there are few are bent as often as those of which there are many.
            let kinds: std::collections::BTreeSet<&str> = real().lines().filter_map(|line| line.split(' ').next()).collect();
            let kind = kinds.iter().nth(line.index(kinds.len())).copied().unwrap_or_default();
            let of_kind: Vec<usize> = (0..lines.len()).filter(|place| lines[*place].split(' ').next() == Some(kind)).collect();
            let Some(place) = of_kind.get(word.index(of_kind.len().max(1))).copied() else {
                continue;
            };
            let mut words: Vec<&str> = lines[place].split(' ').collect();
            let which = line.index(words.len());
            match how {
                0 | 1 => words[which] = NASTY[nasty],
                2 => drop(words.remove(which)),
                _ => words.insert(which, NASTY[nasty]),
            }
            let bent = words.join(" ");
            lines.push(bent.clone());
            lines[place] = bent;
        }
        let text = lines.join("\n");
        let at = 5.0 * HOUR;
        let now = UnixMillis(START + (at * 1000.0) as u64);
        let (engine, restored) = Engine::restore(small(), 42, &text, now);
        // Not `lines`: an empty one at the end is none.
        prop_assert_eq!(restored.taken + restored.left_out, text.lines().count() as u64 - 1);
        let mut story = Story { engine, ..Story::with(small()) };
        live(&mut story, 10..11);
        probe(&mut story, 6.0 * HOUR, "203.0.113.9", 12);
        let detections = story.output.detections.clone();
        for detection in detections {
            story.engine.undo(detection.id, Lesson::Threshold);
        }
        prop_assert!(story.engine.watched() <= 100);
        for baseline in story.engine.baselines() {
            prop_assert!((0.0..=1.0).contains(&baseline.progress));
            let of_routes = baseline.routes.into_iter().flat_map(|route| route.thresholds);
            for learned in baseline.thresholds.into_iter().chain(of_routes) {
                prop_assert!(learned.tn > 0.0 && learned.tn <= learned.tx, "{learned:?}");
            }
        }
        let text = story.engine.snapshot().into_text();
        prop_assert!(text.len() < 4 * real().len());
    }
}
