//! Layer two by route: what is usual on one route of an API says nothing about another one.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

use std::sync::OnceLock;

use crate::support::{Request, Story, enforced, limited};
use ase_engine::{Attack, Basis, Lesson, RouteReport};

const HOUR: f64 = 3600.0;
const TAKER: &str = "203.0.113.66";

/// Hours in which thirty clients search for many things each and export a day or two of their own.
fn live(story: &mut Story, from_hour: u32, to_hour: u32) {
    for hour in from_hour..to_hour {
        for client in 0..30_u32 {
            let at = f64::from(hour) * HOUR + f64::from(client) * 110.0;
            let ip = format!("10.0.{client}.1");
            for search in 0..30 {
                let thing = (hour * 7 + client * 3 + search) % 200;
                let target = format!("/api/search?q=thing-{thing}");
                let at = at + f64::from(search) * 3.0;
                story.play(&Request::get(at, &ip, &target, 200));
            }
            for day in 0..1 + client % 3 {
                story.play(&export(
                    at + 95.0 + f64::from(day),
                    &ip,
                    hour * 100 + client * 3 + day,
                ));
            }
        }
    }
}

fn export(at_s: f64, ip: &str, day: u32) -> Request {
    Request::get(at_s, ip, &format!("/api/export?day={day}"), 200)
}

/// Somebody who exports many days, and fewer than people search for things.
fn take(story: &mut Story, at_hour: u32, ip: &str, days: u32) {
    let start = f64::from(at_hour) * HOUR;
    story.play_all((0..days).map(|day| export(start + f64::from(day) * 2.0, ip, 900_000 + day)));
}

/// A story that goes on after a day of [`live`], which is lived through once.
fn trained() -> Story {
    static DAY: OnceLock<Story> = OnceLock::new();
    let day = DAY.get_or_init(|| {
        let mut story = Story::with(enforced());
        live(&mut story, 0, 30);
        assert_eq!(story.attacks(), []);
        story
    });
    day.restarted(enforced(), 30.0 * HOUR)
}

fn routes(story: &Story) -> Vec<RouteReport> {
    let baselines = story.engine.baselines();
    let demo = baselines
        .into_iter()
        .find(|baseline| baseline.api.is_some());
    demo.map(|demo| demo.routes).unwrap_or_default()
}

fn route<'r>(routes: &'r [RouteReport], path: &str) -> &'r RouteReport {
    routes.iter().find(|known| &*known.route == path).unwrap()
}

#[test]
fn who_takes_far_more_than_is_usual_on_a_route_is_reported_though_others_do_as_much_elsewhere() {
    let mut story = trained();
    take(&mut story, 30, TAKER, 80);
    assert_eq!(story.attacks(), [Attack::Scraping]);
    assert!(story.lists_address(TAKER));
    let detection = &story.output.detections[0];
    assert_eq!(detection.route.as_deref(), Some("/api/export"));
    let measured = detection.variables[0];
    assert_eq!((measured.basis, measured.tn), (Basis::Learned, 60.0));
    assert!(
        detection.reason().contains("on /api/export: A"),
        "{}",
        detection.reason()
    );
    assert!(
        story.output.proposals[0].reason.contains("/api/export"),
        "{:?}",
        story.output.proposals
    );
}

#[test]
fn as_much_on_the_route_where_it_is_usual_is_no_attack() {
    let mut story = trained();
    let start = 30.0 * HOUR;
    for look in 0..80_u32 {
        let target = format!("/api/search?q=thing-{}", 120 + look);
        story.play(&Request::get(
            start + f64::from(look) * 2.0,
            TAKER,
            &target,
            200,
        ));
    }
    assert_eq!(story.attacks(), []);
}

#[test]
fn a_route_has_a_training_of_its_own_and_reports_it() {
    let mut story = Story::with(enforced());
    live(&mut story, 0, 20);
    let early = routes(&story);
    let mut paths: Vec<&str> = early.iter().map(|known| &*known.route).collect();
    paths.sort_unstable();
    assert_eq!(paths, ["/api/export", "/api/search"]);
    let progress = route(&early, "/api/export").progress;
    assert!((0.5..0.9).contains(&progress), "{early:?}");
    assert!(early.iter().all(|known| known.thresholds.is_empty()));
    take(&mut story, 20, TAKER, 80);
    assert_eq!(story.attacks(), []);
    live(&mut story, 21, 31);
    let late = routes(&story);
    let objects = |path: &str| {
        let mut known = route(&late, path).thresholds.iter();
        let of_objects = known.find(|known| known.attack == Attack::Scraping);
        of_objects.map(|known| known.tn)
    };
    assert_eq!(objects("/api/export"), Some(60.0));
    assert!(objects("/api/search") > Some(85.0));
}

#[test]
fn what_only_one_client_calls_has_no_baseline() {
    let mut story = Story::new();
    for call in 0..200_u32 {
        let at = f64::from(call);
        story.play(&Request::get(at, TAKER, "/api/mine", 200));
        story.play(&Request::get(at, "192.0.2.9", "/api/nothing", 404));
        story.play(&Request::get(at, TAKER, "/api/nothing", 404));
    }
    assert_eq!(routes(&story), []);
}

#[test]
fn the_paths_of_a_definition_are_the_routes_where_it_declares_them() {
    let mut story = Story::declaring(&["/by-name/{name}"]);
    for name in ["anna", "bert", "cleo"] {
        for ip in ["192.0.2.1", "198.51.100.1"] {
            let target = format!("/api/by-name/{name}");
            story.play(&Request::get(1.0, ip, &target, 200));
            story.play(&Request::get(2.0, ip, &target, 200));
        }
    }
    let known = routes(&story);
    let paths: Vec<&str> = known.iter().map(|known| &*known.route).collect();
    assert_eq!(paths, ["/api/by-name/{id}"]);
}

#[test]
fn an_operators_threshold_for_the_api_counts_in_place_of_those_of_its_routes() {
    let mut story = Story::with(limited(enforced(), 500.0));
    live(&mut story, 0, 30);
    take(&mut story, 30, TAKER, 150);
    assert_eq!(story.attacks(), []);
}

#[test]
fn a_detection_on_a_route_that_is_taken_back_can_teach_the_threshold_or_the_route() {
    for (lesson, then) in [
        (Lesson::Once, vec![Attack::Scraping]),
        (Lesson::Threshold, vec![]),
        (Lesson::Route, vec![]),
    ] {
        let mut story = trained();
        take(&mut story, 30, TAKER, 80);
        let detection = story.output.detections[0].id;
        assert!(story.engine.undo(detection, lesson).is_some());
        story.output.clear();
        take(&mut story, 31, "203.0.113.67", 70);
        assert_eq!(story.attacks(), then, "{lesson:?}");
    }
}

#[test]
fn what_was_learned_of_a_route_outlives_a_restart() {
    let mut story = Story::with(enforced());
    live(&mut story, 0, 30);
    let mut again = story.restarted(enforced(), 30.0 * HOUR);
    assert_eq!(routes(&again), routes(&story));
    let text = |story: &Story| story.engine.snapshot().into_text();
    assert_eq!(text(&again), text(&story));
    take(&mut again, 30, TAKER, 80);
    assert_eq!(again.attacks(), [Attack::Scraping]);
    assert_eq!(
        again.output.detections[0].route.as_deref(),
        Some("/api/export")
    );
}
