//! APIs that no definition covers: found by what answers well, and proposed as definitions that can be added as they are.

use std::process::Command;

use serde_json::{Value, json};

use crate::engine::batch;
use crate::harness::{Ase, question, record, wait_for};

/// Records of an undeclared API whose clients have an API key, most of them a session, and some a token.
fn undeclared(url: &str) -> Vec<Value> {
    let one = |number: usize| {
        let path = format!("{url}/invoices/{}", 1000 + 37 * number);
        let mut record = record(&format!("u{number}"), &client(number), &path);
        record["request"]["headers"] = headers(number);
        record
    };
    (0..12).map(one).collect()
}

fn client(number: usize) -> String {
    format!("192.0.2.{number}")
}

fn headers(number: usize) -> Value {
    let mut headers = vec![
        json!({"host": "api.example.com"}),
        json!({"X-Billing-Api-Key": format!("key-{number}")}),
    ];
    if number < 8 {
        headers.push(json!({"cookie": format!("theme=dark; BILLSESSION=session-{number}")}));
    }
    if number < 3 {
        headers.push(json!({"authorization": "Bearer some-token"}));
    }
    Value::Array(headers)
}

fn discovered(ase: &Ase) -> Vec<Value> {
    let (status, found) = ase.admin("GET", "/v1/discovered", &Value::Null);
    assert_eq!(status, 200, "{found}");
    found["apis"].as_array().unwrap().clone()
}

fn found(ase: &Ase, requests: u64) -> Value {
    wait_for("the API", || {
        let mut apis = discovered(ase).into_iter();
        apis.find(|api| api["requests"] == requests)
    })
}

#[test]
fn a_proposed_definition_can_be_added_as_it_is_and_knows_the_clients_by_what_half_of_them_carry() {
    let ase = Ase::start();
    batch(&ase, &undeclared("/billing"));
    let api = found(&ase, 12);
    assert_eq!(api["name"], json!("billing"));
    assert_eq!(api["templates"][0]["path"], json!("/billing/invoices/{id}"));
    let definition = &api["definition"];
    let metadata = &definition["api_metadata"];
    assert_eq!(metadata["apikey_header"], json!("x-billing-api-key"));
    assert_eq!(metadata["cookie"], json!("BILLSESSION"));
    assert_eq!(metadata["oauth2_access_token"], json!(false));
    assert_eq!(metadata["routes"], json!(["/invoices/{id}"]));
    for value in ["key-1", "session-1", "some-token"] {
        assert!(!api.to_string().contains(value), "{api}");
    }
    let (status, added) = ase.admin("PUT", "/v1/api/billing", definition);
    assert_eq!((status, &added["warnings"]), (200, &json!([])), "{added}");
    for (kind, name, value) in [
        ("cookie", "BILLSESSION", "session-1"),
        ("api_key", "", "key-2"),
    ] {
        ase.deny(&json!({"type": kind, "name": name, "value": value}));
    }
    for (number, verdict) in [(1, "would_block"), (2, "would_block"), (3, "allowed")] {
        let mut asked = question(&client(number), "/billing/invoices/5");
        asked["headers"] = headers(number);
        let answer = ase.ask(&format!("asked-{number}"), &asked);
        assert_eq!(
            (answer.status, answer.verdict()),
            (200, verdict),
            "{number}"
        );
    }
    // What is defined is not discovered any more.
    assert_eq!(discovered(&ase), [] as [Value; 0]);
}

#[test]
fn the_definition_of_the_root_leaves_apis_to_be_discovered() {
    let ase = Ase::start();
    let root = json!({"api_metadata": {"protocol": "http", "url": "/", "hostname": "*", "oauth2_access_token": true,
        "enable_blocking": false}});
    assert_eq!(ase.admin("PUT", "/v1/api/root", &root).0, 200);
    batch(&ase, &undeclared("/api/v1"));
    let api = found(&ase, 12);
    assert_eq!(api["definition"]["api_metadata"]["url"], json!("/api/v1"));
    assert_eq!(
        api["definition"]["api_metadata"]["cookie"],
        json!("BILLSESSION")
    );
}

#[test]
fn calls_beside_the_declared_routes_are_shown_until_the_definition_has_them() {
    let ase = Ase::start();
    let put = |routes: Value| {
        let definition =
            json!({"api_metadata": {"url": "/billing", "hostname": "*", "routes": routes}});
        let (status, put) = ase.admin("PUT", "/v1/api/billing", &definition);
        assert_eq!((status, &put["warnings"]), (200, &json!([])), "{put}");
    };
    put(json!(["/users/{name}"]));
    let mut records = undeclared("/billing");
    records.push(record("known", "192.0.2.9", "/billing/users/alice"));
    batch(&ase, &records);
    let routes = || {
        let (_, found) = ase.admin("GET", "/v1/discovered", &Value::Null);
        assert_eq!(found["apis"], json!([]), "{found}");
        found["undeclared_routes"].as_array().unwrap().clone()
    };
    let found = wait_for("the route", || {
        let found = routes().into_iter().next();
        found.filter(|found| found["templates"][0]["requests"] == 12)
    });
    assert_eq!(
        (&found["api"], &found["routes"]),
        (&json!("billing"), &json!(["/invoices/{id}"]))
    );
    put(json!(["/users/{name}", "/invoices/{number}"]));
    assert_eq!(routes(), [] as [Value; 0]);
}

#[test]
fn guessing_names_below_a_declared_route_is_a_walk_over_what_they_name() {
    let ase = Ase::start();
    let definition = json!({"api_metadata": {"url": "/billing", "hostname": "*", "routes": ["/users/{name}/profile"]}});
    assert_eq!(ase.admin("PUT", "/v1/api/billing", &definition).0, 200);
    let letters = || "abcdefg".chars();
    let names =
        letters().flat_map(|first| letters().map(move |second| format!("{first}{second}x")));
    let guess = |(number, name): (usize, String)| {
        let path = format!("/billing/users/{name}/profile");
        let mut record = record(&format!("g{number}"), "203.0.113.9", &path);
        record["response"]["response_code"] = json!(if number % 4 == 0 { 200 } else { 404 });
        record
    };
    let records: Vec<Value> = names.enumerate().map(guess).collect();
    batch(&ase, &records);
    let found = wait_for("the detection", || {
        let (_, found) = ase.admin("GET", "/v1/attacks", &Value::Null);
        found["detections"].as_array()?.first().cloned()
    });
    assert_eq!(found["name"], json!("enumeration"), "{found}");
}

#[test]
fn the_command_line_prints_a_definition_that_it_adds_as_it_is() {
    let ase = Ase::start();
    batch(&ase, &undeclared("/billing"));
    found(&ase, 12);
    let state = ase.folder.path().join("state");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ase"));
        let output = command
            .args(arguments)
            .arg("--state-dir")
            .arg(&state)
            .output();
        let output = output.unwrap();
        let (out, error) = (output.stdout, output.stderr);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(out), text(error))
    };
    let (code, listed, error) = run(&["apis", "discovered"]);
    assert_eq!(code, Some(0), "{error}");
    assert!(
        listed.contains("billing\t/billing\t12 requests"),
        "{listed}"
    );
    assert!(listed.contains("cookie\tcookie BILLSESSION\t8"), "{listed}");
    let (code, definition, _) = run(&["apis", "discovered", "--definition", "billing"]);
    assert_eq!(code, Some(0));
    let file = ase.folder.path().join("billing.json");
    std::fs::write(&file, definition).unwrap();
    let (code, _, error) = run(&["api", "add", file.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{error}");
    let (code, _, error) = run(&["apis", "discovered", "--definition", "billing"]);
    assert_eq!(code, Some(1), "{error}");
    assert!(
        error.contains("no API \"billing\" is discovered"),
        "{error}"
    );
}
