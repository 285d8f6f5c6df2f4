//! What the behaviour engine has found, over the management port: looking at it, taking it back, and the documented paths.

use std::process::Command;

use serde_json::{Value, json};

use crate::engine::{batch, event, failures, listed};
use crate::harness::{Ase, record, wait_for};

/// The one detection of a prober, when it is stored.
pub(crate) fn detected(ase: &Ase, client: &str) -> Value {
    batch(ase, &failures(client, "shop"));
    wait_for("the detection", || {
        let (status, found) = ase.admin("GET", "/v1/attacks", &Value::Null);
        assert_eq!(status, 200, "{found}");
        found["detections"]
            .as_array()?
            .iter()
            .find(|found| found["identifier"] == client)
            .cloned()
    })
}

#[test]
fn an_attack_that_is_taken_back_frees_its_client_and_is_not_found_again() {
    let ase = Ase::start();
    let attack = detected(&ase, "203.0.113.9");
    let path = format!("/v1/attacks/{}", attack["id"]);
    let (status, shown) = ase.admin("GET", &path, &Value::Null);
    assert_eq!((status, &shown["identifier"]), (200, &attack["identifier"]));
    let (status, undone) = ase.admin(
        "POST",
        &format!("{path}/undo"),
        &json!({"lesson": "client"}),
    );
    assert_eq!(status, 200, "{undone}");
    assert_eq!(
        (&undone["removed"], &undone["learned"]),
        (&json!(1), &json!(true))
    );
    assert_eq!(listed(&ase), [] as [Value; 0]);
    let (_, shown) = ase.admin("GET", &path, &Value::Null);
    assert_eq!(shown["undone"], json!(true));
    assert!(
        ase.audit_log().contains("undo_attack"),
        "{}",
        ase.audit_log()
    );
    let name = attack["name"].as_str().unwrap();
    let again: Vec<Value> = failures("203.0.113.9", "shop")
        .into_iter()
        .map(|mut record| {
            record["id"] = json!(format!("again-{}", record["id"].as_str().unwrap()));
            record
        })
        .collect();
    let all_of = |count: u64| (event(&ase, "observed") == count).then_some(());
    wait_for("the first records", || all_of(20));
    batch(&ase, &again);
    wait_for("the records", || all_of(40));
    let (_, found) = ase.admin("GET", &format!("/v1/attacks?name={name}"), &Value::Null);
    assert_eq!(found["detections"].as_array().unwrap().len(), 1, "{found}");
}

#[test]
fn undoing_an_attack_leaves_what_an_operator_has_listed() {
    let ase = Ase::start();
    let attack = detected(&ase, "203.0.113.9");
    ase.deny(&json!({"type": "ip", "value": "203.0.113.9"}));
    let path = format!("/v1/attacks/{}/undo", attack["id"]);
    assert_eq!(ase.admin("POST", &path, &Value::Null).0, 200);
    let entries = listed(&ase);
    assert_eq!(
        (entries.len(), &entries[0]["source"]),
        (1, &json!("manual"))
    );
    for (path, status) in [("/v1/attacks/999/undo", 404), ("/v1/attacks/x/undo", 404)] {
        assert_eq!(ase.admin("POST", path, &Value::Null).0, status, "{path}");
    }
    let wrong = ase.admin("POST", &path, &json!({"lesson": "nothing"}));
    assert_eq!(wrong.0, 400);
}

#[test]
fn what_is_known_of_a_client_is_told_by_address_and_by_raw_credential() {
    let ase = Ase::start();
    detected(&ase, "203.0.113.9");
    let (status, client) = ase.admin("GET", "/v1/clients/203.0.113.9", &Value::Null);
    assert_eq!(status, 200, "{client}");
    assert_eq!(client["behaviour"]["requests"], json!(20));
    assert_eq!(client["listed"]["deny"][0]["source"], json!("engine"));
    assert_eq!(client["detections"][0]["identifier"], json!("203.0.113.9"));
    let mut with_token = record("t", "192.0.2.1", "/shop");
    with_token["request"]["headers"] =
        json!([{"host": "api.example.com"}, {"authorization": "Bearer abc123"}]);
    batch(&ase, &[with_token]);
    let named = json!({"type": "token", "value": "abc123"});
    let client = wait_for("the token", || {
        let (status, client) = ase.admin("POST", "/v1/clients", &named);
        assert_eq!(status, 200, "{client}");
        (!client["behaviour"].is_null()).then_some(client)
    });
    assert!(!client.to_string().contains("abc123"), "{client}");
    assert_eq!(client["behaviour"]["requests"], json!(1));
    assert_eq!(
        ase.admin("GET", "/v1/clients/nonsense", &Value::Null).0,
        400
    );
    let (_, unknown) = ase.admin("GET", "/v1/clients/192.0.2.77", &Value::Null);
    assert!(unknown["behaviour"].is_null(), "{unknown}");
}

#[test]
fn the_state_of_the_engine_is_told() {
    let ase = Ase::start();
    detected(&ase, "203.0.113.9");
    let (status, engine) = ase.admin("GET", "/v1/engine", &Value::Null);
    assert_eq!((status, &engine["enable_abs"]), (200, &json!(true)));
    wait_for("the count", || {
        (ase.admin("GET", "/v1/engine", &Value::Null).1["events"]["observed"] == 20).then_some(())
    });
    assert!(
        engine["detections"]
            .as_object()
            .is_some_and(|found| !found.is_empty()),
        "{engine}"
    );
}

/// What the command says of an address.
fn shown(ase: &Ase, address: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ase"));
    command.args(["clients", "show", "ip", address, "--state-dir"]);
    let output = command.arg(ase.folder.path().join("state")).output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_client_is_shown_with_what_holds_for_it_why_and_what_it_did() {
    let ase = Ase::start();
    let walk: Vec<Value> = (0..40)
        .map(|id| {
            let path = format!("/shop/orders/{}", 100 + id);
            record(&format!("w{id}"), "198.51.100.7", &path)
        })
        .collect();
    batch(&ase, &walk);
    wait_for("the listing", || (listed(&ase).len() == 1).then_some(()));
    let text = shown(&ase, "198.51.100.7");
    for expected in [
        "198.51.100.7\non the deny list\tuntil 2",
        "scope all, by engine\tObject enumeration: A ",
        "\tenumeration\tshop\t1x\tlisted\n  A\tdistinct ids asked for on one route within half an hour: 24.0, threshold 24.0 (Tn reached)",
        "40 requests from 2",
        "listed by the engine 1x; ",
        "\tdistinct ids asked for on one route within half an hour, about\n",
        // Steps of the walk before it was found out, and what came after.
        "\tGET\t/shop/orders/111\t200\t198.51.100.7\tcurl/8\n",
    ] {
        assert!(text.contains(expected), "{expected:?}: {text}");
    }
    assert!(text.matches("/shop/orders/").count() >= 6, "{text}");
    let stranger = shown(&ase, "192.0.2.200");
    assert!(
        stranger.contains("on no list\nthe engine does not watch it"),
        "{stranger}"
    );
}
