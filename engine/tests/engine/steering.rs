//! What operators change while the engine runs: what detections lead to, and from which values on there are any.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

use std::time::Duration;

use ase_core::api_id::ApiId;
use ase_engine::{
    Attack, Basis, Limit, Listing, Response, SetBy, Settings, ThresholdReport, Training, Variable,
};

use crate::support::{Request, Story};

const ATTACKER: &str = "203.0.113.9";

fn probe(story: &mut Story, at: f64, ip: &str, words: std::ops::Range<u32>) {
    for (step, number) in (0..).zip(words) {
        let target = format!("/api/word-{number}x");
        story.play(&Request::get(at + f64::from(step), ip, &target, 404));
    }
}

#[test]
fn while_detections_are_only_simulated_nobody_is_listed_and_an_attack_that_goes_on_is_once_they_count_again()
 {
    let mut story = Story::new();
    story.engine.lead_to_at_most(Response::Simulate);
    probe(&mut story, 0.0, ATTACKER, 0..12);
    assert_eq!(story.attacks(), [Attack::Probing]);
    let listing = story.output.detections[0].listing;
    assert!(matches!(listing, Listing::Simulated(_)));
    assert!(!story.lists_address(ATTACKER));
    // Once is enough while nothing changes.
    probe(&mut story, 20.0, ATTACKER, 12..24);
    assert_eq!(story.output.detections.len(), 1);

    story.engine.lead_to_at_most(Response::Enforce);
    probe(&mut story, 40.0, ATTACKER, 24..28);
    assert!(story.lists_address(ATTACKER));
    // It was never listed before: this is its first offence.
    let identifier = crate::support::address(ATTACKER);
    assert_eq!(story.engine.client(&identifier).unwrap().offences, 1);
}

const DELETIONS: (Attack, Variable) = (Attack::MassDeletion, Variable::A);
const READS: (Attack, Variable) = (Attack::Scraping, Variable::A);

fn api(name: &str) -> ApiId {
    ApiId::parse(name).unwrap()
}

fn limit(tn: f32) -> Option<Limit> {
    Some(Limit { tn, tx: None })
}

fn report(story: &Story, api: Option<&ApiId>, of: (Attack, Variable)) -> ThresholdReport {
    let reports = story.engine.thresholds(api);
    let found = reports
        .iter()
        .find(|report| (report.attack, report.variable) == of);
    *found.unwrap()
}

fn delete(story: &mut Story, at: f64, ip: &str, objects: u32) {
    for number in 0..objects {
        let target = format!("/api/notes/{number}");
        let at = at + f64::from(number);
        story.play(&Request::new(at, ip, "DELETE", &target, 200));
    }
}

#[test]
fn a_threshold_that_is_set_while_the_engine_runs_counts_for_its_api_until_it_is_taken_back() {
    let mut story = Story::new();
    let (demo, other) = (api("demo"), api("other"));
    story
        .engine
        .set_threshold(Some(&demo), DELETIONS, limit(10.0))
        .unwrap();
    delete(&mut story, 0.0, "203.0.113.1", 12);
    assert_eq!(story.attacks(), [Attack::MassDeletion]);
    let measured = story.output.detections[0].variables[0];
    assert_eq!((measured.tn, measured.basis), (10.0, Basis::Operator));
    story.api = other;
    delete(&mut story, 100.0, "203.0.113.2", 12);
    story.api = demo.clone();
    story
        .engine
        .set_threshold(Some(&demo), DELETIONS, None)
        .unwrap();
    delete(&mut story, 200.0, "203.0.113.3", 12);
    assert_eq!(story.output.detections.len(), 1);
    assert_eq!(
        story
            .engine
            .set_threshold(None, (Attack::Injection, Variable::F), None),
        None
    );
}

#[test]
fn the_narrower_word_of_an_operator_counts_and_the_report_says_whose_it_is() {
    let mut settings = Settings::default();
    settings.thresholds.insert(DELETIONS, limit(50.0).unwrap());
    let mut story = Story::with(settings);
    let (demo, other) = (api("demo"), api("other"));
    let says = |story: &Story, api: Option<&ApiId>| {
        let report = report(story, api, DELETIONS);
        assert_eq!(report.system.tn, 60.0);
        assert_eq!(report.basis, Basis::Operator);
        (report.in_force.tn, report.operator.unwrap().1)
    };
    assert_eq!(says(&story, Some(&demo)), (50.0, SetBy::Configuration));
    let engine = &mut story.engine;
    engine.set_threshold(None, DELETIONS, limit(40.0)).unwrap();
    engine
        .set_threshold(Some(&demo), DELETIONS, limit(30.0))
        .unwrap();
    assert_eq!(says(&story, None), (40.0, SetBy::EveryApi));
    assert_eq!(says(&story, Some(&other)), (40.0, SetBy::EveryApi));
    assert_eq!(says(&story, Some(&demo)), (30.0, SetBy::ThisApi));
    let engine = &mut story.engine;
    engine.set_threshold(None, DELETIONS, None).unwrap();
    assert_eq!(says(&story, Some(&demo)), (30.0, SetBy::ThisApi));
    let engine = &mut story.engine;
    engine.set_threshold(Some(&demo), DELETIONS, None).unwrap();
    assert_eq!(says(&story, Some(&demo)), (50.0, SetBy::Configuration));
}

#[test]
fn a_learned_threshold_gives_way_to_an_operators_and_comes_back_with_its_end() {
    let mut story = Story::with(Settings {
        training: Training {
            period: Duration::from_secs(3600),
            windows: 20,
            clients: 5,
            ..Training::default()
        },
        ..Settings::default()
    });
    for quarter in 0..16_u32 {
        for client in 0..20_u32 {
            let at = f64::from(quarter) * 900.0 + f64::from(client) * 30.0;
            let target = format!("/api/pages/page-{client}-of-the-guide");
            let ip = format!("10.0.{client}.1");
            story.play(&Request::get(at, &ip, &target, 200));
        }
    }
    let demo = api("demo");
    let before = report(&story, Some(&demo), READS);
    assert_eq!(before.basis, Basis::Learned);
    assert_eq!(before.in_force.tn, before.learned.unwrap().tn);
    assert!(before.in_force.tn < before.system.tn);
    assert_eq!(report(&story, None, READS).basis, Basis::System);

    let own = Limit {
        tn: 700.0,
        tx: Some(800.0),
    };
    let engine = &mut story.engine;
    engine.set_threshold(Some(&demo), READS, Some(own)).unwrap();
    let set = report(&story, Some(&demo), READS);
    assert_eq!((set.in_force, set.basis), (own, Basis::Operator));
    assert_eq!(set.learned, before.learned);
    for page in 0..250 {
        let target = format!("/api/pages/page-{page}-of-the-guide");
        let at = 15_000.0 + f64::from(page);
        story.play(&Request::get(at, "203.0.113.1", &target, 200));
    }
    assert_eq!(story.attacks(), []);
    let engine = &mut story.engine;
    engine.set_threshold(Some(&demo), READS, None).unwrap();
    assert_eq!(report(&story, Some(&demo), READS), before);
}
