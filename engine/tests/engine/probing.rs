//! Who looks for what is not there is listed, and who makes ordinary mistakes is not.

use crate::support::{Request, Story, address};
use ase_engine::{Attack, Lesson, Listing, Response, Settings, Threshold};

const SCANNER: &str = "203.0.113.9";
const USER: &str = "192.0.2.10";

fn words(count: usize, seconds_between: f64) -> impl Iterator<Item = Request> {
    (0..count).map(move |number| {
        let target = format!("/api/word-{number}x");
        Request::get(number as f64 * seconds_between, SCANNER, &target, 404)
    })
}

#[test]
fn a_wordlist_is_stopped_within_ten_requests_at_any_speed_up_to_a_minute_between_them() {
    for seconds in [0.01, 1.0, 5.0, 60.0] {
        let mut story = Story::new();
        let until = story.requests_until_listed(words(40, seconds));
        assert!(
            until.is_some_and(|until| until <= 12),
            "{seconds} s: {until:?}"
        );
    }
}

#[test]
fn a_detection_says_who_did_what_when_and_how_far_it_went() {
    let mut story = Story::new();
    story.play_all(words(10, 1.0));
    let detection = &story.output.detections[0];
    assert_eq!(detection.attack, Attack::Probing);
    assert_eq!(detection.catalogue_id, 20);
    assert_eq!(detection.identifier, address(SCANNER));
    assert_eq!(
        detection.api.as_ref().map(ToString::to_string).as_deref(),
        Some("demo")
    );
    assert_eq!(detection.variables[3].reached, Threshold::Normal);
    assert_eq!(detection.variables[3].value.round(), 7.0);
    assert_eq!(detection.first.0, crate::support::START);
    assert_eq!(
        u64::from(detection.requests - 1) * 1000,
        detection.last.0 - detection.first.0
    );
    assert_eq!(&*detection.samples[0].target, "/api/word-0x");
    assert!(matches!(detection.listing, Listing::Proposed { ttl } if ttl.as_secs() == 3600));
    assert!(
        story.output.proposals[0]
            .reason
            .starts_with("API probing: B 100.0 (Tn 50)"),
        "{}",
        story.output.proposals[0].reason
    );
}

#[test]
fn an_ordinary_client_that_polls_what_is_not_there_is_left_alone() {
    let mut story = Story::new();
    story.play_all(
        (0..2000).map(|number| Request::get(f64::from(number), USER, "/api/jobs/77/result", 404)),
    );
    assert_eq!(story.attacks(), []);
}

#[test]
fn a_page_with_many_missing_parts_lists_none_of_its_readers() {
    let mut story = Story::new();
    for visit in 0..20 {
        let at = f64::from(visit) * 30.0;
        story.play(&Request::get(at, USER, "/", 200));
        story.play_all(
            (0..25).map(|part| Request::get(at, USER, &format!("/assets/part-{part}.png"), 404)),
        );
    }
    assert_eq!(story.attacks(), []);
}

#[test]
fn a_clumsy_person_who_mistypes_now_and_then_is_left_alone() {
    let mut story = Story::new();
    for number in 0..60 {
        let at = f64::from(number) * 7.0;
        let (target, status) = match number % 5 {
            0 => (format!("/api/prodcuts-{number}"), 404),
            _ => (format!("/api/products/{}", number % 9), 200),
        };
        story.play(&Request::get(at, USER, &target, status));
    }
    assert_eq!(story.attacks(), []);
}

#[test]
fn two_secret_files_are_enough() {
    let mut story = Story::new();
    story.play(&Request::get(0.0, SCANNER, "/.env", 404));
    assert_eq!(story.attacks(), []);
    story.play(&Request::get(60.0, SCANNER, "/.git/config", 404));
    assert!(story.lists_address(SCANNER));
}

#[test]
fn pages_for_operators_count_for_nothing_where_operators_use_them() {
    let mut story = Story::new();
    for (number, operator) in ["192.0.2.1", "192.0.2.2"].into_iter().enumerate() {
        story.play(&Request::get(
            number as f64,
            operator,
            "/phpmyadmin/index.php",
            200,
        ));
    }
    story.play_all(
        (0..30).map(|number| Request::get(f64::from(number), USER, "/phpmyadmin/index.php", 403)),
    );
    assert_eq!(story.attacks(), []);
}

#[test]
fn an_undone_detection_is_not_made_again_when_the_lesson_says_so() {
    for (lesson, again) in [
        (Lesson::Once, true),
        (Lesson::Client, false),
        (Lesson::Threshold, false),
    ] {
        let mut story = Story::new();
        story.play_all(words(10, 1.0));
        let id = story.output.detections[0].id;
        let undone = story.engine.undo(id, lesson).unwrap();
        assert_eq!(undone.identifier, address(SCANNER));
        story.output.clear();
        story.play_all((0..9).map(|number| {
            Request::get(
                20.0 + f64::from(number),
                SCANNER,
                &format!("/api/other-{number}x"),
                404,
            )
        }));
        assert_eq!(!story.output.detections.is_empty(), again, "{lesson:?}");
    }
}

#[test]
fn a_simulated_detector_reports_and_proposes_nothing() {
    let mut settings = Settings::default();
    settings
        .responses
        .insert(Attack::Probing, Response::Simulate);
    let mut story = Story::with(settings);
    story.play_all(words(20, 1.0));
    assert_eq!(story.attacks(), [Attack::Probing]);
    assert!(matches!(
        story.output.detections[0].listing,
        Listing::Simulated(_)
    ));
    assert!(story.output.proposals.is_empty());
}

#[test]
fn who_starts_again_when_its_listing_is_over_is_listed_for_longer() {
    let mut story = Story::new();
    story.play_all(words(10, 1.0));
    story.play_all((0..20).map(|number| {
        Request::get(
            4000.0 + f64::from(number),
            SCANNER,
            &format!("/api/second-{number}x"),
            404,
        )
    }));
    let hours: Vec<u64> = story
        .output
        .proposals
        .iter()
        .map(|proposal| proposal.ttl.as_secs() / 3600)
        .collect();
    assert_eq!(hours, [1, 4]);
}
