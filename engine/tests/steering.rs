//! What operators change while the engine runs: what detections lead to, and from which values on there are any.

mod support;

use ase_engine::{Attack, Listing, Response};
use support::{Request, Story};

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
    let identifier = support::address(ATTACKER);
    assert_eq!(story.engine.client(&identifier).unwrap().offences, 1);
}
