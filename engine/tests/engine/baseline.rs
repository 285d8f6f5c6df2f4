//! Layer two: what is usual on an API is learned from its traffic, and who does far more is reported against that.

use crate::support::{Request, Story, enforced, limited, shop};
use ase_engine::{Attack, Basis, Lesson, Listing, Settings, Threshold};

const HOUR: f64 = 3600.0;
const SCRAPER: &str = "203.0.113.66";

/// Hours in which eighty clients read some pages each, twice an hour.
fn live(story: &mut Story, from_hour: u32, to_hour: u32) {
    for half_hour in from_hour * 2..to_hour * 2 {
        for client in 0..80_u32 {
            let at = f64::from(half_hour) * HOUR / 2.0 + f64::from(client) * 15.0;
            let ip = format!("10.0.{client}.1");
            for call in 0..4 + client % 5 {
                let page = (half_hour + client * 3 + call * 7) % 60;
                story.play(&page_of(at + f64::from(call) * 3.0, &ip, page));
            }
        }
    }
}

fn page_of(at_s: f64, ip: &str, page: u32) -> Request {
    Request::get(
        at_s,
        ip,
        &format!("/api/pages/page-{page}-of-the-guide"),
        200,
    )
}

/// Somebody who reads far more pages than anybody else, and fewer than would be an attack on every API.
fn scrape(story: &mut Story, at_hour: u32, ip: &str, pages: u32) {
    let start = f64::from(at_hour) * HOUR;
    story.play_all((0..pages).map(|page| page_of(start + f64::from(page), ip, 1000 + page)));
}

/// Hours in which thirty clients do the same `calls` times each.
fn everybody(
    story: &mut Story,
    hours: std::ops::Range<u32>,
    calls: u32,
    request: impl Fn(f64, &str, u32) -> Request,
) {
    for hour in hours {
        for client in 0..30_u32 {
            let at = f64::from(hour) * HOUR + f64::from(client) * 118.0;
            let ip = format!("10.0.{client}.1");
            for call in 0..calls {
                let number = hour * 1000 + client * 7 + call;
                story.play(&request(at + f64::from(call) * 0.5, &ip, number));
            }
        }
    }
}

fn progress(story: &Story) -> f32 {
    let baselines = story.engine.baselines();
    let demo = baselines.iter().find(|baseline| baseline.api.is_some());
    demo.map_or(0.0, |baseline| baseline.progress)
}

#[test]
fn nothing_is_judged_by_a_baseline_whose_training_goes_on() {
    let mut story = Story::new();
    live(&mut story, 0, 20);
    scrape(&mut story, 20, SCRAPER, 400);
    assert!((0.5..0.9).contains(&progress(&story)));
    assert_eq!(story.attacks(), []);
    assert!(
        story
            .engine
            .baselines()
            .iter()
            .all(|baseline| baseline.thresholds.is_empty())
    );
}

#[test]
fn who_reads_far_more_than_is_usual_for_the_api_is_reported_with_the_learned_threshold() {
    let mut story = Story::with(enforced());
    live(&mut story, 0, 30);
    assert_eq!(progress(&story), 1.0);
    assert_eq!(story.attacks(), []);
    scrape(&mut story, 30, SCRAPER, 250);
    assert_eq!(story.attacks(), [Attack::Scraping]);
    assert!(story.lists_address(SCRAPER));
    let detection = &story.output.detections[0];
    let measured = detection.variables[0];
    assert_eq!((measured.basis, measured.tx), (Basis::Learned, Some(900.0)));
    assert!(
        measured.tn < 200.0 && measured.value >= measured.tn,
        "{measured:?}"
    );
    assert_eq!(measured.reached, Threshold::Normal);
    assert!(measured.deviation_percent() >= 0.0);
    assert!(
        detection.reason().contains("learned Tn"),
        "{}",
        detection.reason()
    );
}

#[test]
fn an_operators_threshold_counts_before_a_learned_one() {
    let mut story = Story::with(limited(Settings::default(), 260.0));
    live(&mut story, 0, 30);
    // Distinct pages are estimated within some five percent.
    scrape(&mut story, 30, SCRAPER, 210);
    assert_eq!(story.attacks(), []);
    scrape(&mut story, 31, SCRAPER, 280);
    let basis = story.output.detections[0].variables[0].basis;
    assert_eq!(
        (story.attacks(), basis),
        (vec![Attack::Scraping], Basis::Operator)
    );
}

#[test]
fn a_learned_detection_that_is_taken_back_teaches_its_threshold() {
    let mut story = Story::new();
    live(&mut story, 0, 30);
    scrape(&mut story, 30, SCRAPER, 125);
    let detection = story.output.detections[0].clone();
    assert!(story.engine.undo(detection.id, Lesson::Threshold).is_some());
    story.output.clear();
    scrape(&mut story, 31, "203.0.113.67", 140);
    assert_eq!(story.attacks(), []);
    scrape(&mut story, 32, "203.0.113.68", 400);
    assert_eq!(story.output.detections[0].variables[0].basis, Basis::Taught);
}

#[test]
fn learned_thresholds_list_nobody_until_an_operator_says_so() {
    let mut story = Story::new();
    live(&mut story, 0, 30);
    scrape(&mut story, 30, SCRAPER, 400);
    assert!(matches!(
        story.output.detections[0].listing,
        Listing::Simulated(_)
    ));
    assert!(!story.lists_address(SCRAPER));
}

#[test]
fn a_day_on_which_everybody_reads_more_lists_hardly_anybody() {
    let mut story = Story::new();
    live(&mut story, 0, 30);
    for page in 0..200_u32 {
        for client in 0..80_u32 {
            let at = 30.0 * HOUR + f64::from(page) * 2.0 + f64::from(client) * 0.02;
            story.play(&page_of(at, &format!("10.0.{client}.1"), 1000 + page));
        }
    }
    assert!(story.attacks().len() <= 5, "{:?}", story.attacks());
    assert!(story.engine.counters().baselines_doubted > 1_000);
}

#[test]
fn clients_that_were_detected_teach_nothing() {
    let windows = |prober: Option<&str>| {
        let mut story = Story::new();
        live(&mut story, 0, 6);
        for window in 0..5 {
            let at = 6.0 * HOUR + f64::from(window) * 700.0;
            for (ip, call) in prober
                .iter()
                .flat_map(|ip| (0..40_u32).map(move |call| (ip, call)))
            {
                let target = format!("/nothing/{}/here", "x".repeat(call as usize + 1));
                story.play(&Request::get(at + f64::from(call), ip, &target, 404));
            }
        }
        live(&mut story, 8, 9);
        assert_eq!(story.lists_address(SCRAPER), prober.is_some());
        let baselines = story.engine.baselines();
        (baselines[0].windows, baselines[0].clients)
    };
    assert_eq!(windows(None), windows(Some(SCRAPER)));
}

#[test]
fn an_order_of_calls_that_nobody_else_uses_is_reported_and_by_default_blocks_nobody() {
    let mut story = Story::new();
    for half_hour in 0..64_u32 {
        for client in 0..40_u32 {
            let at = f64::from(half_hour) * HOUR / 2.0 + f64::from(client) * 30.0;
            shop(&mut story, at, &format!("10.0.{client}.1"), (24, 1));
        }
    }
    assert_eq!(story.attacks(), []);
    shop(&mut story, 32.0 * HOUR, SCRAPER, (24, 5));
    assert_eq!(story.attacks(), [Attack::Sequence]);
    assert_eq!(story.output.detections[0].catalogue_id, 36);
    assert!(matches!(
        story.output.detections[0].listing,
        Listing::Simulated(_)
    ));
    assert!(!story.lists_address(SCRAPER));
}

#[test]
fn a_release_after_which_everybody_reads_ten_times_as_much_lists_hardly_anybody_in_two_days() {
    let mut story = Story::with(enforced());
    everybody(&mut story, 0..30, 15, page_of);
    assert_eq!((progress(&story), story.attacks()), (1.0, vec![]));
    everybody(&mut story, 30..78, 150, page_of);
    assert!(story.attacks().len() <= 5, "{:?}", story.attacks());
    assert!(story.engine.counters().baselines_doubted > 1_000);
}

#[test]
fn a_detection_that_lists_nobody_is_no_way_to_go_on_unseen() {
    let mut story = Story::with(enforced());
    for hour in 0..32_u32 {
        for client in 0..30_u32 {
            let at = f64::from(hour) * HOUR + f64::from(client) * 118.0;
            shop(&mut story, at, &format!("10.0.{client}.1"), (24, 1));
        }
    }
    shop(&mut story, 32.0 * HOUR, SCRAPER, (24, 5));
    assert_eq!(story.attacks(), [Attack::Sequence]);
    assert!(!story.lists_address(SCRAPER));
    let start = 32.0 * HOUR + 100.0;
    story.play_all((0..250).map(|page| page_of(start + f64::from(page), SCRAPER, page)));
    assert!(story.lists_address(SCRAPER), "{:?}", story.attacks());
}

#[test]
fn a_page_that_reports_about_itself_writes_a_tenth_of_a_thing_each_time() {
    let report = |at: f64, ip: &str, _: u32| Request::new(at, ip, "POST", "/api/telemetry", 204);
    let write = |at: f64, ip: &str, _: u32| Request::new(at, ip, "POST", "/api/notes", 201);
    let mut story = Story::with(enforced());
    everybody(&mut story, 0..30, 3, write);
    everybody(&mut story, 30..60, 3, report);
    assert_eq!(progress(&story), 1.0);
    story.play_all((0..150).map(|n| report(60.0 * HOUR + f64::from(n) * 3.0, SCRAPER, n)));
    assert_eq!(story.attacks(), []);
    story.play_all((0..90).map(|n| write(61.0 * HOUR + f64::from(n) * 3.0, SCRAPER, n)));
    assert_eq!(story.attacks(), [Attack::MassWrites]);
}

#[test]
fn what_hardly_anybody_does_has_no_learned_threshold() {
    let mut story = Story::with(enforced());
    let delete = |at: f64, ip: &str, number: u32| {
        Request::new(at, ip, "DELETE", &format!("/api/mails/{number}"), 204)
    };
    for (day, mails) in [(0, 1), (1, 1), (2, 12)] {
        everybody(&mut story, day * 24..day * 24 + 24, 5, page_of);
        let at = f64::from(day * 24 + 23) * HOUR + 3560.0;
        story.play_all((0..mails).map(|mail| delete(at + f64::from(mail), "10.0.99.1", mail)));
    }
    assert_eq!((progress(&story), story.attacks()), (1.0, vec![]));
}
