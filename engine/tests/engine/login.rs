//! Who guesses passwords is listed, and who has forgotten one is not.

use crate::support::{Request, Story};
use ase_core::credential::CredentialKind;
use ase_core::identity::Provenance;
use ase_engine::Attack;

const ATTACKER: &str = "203.0.113.9";
const OFFICE: &str = "192.0.2.10";

fn login(at_s: f64, ip: &str, status: u16) -> Request {
    Request::new(at_s, ip, "POST", "/api/login", status)
}

#[test]
fn guessing_is_stopped_fast_or_slow() {
    for (seconds, most) in [(0.02, 10), (1.0, 12), (5.0, 14), (30.0, 25), (300.0, 40)] {
        let mut story = Story::new();
        let guesses = (0..100).map(|number| login(f64::from(number) * seconds, ATTACKER, 401));
        let until = story.requests_until_listed(guesses);
        assert!(
            until.is_some_and(|until| until <= most),
            "{seconds} s: {until:?}"
        );
    }
}

#[test]
fn a_person_who_remembers_the_password_in_the_end_is_left_alone() {
    let mut story = Story::new();
    for day in 0..10 {
        let at = f64::from(day) * 7200.0;
        story.play_all((0..6).map(|number| login(at + f64::from(number) * 4.0, OFFICE, 401)));
        story.play(&login(at + 30.0, OFFICE, 200));
        story.play_all(
            (0..30).map(|number| {
                Request::get(at + 40.0 + f64::from(number), OFFICE, "/api/orders", 200)
            }),
        );
    }
    assert_eq!(story.attacks(), []);
}

#[test]
fn an_attacker_with_one_good_account_of_its_own_is_told_by_the_share_of_failures() {
    let mut story = Story::new();
    let tries = (0..600).map(|number| {
        let status = if number % 6 == 5 { 200 } else { 401 };
        login(f64::from(number) * 3.0, ATTACKER, status)
    });
    assert!(story.requests_until_listed(tries).is_some());
}

#[test]
fn a_form_that_answers_every_guess_with_itself_is_no_hiding_place() {
    let mut story = Story::new();
    let guesses = (0..100)
        .map(|number| Request::new(f64::from(number), ATTACKER, "POST", "/wp-login.php", 200));
    let until = story.requests_until_listed(guesses);
    assert!(until.is_some_and(|until| until <= 24), "{until:?}");

    // Once a redirect has shown what a success looks like, a few failures are enough.
    let mut story = Story::new();
    story.play(&Request::new(0.0, OFFICE, "POST", "/wp-login.php", 302));
    let guesses = (0..100)
        .map(|number| Request::new(f64::from(number), ATTACKER, "POST", "/wp-login.php", 200));
    let until = story.requests_until_listed(guesses);
    assert!(until.is_some_and(|until| until <= 13), "{until:?}");
}

#[test]
fn an_office_that_logs_in_every_morning_behind_one_address_is_left_alone() {
    let mut story = Story::new();
    for person in 0..80 {
        let at = f64::from(person) * 8.0;
        for number in 0..person % 3 {
            story.play(&login(at + f64::from(number), OFFICE, 401));
        }
        story.play(&login(at + 4.0, OFFICE, 200));
        let token = format!("token-{person}");
        story.play_all((0..5).map(|number| {
            let request = Request::get(
                at + 5.0 + f64::from(number) * 0.1,
                OFFICE,
                "/api/orders",
                200,
            );
            request.with(CredentialKind::Token, &token, Provenance::Claimed)
        }));
    }
    assert_eq!(story.attacks(), []);
}

#[test]
fn trying_many_accounts_once_each_is_credential_stuffing() {
    let mut story = Story::new();
    let tries = (0..20).map(|number| {
        login(f64::from(number) * 20.0, ATTACKER, 401).account(&format!("user-{number}"))
    });
    let until = story.requests_until_listed(tries);
    assert!(until.is_some_and(|until| until <= 8), "{until:?}");
    assert_eq!(story.attacks(), [Attack::CredentialStuffing]);
}

#[test]
fn a_program_that_asks_for_tokens_all_day_is_left_alone() {
    let mut story = Story::new();
    let renewals = (0..2000).map(|number| {
        Request::new(
            f64::from(number) * 10.0,
            OFFICE,
            "POST",
            "/api/oauth/token",
            200,
        )
    });
    story.play_all(renewals);
    assert_eq!(story.attacks(), []);
}

#[test]
fn guessing_the_password_of_a_page_without_a_form_is_told_by_its_refusals() {
    let mut story = Story::new();
    let guesses = (0..60).map(|number| {
        let guess = Request::get(f64::from(number) * 5.0, ATTACKER, "/api/reports", 401);
        guess.with(
            CredentialKind::Cookie,
            &format!("random-{number}"),
            Provenance::Claimed,
        )
    });
    let until = story.requests_until_listed(guesses);
    assert!(until.is_some_and(|until| until <= 36), "{until:?}");
}

#[test]
fn a_client_whose_token_has_expired_may_ask_for_hours() {
    let mut story = Story::new();
    story.play_all((0..3000).map(|number| {
        let poll = Request::get(f64::from(number) * 2.0, OFFICE, "/api/orders", 401);
        poll.with(CredentialKind::Token, "expired", Provenance::Claimed)
    }));
    assert_eq!(story.attacks(), []);
}
