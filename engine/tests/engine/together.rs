//! What many do together is one incident that names them; what many ordinary people do is none.

use crate::support::{Request, Story, address, identifier};
use ase_core::credential::CredentialKind::ApiKey;
use ase_core::identity::Provenance::Claimed;
use ase_engine::{Attack, Listing, Response, Settings};

const OFFICE: &str = "192.0.2.10";

fn guess(at_s: f64, ip: &str, status: u16) -> Request {
    Request::new(at_s, ip, "POST", "/api/login", status)
}

#[test]
fn a_login_attack_over_many_addresses_is_one_incident_that_names_them() {
    let mut story = Story::new();
    for round in 0..4 {
        for member in 0..40 {
            let at = f64::from(round * 40 + member);
            story.play(&guess(at, &format!("203.0.113.{member}"), 401));
        }
    }
    let incidents: Vec<_> = story
        .output
        .detections
        .iter()
        .filter(|detection| detection.listing == Listing::OfMembers)
        .collect();
    assert_eq!(incidents.len(), 1);
    assert_eq!(incidents[0].attack, Attack::LoginDistributed);
    assert_eq!(incidents[0].catalogue_id, 3);
    assert!(incidents[0].members.len() >= 12);
    assert!((0..40).all(|member| story.lists_address(&format!("203.0.113.{member}"))));
    assert_eq!(story.output.proposals.len(), 40);
}

#[test]
fn a_monday_morning_with_many_wrong_passwords_is_no_incident() {
    let mut story = Story::new();
    for person in 0..200 {
        let ip = format!("198.51.100.{person}");
        let at = f64::from(person) * 2.0;
        story.play(&guess(at, &ip, 401));
        if person % 3 == 0 {
            story.play(&guess(at + 3.0, &ip, 401));
        }
        story.play(&guess(at + 6.0, &ip, 200));
    }
    assert_eq!(story.attacks(), []);
}

#[test]
fn somebody_who_mistypes_while_others_attack_is_not_one_of_them() {
    let mut story = Story::new();
    story.play_all(
        (0..10).map(|number| Request::get(f64::from(number), OFFICE, "/api/orders", 200)),
    );
    for round in 0..4 {
        for member in 0..40 {
            let at = f64::from(round * 40 + member) + 10.0;
            story.play(&guess(at, &format!("203.0.113.{member}"), 401));
        }
        story.play(&guess(
            f64::from(round * 40) + 30.5,
            OFFICE,
            if round < 3 { 401 } else { 200 },
        ));
    }
    assert!(story.lists_address("203.0.113.1"));
    assert!(!story.lists_address(OFFICE));
}

#[test]
fn a_wordlist_shared_out_among_many_addresses_is_one_incident() {
    let mut story = Story::new();
    for number in 0..120 {
        let ip = format!("203.0.113.{}", number % 40);
        story.play(
            &Request::get(f64::from(number), &ip, &format!("/api/word-{number}x"), 404)
                .agent("agent/7"),
        );
    }
    let incidents = story
        .output
        .detections
        .iter()
        .filter(|detection| detection.listing == Listing::OfMembers);
    assert_eq!(
        incidents
            .map(|detection| detection.attack)
            .collect::<Vec<_>>(),
        [Attack::DistributedProbing]
    );
    assert!((0..40).all(|member| story.lists_address(&format!("203.0.113.{member}"))));
}

#[test]
fn a_crowd_is_told_among_thousands_of_programs_that_meet_a_dead_link_now_and_then() {
    let mut story = Story::new();
    for second in 0..300_u32 {
        for number in 0..40 {
            let reader = second * 40 + number;
            let ip = format!("10.{}.{}.1", reader / 250, reader % 250);
            let (target, status) = match number {
                0 => ("/old/page-that-has-moved", 404),
                _ => ("/", 200),
            };
            let read = Request::get(f64::from(second), &ip, target, status);
            story.play(&read.agent(&format!("reader/{reader}")));
        }
        if second % 3 > 0 {
            continue;
        }
        let ip = format!("203.0.113.{}", second / 3 % 20);
        let probe = Request::get(f64::from(second), &ip, &format!("/api/word-{second}x"), 404);
        story.play(&probe.agent("agent/7"));
    }
    let incidents = story.output.detections.iter();
    let mut incidents = incidents.filter(|detection| detection.listing == Listing::OfMembers);
    assert!(incidents.any(|incident| incident.attack == Attack::DistributedProbing));
    assert!((0..20).all(|member| story.lists_address(&format!("203.0.113.{member}"))));
}

#[test]
fn readers_who_follow_one_dead_link_each_are_no_incident() {
    let mut story = Story::new();
    for reader in 0..200_u32 {
        let ip = format!("198.51.100.{reader}");
        let at = f64::from(reader) * 2.0;
        story.play(&Request::get(at, &ip, "/old/page-that-has-moved", 404));
        story.play(&Request::get(at + 1.0, &ip, "/", 200));
    }
    assert_eq!(story.attacks(), []);
}

#[test]
fn a_key_that_attacks_from_many_networks_is_listed_itself() {
    let mut story = Story::new();
    for number in 0..40 {
        let ip = format!("10.{number}.0.1");
        let probe = Request::get(f64::from(number), &ip, &format!("/api/word-{number}x"), 404);
        story.play(
            &probe
                .agent(&format!("agent/{number}"))
                .with(ApiKey, "rotating", Claimed),
        );
    }
    assert!(story.lists(&identifier(ApiKey, "rotating")));
    assert!(story.attacks().contains(&Attack::CredentialRotation));
    assert!(!story.lists(&address("10.0.0.1")));
}

#[test]
fn a_detector_that_is_off_or_known_does_not_hide_another() {
    let mut settings = Settings::default();
    settings.responses.insert(Attack::Tool, Response::Off);
    settings
        .responses
        .insert(Attack::Injection, Response::Simulate);
    let mut story = Story::with(settings);
    story.play_all((0..20).map(|number| {
        Request::get(
            f64::from(number),
            OFFICE,
            &format!("/api/word-{number}x?q=../../etc/passwd"),
            404,
        )
        .agent("gobuster/3.5")
    }));
    assert_eq!(story.attacks(), [Attack::Injection, Attack::Probing]);
    assert_eq!(story.output.proposals.len(), 1);
}
