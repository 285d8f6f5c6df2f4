//! The documented paths of the original's analysis engine: its list, its reports, and the restricted keys.

use std::time::Duration;

use serde_json::{Value, json};

use crate::attacks::detected;
use crate::engine::{batch, event, listed};
use crate::harness::{Ase, record, wait_for};

/// A call with the documented headers.
fn call(ase: &Ase, method: &str, path: &str, body: &str) -> (u16, Value) {
    let secret = ase.credentials()[1].1.to_owned();
    let headers = [("x-abs-ak", "admin"), ("x-abs-sk", secret.as_str())];
    answer(ase, method, path, &headers, body)
}

fn get(ase: &Ase, path: &str) -> Value {
    let (status, answer) = call(ase, "GET", path, "");
    assert_eq!(status, 200, "{path}: {answer}");
    answer
}

fn restricted_secret(ase: &Ase) -> String {
    let file = ase.folder.path().join("state/restricted.secret");
    std::fs::read_to_string(file).unwrap().trim().to_owned()
}

fn as_restricted(ase: &Ase, method: &str, path: &str, body: &str) -> (u16, Value) {
    let secret = restricted_secret(ase);
    let headers = [
        ("x-abs-ak-ru", "restricted"),
        ("x-abs-sk-ru", secret.as_str()),
    ];
    answer(ase, method, path, &headers, body)
}

fn answer(
    ase: &Ase,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> (u16, Value) {
    let mut connection = ase.connect_admin();
    let reply = connection.call(method, path, headers, body.as_bytes());
    (reply.status, serde_json::from_str(&reply.body).unwrap())
}

/// A minute as the documented parameters have it, so many minutes from now.
fn minute(offset: i64) -> String {
    let now = ase_service::clock::now();
    let step = Duration::from_secs(offset.unsigned_abs() * 60);
    let at = if offset < 0 {
        ase_core::time::UnixMillis(now.0 - u64::try_from(step.as_millis()).unwrap())
    } else {
        now.after(step)
    };
    ase_service::clock::rfc3339(at).chars().take(16).collect()
}

#[test]
fn the_attack_list_tells_whom_the_engine_lists_and_has_listed_and_takes_them_off() {
    let ase = Ase::start();
    detected(&ase, "203.0.113.9");
    let list = get(&ase, "/v4/abs/attacklist?status=active");
    assert_eq!(list["ips"][0]["value"], json!("203.0.113.9"));
    let none = get(&ase, "/v4/abs/attacklist?status=expired");
    assert_eq!(none["ips"], json!([]));
    let old = get(&ase, "/v4/abs/attacklist?later_date=2020-01-01T00:00");
    assert_eq!(old["ips"], json!([]));
    let one = r#"{"ips": ["203.0.113.9"]}"#;
    let (status, done) = call(&ase, "PUT", "/v4/abs/attacklist", one);
    assert_eq!(
        (status, &done["status_message"]),
        (200, &json!("1 entries deleted from the attack list"))
    );
    assert_eq!(listed(&ase), [] as [Value; 0]);
    let over = get(&ase, "/v4/abs/attacklist?status=expired");
    assert_eq!(over["ips"][0]["value"], json!("203.0.113.9"));
    assert_eq!(over["ips"][0]["status"], json!("expired"));
    detected(&ase, "198.51.100.7");
    let all = r#"{"delete_all_ips": true}"#;
    assert_eq!(call(&ase, "DELETE", "/v4/abs/attacklist", all).0, 200);
    assert_eq!(listed(&ase), [] as [Value; 0]);
}

#[test]
fn a_report_on_an_attack_has_the_documented_codes_of_what_was_measured() {
    let ase = Ase::start();
    let attack = detected(&ase, "203.0.113.9");
    let report = get(
        &ase,
        &format!("/v4/abs/attack?type={}", attack["attack_id"]),
    );
    assert_eq!(report["total_ioc"], json!(1));
    let found = &report["details"][0];
    let code = found["attack_code"].as_str().unwrap();
    assert!(code.contains("varB(Tn, 100)"), "{found}");
    let deviation = found["attack_deviation"].as_str().unwrap();
    assert!(deviation.contains("varB(100%)"), "{found}");
    let later = format!("/v4/abs/attack?type=0&earlier_date={}", minute(10));
    assert_eq!(get(&ase, &later)["total_ioc"], json!(0));
    let known = format!("/v4/abs/attack?type=0&later_date={}", minute(10));
    assert_eq!(get(&ase, &known)["total_ioc"], json!(1));
}

#[test]
fn a_report_on_a_client_has_its_session_in_the_documented_shape() {
    let ase = Ase::start();
    detected(&ase, "203.0.113.9");
    let report = get(&ase, "/v4/abs?ip=203.0.113.9");
    // Eight requests of a suspect are kept: the first four odd ones and the latest four.
    let summary = json!({"total_requests": 20, "total_anomalies": 8, "total_ioc": 1});
    assert_eq!(report["summary"], summary);
    let session = &report["details"]["metrics"][0];
    assert_eq!(session["session_id"], json!("203.0.113.9"));
    assert_eq!(session["source_ip"], json!(["203.0.113.9"]));
    assert_eq!(session["user_agent"], json!(["curl/8"]));
    assert_eq!(session["total_requests"], json!(20));
    let paths = session["path_info"].as_array().unwrap();
    assert!(paths.contains(&json!("/shop/.env")), "{session}");
    assert_eq!(
        report["details"]["anomalies"][0]["anomaly"],
        json!("sensitive path")
    );
    let later = format!("/v4/abs?ip=203.0.113.9&earlier_date={}", minute(10));
    let none = json!({"total_requests": 0, "total_anomalies": 0, "total_ioc": 0});
    assert_eq!(get(&ase, &later)["summary"], none);
}

#[test]
fn metrics_tell_of_each_api_what_it_has_answered_and_what_was_detected_on_it() {
    let ase = Ase::start();
    detected(&ase, "203.0.113.9");
    let mut records: Vec<Value> = (0..5)
        .map(|number| record(&format!("m{number}"), "192.0.2.1", "/catalog/books"))
        .collect();
    records[0]["request"]["method"] = json!("POST");
    records[1]["response"]["response_code"] = json!(503);
    records.push(record("other", "192.0.2.1", "/elsewhere"));
    batch(&ase, &records);
    wait_for("the records", || {
        (event(&ase, "observed") == 26).then_some(())
    });
    let report = get(&ase, "/v4/abs/metrics");
    let apis = report["apis"].as_array().unwrap();
    let of = |name: Value| apis.iter().find(|api| api["api_name"] == name).unwrap();
    let catalog = of(json!("catalog"));
    assert_eq!(catalog["total_requests"], json!(5));
    assert_eq!(
        catalog["responses"],
        json!({"success": 4, "server_errors": 1})
    );
    assert_eq!(catalog["backend_errors"], json!({"503": 1}));
    assert_eq!(catalog["methods"], json!({"GET": 4, "POST": 1}));
    assert_eq!(catalog["identified_by"], json!({"ip": 5}));
    // The one that failed has a content-length too.
    assert_eq!(catalog["response_bytes"], json!(60));
    assert_eq!(catalog["duration_ms"], json!({"mean": 1.5, "longest": 1.5}));
    assert_eq!(catalog["api_url"], json!("/catalog"));
    assert_eq!(of(json!("shop"))["attacks"].as_object().unwrap().len(), 1);
    assert_eq!(of(Value::Null)["total_requests"], json!(1));
    let one = get(&ase, "/v4/abs/metrics?api_name=catalog");
    assert_eq!(one["apis"].as_array().unwrap().len(), 1);
    let tomorrow = format!("/v4/abs/metrics?earlier_date={}", minute(60));
    assert_eq!(get(&ase, &tomorrow)["apis"], json!([]));
    let unknown = call(&ase, "GET", "/v4/abs/metrics?api_name=none", "");
    assert_eq!(unknown.0, 404, "{}", unknown.1);
    // An API that is defined and had no traffic is no unknown one.
    assert_eq!(
        get(&ase, "/v4/abs/metrics?api_name=hosted")["apis"],
        json!([])
    );
}

#[test]
fn discovery_tells_the_apis_that_no_definition_covers_and_one_of_them_in_full() {
    let ase = Ase::start();
    let records: Vec<Value> = (0..12)
        .map(|n| {
            record(
                &format!("d{n}"),
                "192.0.2.7",
                &format!("/api/v2/invoices/{}", 1000 + 37 * n),
            )
        })
        .collect();
    batch(&ase, &records);
    let summary = wait_for("the API", || {
        let found = get(&ase, "/v4/abs/discovery");
        (found["discovered_apis"][0]["total_requests"] == 12).then_some(found)
    });
    let api = &summary["discovered_apis"][0];
    assert_eq!(
        (&summary["total_apis"], &api["api_name"]),
        (&json!(1), &json!("api_v2"))
    );
    let servers = json!([{"host": "0.0.0.0", "status": "not available"}]);
    assert_eq!(api["servers"], servers);
    let full = get(&ase, "/v4/abs/discovery?api_name=api_v2");
    assert_eq!(full["templates"][0]["path"], json!("/api/v2/invoices/{id}"));
    let definition = json!({"api_metadata": full["api_metadata"]});
    let (status, added) = ase.admin("PUT", "/v1/api/api_v2", &definition);
    assert_eq!(status, 200, "{added}");
    assert_eq!(call(&ase, "GET", "/v4/abs/discovery?api_name=x", "").0, 404);
}

#[test]
fn the_restricted_keys_read_reports_without_learning_who_anybody_is_and_change_nothing() {
    let ase = Ase::start();
    let attack = detected(&ase, "203.0.113.9");
    let mut names = Vec::new();
    for path in [
        "/v4/abs/attacklist",
        "/v4/abs/attack?type=0",
        "/v4/abs?ip=203.0.113.9",
        "/v4/abs/metrics",
        "/v4/abs/discovery",
    ] {
        let (status, report) = as_restricted(&ase, "GET", path, "");
        assert_eq!(status, 200, "{path}: {report}");
        assert!(
            !report.to_string().contains("203.0.113"),
            "{path}: {report}"
        );
        // A path may hold a name.
        assert!(!report.to_string().contains("/.env"), "{path}: {report}");
        for place in ["/ips/0/value", "/details/0/identifier", "/identifier"] {
            names.extend(report.pointer(place).cloned());
        }
    }
    // One client has one pseudonym.
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(names[0].as_str().unwrap().starts_with("ip ~"), "{names:?}");
    assert!(names.iter().all(|name| *name == names[0]), "{names:?}");
    let all = r#"{"delete_all": true}"#;
    assert_eq!(
        as_restricted(&ase, "DELETE", "/v4/abs/attacklist", all).0,
        403
    );
    assert_eq!(listed(&ase).len(), 1);
    for path in [
        "/v1/deny",
        "/v1/attacks",
        "/v4/ase/api",
        "/v4/absx",
        "/openapi.json",
    ] {
        let status = as_restricted(&ase, "GET", path, "").0;
        let open = path == "/openapi.json";
        assert_eq!(status, if open { 200 } else { 401 }, "{path}");
    }
    assert_eq!(attack["identifier"], json!("203.0.113.9"));
}

#[test]
fn the_restricted_secret_is_made_at_the_first_start_kept_and_changed_at_once() {
    let ase = Ase::start();
    let first = restricted_secret(&ase);
    assert!(first.len() >= 32 && first != ase.credentials()[1].1);
    let ase = Ase::in_folder(ase.stop_and_keep());
    assert_eq!(restricted_secret(&ase), first);
    let (status, changed) = ase.admin("PUT", "/v1/secret/restricted", &Value::Null);
    assert_eq!(status, 200, "{changed}");
    assert_eq!(changed["secret"], json!(restricted_secret(&ase)));
    assert_ne!(restricted_secret(&ase), first);
    assert_eq!(as_restricted(&ase, "GET", "/v4/abs/attacklist", "").0, 200);
    let old = [
        ("x-abs-ak-ru", "restricted"),
        ("x-abs-sk-ru", first.as_str()),
    ];
    assert_eq!(answer(&ase, "GET", "/v4/abs/attacklist", &old, "").0, 401);
    assert!(ase.audit_log().contains("update_restricted_secret"));
}

#[test]
fn a_wrong_call_is_refused_and_a_stranger_sees_nothing() {
    let ase = Ase::start();
    for path in [
        "/v4/abs/attack?type=x",
        "/v4/abs",
        "/v4/abs/attacklist?status=some",
        "/v4/abs/metrics?earlier_date=yesterday",
        "/v4/abs/discovery?later_date=2026-01-01T00:00",
    ] {
        assert_eq!(call(&ase, "GET", path, "").0, 400, "{path}");
    }
    for headers in [
        [("x-abs-ak", "admin"), ("x-abs-sk", "x")],
        [("x-abs-ak-ru", "restricted"), ("x-abs-sk-ru", "")],
    ] {
        let refused = answer(&ase, "GET", "/v4/abs/attacklist", &headers, "");
        assert_eq!(refused.0, 401, "{headers:?}");
    }
}
