//! The management port over real HTTP: documented paths, guard, audit log, and bodies of any kind.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::harness::{Ase, CATALOG, question};

const CART: &str = r#"{"api_metadata": {"protocol": "http", "url": "/cart", "hostname": "*", "enable_blocking": true}}"#;

fn document(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// The files of the API folder by name.
fn files(ase: &Ase) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(ase.folder.path().join("apis")).unwrap();
    entries
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read(path).unwrap())
        })
        .collect()
}

#[test]
fn an_api_lives_and_dies_by_the_documented_calls_of_both_versions() {
    for version in ["v4", "v5"] {
        let ase = Ase::start();
        let path = format!("/{version}/ase/api");
        let cart = format!("{path}?api_id=cart");
        let ask = || ase.ask("1", &question("192.0.2.1", "/cart")).status;
        assert_eq!(ask(), 503);
        let (status, answer) = ase.admin("POST", &cart, &document(CART));
        assert_eq!((status, &answer["status"]), (200, &json!("success")));
        assert_eq!(ask(), 200, "an API is live when its call is answered");
        let (_, list) = ase.admin("GET", &path, &Value::Null);
        let ids: Vec<&Value> = list["api"]
            .as_array()
            .unwrap()
            .iter()
            .map(|api| &api["api_id"])
            .collect();
        assert_eq!(ids, ["cart", "catalog", "hosted", "shop"]);
        let (_, read) = ase.admin("GET", &cart, &Value::Null);
        assert_eq!(read["api_metadata"], document(CART)["api_metadata"]);
        let moved = document(&CART.replace("/cart", "/basket"));
        assert_eq!(
            ase.admin("POST", &cart, &moved).0,
            409,
            "it is there already"
        );
        assert_eq!(ase.admin("PUT", &cart, &moved).0, 200);
        assert_eq!(ask(), 503);
        assert_eq!(ase.ask("2", &question("192.0.2.1", "/basket")).status, 200);
        assert_eq!(ase.admin("DELETE", &cart, &Value::Null).0, 200);
        assert_eq!(ase.ask("3", &question("192.0.2.1", "/basket")).status, 503);
        for method in ["GET", "PUT", "DELETE"] {
            assert_eq!(ase.admin(method, &cart, &moved).0, 404, "{method}");
        }
        assert_eq!(files(&ase).len(), 3);
    }
}

#[test]
fn a_definition_with_faults_changes_nothing_and_every_fault_is_named() {
    let ase = Ase::start();
    let before = files(&ase);
    let broken = json!({"api_metadata": {"url": 3, "hostname": ""}});
    let (status, answer) = ase.admin("PUT", "/v1/api/shop", &broken);
    assert_eq!(
        (status, answer["faults"].as_array().unwrap().len()),
        (400, 2),
        "{answer}"
    );
    let (status, answer) = ase.admin("PUT", "/v5/ase/api?api_id=shop", &broken);
    assert_eq!((status, &answer["status"]), (400, &json!("failed")));
    assert_eq!(answer["faults"].as_array().unwrap().len(), 2, "{answer}");
    // Host and path of another API.
    let (status, answer) = ase.admin("PUT", "/v1/api/shop2", &document(CATALOG));
    assert_eq!(status, 400);
    assert!(
        answer["faults"][0].as_str().unwrap().contains("catalog"),
        "{answer}"
    );
    for id in ["a.b", "%2e%2e%2fx", "", "x%00"] {
        let (status, answer) =
            ase.admin("POST", &format!("/v5/ase/api?api_id={id}"), &document(CART));
        assert_eq!(status, 400, "{id:?}: {answer}");
    }
    for query in ["", "?api_id=a&api_id=b", "?id=a", "?api_id=%ff&x"] {
        let (status, answer) = ase.admin("DELETE", &format!("/v4/ase/api{query}"), &Value::Null);
        assert_eq!(status, 400, "{query}: {answer}");
    }
    assert_eq!(files(&ase), before);
    assert_eq!(ase.ask("1", &question("192.0.2.1", "/shop")).status, 200);
    assert_eq!(ase.audit_log(), "");
}

#[test]
fn what_management_has_put_survives_a_restart() {
    let ase = Ase::start();
    assert_eq!(ase.admin("PUT", "/v1/api/cart", &document(CART)).0, 200);
    assert_eq!(ase.admin("DELETE", "/v1/api/catalog", &Value::Null).0, 200);
    let ase = Ase::in_folder(ase.stop_and_keep());
    assert_eq!(ase.ask("1", &question("192.0.2.1", "/cart")).status, 200);
    assert_eq!(ase.ask("2", &question("192.0.2.1", "/catalog")).status, 503);
}

#[test]
fn a_web_page_is_refused_whatever_it_knows() {
    let ase = Ase::with("admin_hosts = [\"ase.internal\"]\n");
    let port = ase.connect_admin().peer().port();
    let [(access, name), (secret, value)] = ase.credentials();
    let status = |lines: &str| {
        let mut connection = ase.connect_admin();
        let head = format!(
            "GET /v1/deny HTTP/1.1\r\n{access}: {name}\r\n{secret}: {value}\r\n{lines}\r\n"
        );
        connection.send(head.as_bytes());
        connection.reply().status
    };
    for own in [
        "127.0.0.1",
        "localhost",
        "LocalHost.",
        "[::1]",
        "ase.internal",
        "10.1.2.3",
    ] {
        assert_eq!(status(&format!("Host: {own}:{port}\r\n")), 200, "{own}");
        assert_eq!(
            status(&format!("Host: {own}:{port}\r\nOrigin: http://{own}\r\n")),
            403,
            "{own}"
        );
    }
    for foreign in [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "",
        "a b",
        "localhost, x",
    ] {
        assert_eq!(status(&format!("Host: {foreign}\r\n")), 403, "{foreign:?}");
    }
    assert_eq!(status("Host: localhost\r\nHost: localhost\r\n"), 403);
    assert_eq!(status("Host: localhost\r\nOrigin: null\r\n"), 403);
    assert_eq!(status(""), 403);
}

#[test]
fn a_body_over_the_bound_is_refused_in_the_shape_of_its_path() {
    let ase = Ase::start();
    let body = vec![b' '; 3 * 1024 * 1024];
    for (path, key) in [
        ("/v1/deny", "faults"),
        ("/v5/ase/firewall/blacklist", "status_message"),
    ] {
        let reply = ase
            .connect_admin()
            .call("POST", path, &ase.credentials(), &body);
        assert_eq!(reply.status, 413, "{path}: {}", reply.body);
        let answer: Value = serde_json::from_str(&reply.body).unwrap();
        assert!(answer[key].to_string().contains("body"), "{answer}");
        // Whoever is not let in is refused before the body is looked at.
        let stranger = ase.connect_admin().call("POST", path, &[], &body);
        assert_eq!(stranger.status, 401);
    }
}

#[test]
fn every_documented_call_is_served_and_no_other() {
    let ase = Ase::start();
    let document = ase.connect_admin().call("GET", "/openapi.json", &[], b"");
    assert_eq!(document.status, 200, "the document needs no secret");
    let document: Value = serde_json::from_str(&document.body).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().unwrap();
    for path in [
        "/v1/deny",
        "/v4/ase/api",
        "/v5/ase/api",
        "/v5/ase/cluster",
        "/livez",
        "/readyz",
        "/metrics",
    ] {
        assert!(paths.contains_key(path), "{path}");
    }
    for (path, operations) in paths {
        let path = path.replace("{id}", "shop");
        for method in ["GET", "POST", "PUT", "DELETE"] {
            // The log that is followed has no end.
            let mut asked = ase.connect_admin();
            asked.ask(method, &path, &ase.credentials(), b"?");
            let known = operations.get(method.to_ascii_lowercase()).is_some();
            assert_eq!(asked.reply_head().status != 405, known, "{method} {path}");
            let open = operations["get"]["security"][0]["accessKey"].is_null();
            if known && !open {
                let refused = ase.connect_admin().call(method, &path, &[], b"?");
                assert_eq!(refused.status, 401, "{method} {path} without the secret");
            }
        }
    }
    let unknown = ase
        .connect_admin()
        .call("GET", "/v6/ase/api", &ase.credentials(), b"");
    assert_eq!(unknown.status, 404);
}

#[test]
fn every_change_is_in_the_audit_log_before_it_is_answered_and_no_secret_is() {
    let ase = Ase::start();
    ase.deny(&json!({"type": "token", "value": "raw-secret-token", "reason": "a | b"}));
    assert!(
        ase.audit_log()
            .contains(" | rest_api | add_blacklist | username=admin, peer=127.0.0.1:")
    );
    ase.admin("PUT", "/v1/api/cart", &document(CART));
    ase.admin("PUT", "/v5/ase/api?api_id=cart", &document(CART));
    ase.admin("DELETE", "/v1/api/cart", &Value::Null);
    ase.admin(
        "DELETE",
        "/v1/deny",
        &json!({"type": "token", "value": "raw-secret-token"}),
    );
    let log = ase.audit_log();
    let actions: Vec<&str> = log
        .lines()
        .map(|line| line.split(" | ").nth(2).unwrap())
        .collect();
    assert_eq!(
        actions,
        [
            "add_blacklist",
            "add_api",
            "update_api",
            "delete_api",
            "delete_blacklist"
        ]
    );
    assert!(
        log.lines().all(|line| line.split(" | ").count() == 4),
        "{log}"
    );
    assert!(!log.contains("raw-secret"), "{log}");
    let [_, (_, secret)] = ase.credentials();
    assert!(!log.contains(secret));
}

/// JSON that is near to what calls take.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        Just("ip"),
        Just("token"),
        Just("192.0.2.9"),
        Just("::1/200"),
        Just("k1:00"),
        Just("all"),
        Just("api:shop"),
        Just("/shop"),
        Just("*"),
        Just(""),
        Just("\u{0}"),
        Just("true"),
        Just("admin"),
        Just("\u{2028}|,"),
    ];
    let leaf = prop_oneof![
        word.prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
    ];
    let key = prop_oneof![
        Just("type"),
        Just("value"),
        Just("name"),
        Just("scope"),
        Just("ttl_s"),
        Just("reason"),
        Just("api_metadata"),
        Just("url"),
        Just("hostname"),
        Just("protocol"),
        Just("enable_blocking"),
        Just("token"),
        Just("level"),
        Just("firewall"),
    ];
    let value = leaf.prop_recursive(3, 24, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key.clone().prop_map(str::to_owned), inner, 0..6)
                .prop_map(|object| Value::Object(object.into_iter().collect())),
        ]
    });
    prop_oneof![
        4 => value.prop_map(|value| value.to_string().into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..200),
    ]
}

/// Everything that a call could have changed.
fn everything(ase: &Ase) -> (BTreeMap<String, Vec<u8>>, Vec<Value>) {
    let calls = [
        "/v1/deny",
        "/v1/allow",
        "/v1/api",
        "/v1/tokens",
        "/v1/switches",
    ];
    let shown = calls.map(|path| ase.admin("GET", path, &Value::Null).1);
    (files(ase), shown.to_vec())
}

#[test]
fn no_body_takes_the_port_down_or_is_applied_by_half() {
    let ase = Ase::start();
    let document = ase.admin("GET", "/openapi.json", &Value::Null).1;
    let mut calls = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            // A body that asks for nothing draws a new secret, after which no call is let in.
            let changes = method != "get" && path != "/v1/secret";
            if changes && operation.get("requestBody").is_some() {
                let id = path.replace("{id}", "shop");
                let query = if path.ends_with("/api") {
                    "?api_id=shop"
                } else {
                    ""
                };
                calls.push((method.to_ascii_uppercase(), format!("{id}{query}")));
            }
        }
    }
    assert!(calls.len() >= 8, "{calls:?}");
    let mut runner = TestRunner::new(Config::with_cases(200));
    let strategy = (prop::sample::select(calls), body());
    let outcome = runner.run(&strategy, |((method, path), body)| {
        let before = everything(&ase);
        let reply = ase
            .connect_admin()
            .call(&method, &path, &ase.credentials(), &body);
        let answer: Value = serde_json::from_str(&reply.body).unwrap();
        let after = everything(&ase);
        if reply.status >= 300 {
            prop_assert!(
                (400..500).contains(&reply.status),
                "{method} {path}: {answer}"
            );
            prop_assert!(!answer["faults"].as_array().unwrap().is_empty());
            prop_assert_eq!(before, after);
        }
        Ok(())
    });
    outcome.unwrap();
}
