//! Who is answerable: proven clients for themselves, addresses for what nobody has proven, and nobody for a name that another has claimed.

use crate::support::{Request, Story, identifier};
use ase_core::credential::CredentialKind::{ApiKey, Cookie, Token, Username};
use ase_core::identity::Provenance::{Claimed, Verified};
use ase_engine::Provenness;

const OFFICE: &str = "192.0.2.10";
const HOME: &str = "198.51.100.7";

fn probe(number: u32, ip: &str) -> Request {
    Request::get(f64::from(number), ip, &format!("/api/word-{number}x"), 404)
}

#[test]
fn an_attacker_with_a_verified_token_is_listed_by_it_and_not_by_the_address_it_shares() {
    let mut story = Story::new();
    story.play_all((0..20).map(|number| probe(number, OFFICE).with(Token, "bad", Verified)));
    assert!(story.lists(&identifier(Token, "bad")));
    assert!(!story.lists_address(OFFICE));
}

#[test]
fn a_fresh_cookie_or_key_per_request_hides_nobody() {
    for kind in [Cookie, Token, ApiKey] {
        let mut story = Story::new();
        let probes = (0..20)
            .map(|number| probe(number, OFFICE).with(kind, &format!("random-{number}"), Claimed));
        let until = story.requests_until_listed(probes);
        assert!(until.is_some_and(|until| until <= 10), "{kind}: {until:?}");
        assert_eq!(story.output.proposals.len(), 1, "only the address");
    }
}

#[test]
fn a_victims_name_in_a_forged_token_lists_the_forger_and_not_the_victim() {
    let mut story = Story::new();
    for number in 0..50 {
        let request = Request::get(f64::from(number), HOME, "/api/orders", 200);
        story.play(
            &request
                .with(Username, "victim", Verified)
                .with(Token, "good", Verified),
        );
    }
    let forged = (0..20).map(|number| {
        probe(number, OFFICE)
            .with(Username, "victim", Claimed)
            .with(Token, "forged", Claimed)
    });
    story.play_all(forged);
    assert!(story.lists_address(OFFICE));
    assert_eq!(story.output.proposals.len(), 1);
    // Not even a gateway that verifies names, where the upstream says no.
    story.output.clear();
    let refused = (0..60).map(|number| {
        Request::new(100.0 + f64::from(number), OFFICE, "POST", "/api/login", 401)
            .with(Username, "victim", Verified)
    });
    story.play_all(refused);
    assert!(!story.lists(&identifier(Username, "victim")));
}

#[test]
fn a_secret_proves_itself_by_good_answers_over_time_from_two_networks() {
    let mut story = Story::new();
    let proven = |story: &Story| {
        story
            .engine
            .client(&identifier(Cookie, "mine"))
            .map(|client| client.proven)
    };
    let visit = |number: u32, ip| {
        Request::get(f64::from(number) * 30.0, ip, "/api/orders", 200).with(Cookie, "mine", Claimed)
    };
    story.play_all((0..100).map(|number| visit(number, OFFICE)));
    assert_eq!(
        proven(&story),
        Some(Provenness::Unproven),
        "one network alone"
    );
    story.play(&visit(100, HOME));
    assert_eq!(proven(&story), Some(Provenness::Proven));
    // From now on it answers for itself, and its address is out of it.
    story.play_all((4000..4020).map(|number| probe(number, OFFICE).with(Cookie, "mine", Claimed)));
    assert!(!story.lists_address(OFFICE));
}

#[test]
fn many_good_answers_at_once_prove_nothing() {
    let mut story = Story::new();
    for number in 0..500_u32 {
        let ip = if number % 2 == 0 { OFFICE } else { HOME };
        story.play(
            &Request::get(f64::from(number) * 0.1, ip, "/api/orders", 200)
                .with(Cookie, "mine", Claimed),
        );
    }
    let client = story.engine.client(&identifier(Cookie, "mine")).unwrap();
    assert_eq!(client.proven, Provenness::Unproven);
}

#[test]
fn a_key_that_everybody_has_shields_no_attacker_and_is_not_listed_for_one() {
    let mut story = Story::new();
    for number in 0..400_u32 {
        let ip = format!("10.{}.0.1", number % 40);
        let request = Request::get(f64::from(number), &ip, "/api/orders", 200).agent("app/1.0");
        story.play(&request.with(ApiKey, "public", Verified));
    }
    story.play_all((400..420).map(|number| {
        probe(number, OFFICE)
            .agent("app/1.0")
            .with(ApiKey, "public", Verified)
    }));
    assert!(story.lists_address(OFFICE));
    assert!(!story.lists(&identifier(ApiKey, "public")));
}
