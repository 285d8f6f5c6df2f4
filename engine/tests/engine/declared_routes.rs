//! Routes that a definition declares: known from the first request, whatever their segments look like.

use crate::support::{Request, Story};
use ase_core::credential::CredentialKind::Token;
use ase_core::identity::Provenance::Verified;
use ase_engine::Attack;

const USER: &str = "203.0.113.5";
const NAMES: [&str; 8] = ["ann", "bob", "cid", "dan", "eve", "fay", "gus", "hal"];

/// Somebody who tries out the names of users, which look like words; one in four is there.
fn guesses() -> Vec<Request> {
    let names = NAMES.iter().flat_map(|first| {
        let second = NAMES.iter();
        second.map(move |second| format!("/api/users/{first}-{second}/profile"))
    });
    let request = |(number, path): (usize, String)| {
        let status = if number % 4 == 0 { 200 } else { 404 };
        let read = Request::get(number as f64 * 0.5, USER, &path, status);
        read.with(Token, "walker", Verified)
    };
    names.enumerate().map(request).collect()
}

#[test]
fn guessing_names_is_a_walk_over_users_where_the_definition_says_that_they_name_them() {
    let mut learned = Story::new();
    learned.play_all(guesses());
    assert_eq!(
        learned.attacks(),
        [Attack::Probing],
        "by their look the names are words"
    );
    let mut declared = Story::declaring(&["/users/{name}/profile"]);
    declared.play_all(guesses());
    assert_eq!(declared.attacks(), [Attack::Enumeration]);
}

#[test]
fn a_word_that_looks_like_an_id_is_none_where_the_definition_has_it() {
    let years = || {
        (1990..2060).map(|year| {
            let read = Request::get(
                f64::from(year) - 1990.0,
                USER,
                &format!("/api/reports/{year}"),
                200,
            );
            read.with(Token, "reader", Verified)
        })
    };
    let mut learned = Story::new();
    learned.play_all(years());
    assert_eq!(learned.attacks(), [Attack::Enumeration]);
    let routes: Vec<String> = (1990..2060)
        .map(|year| format!("/reports/{year}"))
        .collect();
    let routes: Vec<&str> = routes.iter().map(String::as_str).collect();
    let mut declared = Story::declaring(&routes);
    declared.play_all(years());
    assert_eq!(declared.attacks(), []);
}

#[test]
fn a_path_that_no_declared_route_has_is_read_by_its_look() {
    let mut story = Story::declaring(&["/users/{name}"]);
    story.play_all((0..70).map(|id| {
        let read = Request::get(f64::from(id), USER, &format!("/api/orders/{id}"), 200);
        read.with(Token, "walker", Verified)
    }));
    assert_eq!(story.attacks(), [Attack::Enumeration]);
}

#[test]
fn routes_that_a_definition_leaves_out_are_discovered_and_those_that_it_has_are_not() {
    let mut story = Story::declaring(&["/users/{name}"]);
    for number in 0..6 {
        let at = f64::from(number);
        let ip = format!("192.0.2.{number}");
        story.play(&Request::get(at, &ip, "/api/users/alice", 200));
        story.play(&Request::get(
            at,
            &ip,
            &format!("/api/exports/{}", number * 977),
            200,
        ));
        story.play(&Request::get(at, &ip, "/api/absent", 404));
    }
    let found = story.engine.discovered();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].api.as_ref(), Some(&story.api));
    let paths: Vec<_> = found[0].templates.iter().map(|call| &*call.path).collect();
    assert_eq!(paths, ["/api/exports/{id}"]);
}
