//! What no definition covers is proposed as an API, and what scanners ask for is not.

use crate::support::{Request, Story};
use ase_core::credential::CredentialKind::{ApiKey, Cookie, Token};
use ase_core::identity::Place;
use ase_core::identity::Provenance::Claimed;
use ase_engine::Covers;

#[test]
fn an_undeclared_api_is_found_with_its_calls_its_login_and_what_identifies_its_clients() {
    let mut story = Story::new();
    story.declared = false;
    for number in 0..20 {
        let at = f64::from(number);
        let ip = format!("192.0.2.{number}");
        let order = Request::get(at, &ip, &format!("/api/v2/orders/{}", 977 * number), 200);
        story.play(&order.with(Token, &format!("token-{number}"), Claimed));
        let list = Request::get(at + 0.2, &ip, "/api/v2/orders?page=1", 200);
        let list = list.with(Token, &format!("token-{number}"), Claimed);
        story.play(&if number < 3 {
            list.with(Cookie, "some", Claimed)
        } else {
            list
        });
        if number < 5 {
            story.play(&Request::new(at + 0.4, &ip, "POST", "/api/v2/login", 200));
        }
        story.play(&Request::get(
            at + 0.6,
            &ip,
            &format!("/api/v3/absent-{number}"),
            404,
        ));
    }
    let found = story.engine.discovered();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].base_path, "/api/v2");
    assert_eq!(found[0].requests, 45);
    assert_eq!(found[0].identified_by, [Token]);
    assert_eq!(found[0].login_path.as_deref(), Some("/api/v2/login"));
    let calls: Vec<_> = found[0]
        .templates
        .iter()
        .map(|call| (call.method, call.path.as_str(), call.requests))
        .collect();
    assert_eq!(
        calls,
        [
            ("GET", "/api/v2/orders", 20),
            ("GET", "/api/v2/orders/{id}", 20),
            ("POST", "/api/v2/login", 5)
        ]
    );
}

#[test]
fn places_of_credentials_are_proposed_that_half_of_the_traffic_has() {
    let mut story = Story::new();
    story.declared = false;
    for number in 0..40_u32 {
        let ip = format!("192.0.2.{number}");
        let at = f64::from(number);
        let mut request = Request::get(at, &ip, "/orders/list", 200);
        if number >= 20 {
            request = request.in_place(Cookie, Place::Cookie, "SID");
        }
        if number < 19 {
            request = request.in_place(ApiKey, Place::Query, "key");
        }
        // Names that change take nobody's room.
        for invented in [format!("x-apikey-{number}"), format!("apikey-{number}")] {
            request = request.in_place(ApiKey, Place::Header, &invented);
        }
        story.play(&request.in_place(ApiKey, Place::Header, "x-api-key"));
    }
    let found = story.engine.discovered();
    let usual: Vec<_> = found[0]
        .carriers
        .iter()
        .map(|usual| (&*usual.carrier.name, usual.requests))
        .collect();
    assert_eq!(usual, [("x-api-key", 40), ("SID", 20)]);
    assert_eq!(found[0].identified_by, [Cookie, ApiKey]);
}

#[test]
fn the_traffic_of_the_definition_that_covers_the_rest_is_looked_through() {
    let mut story = Story::new();
    story.covers = Covers::Rest;
    story.play(&Request::get(0.0, "192.0.2.1", "/api/orders", 200));
    assert_eq!(story.engine.discovered().len(), 1);
}

#[test]
fn a_path_that_no_definition_can_name_is_none_of_an_api() {
    let mut story = Story::new();
    story.declared = false;
    for path in ["/a%253fb/c", "/a%2541/c", "/%7Bid%7D/x", "/a%23b"] {
        story.play(&Request::get(0.0, "192.0.2.1", path, 200));
    }
    assert_eq!(story.engine.discovered(), []);
}

#[test]
fn very_many_words_in_one_place_are_names_and_many_resources_are_not() {
    let mut story = Story::new();
    story.declared = false;
    let letter = |number: u32| char::from(b'a' + u8::try_from(number % 26).unwrap());
    for number in 0..40 {
        let word = format!("{}{}x", letter(number / 26), letter(number));
        for path in [format!("/api/users/{word}/orders"), format!("/api/{word}")] {
            story.play(&Request::get(f64::from(number), "192.0.2.1", &path, 200));
        }
    }
    let templates = &story.engine.discovered()[0].templates;
    assert_eq!(templates.len(), 41, "{templates:?}");
    let calls = (&*templates[0].path, templates[0].requests);
    assert_eq!(calls, ("/api/users/{id}/orders", 40));
}

#[test]
fn a_declared_api_is_not_discovered() {
    let mut story = Story::new();
    story.play(&Request::get(0.0, "192.0.2.1", "/api/orders", 200));
    assert_eq!(story.engine.discovered(), []);
}

#[test]
fn thousands_of_paths_are_found_within_bounds() {
    let mut story = Story::new();
    story.declared = false;
    for number in 0..2000_u32 {
        let ip = format!("192.0.{}.{}", number / 200, number % 200);
        story.play(&Request::get(
            f64::from(number),
            &ip,
            &format!("/thing-{number}x/part"),
            200,
        ));
        story.play(&Request::get(
            f64::from(number),
            &ip,
            &format!("/api/thing-{number}x"),
            200,
        ));
    }
    let found = story.engine.discovered();
    assert_eq!(found.len(), 256);
    assert_eq!(found[0].base_path, "/api");
    assert_eq!(found[0].templates.len(), 128);
    assert!(story.engine.counters().discoveries_refused > 3000);
}
