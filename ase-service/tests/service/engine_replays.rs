//! `ase replay --engine`: a recorded log through the engine, without a daemon.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

/// A prober and two ordinary clients, one request a second.
fn log() -> String {
    let mut log = String::new();
    for number in 0..40 {
        let time = format!("10/Dec/2024:10:00:{number:02} +0000");
        let probe = ["old", "backup.zip", ".env", "phpinfo.php", "admin.php"][number % 5];
        let lines = [
            ("203.0.113.9", format!("/{number}/{probe}"), 404),
            ("192.0.2.1", "/books".to_owned(), 200),
            ("192.0.2.2", format!("/books/{}", number % 3), 200),
        ];
        for (client, path, status) in lines {
            writeln!(
                log,
                "{client} - - [{time}] \"GET {path} HTTP/1.1\" {status} 99 \"-\" \"Mozilla/5.0\""
            )
            .unwrap();
        }
    }
    log + "nonsense\n"
}

fn study(more: &[&str]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let (file, truth) = (
        folder.path().join("a.log"),
        folder.path().join("labels.csv"),
    );
    std::fs::write(&file, log()).unwrap();
    let labels = "ip,label\n203.0.113.9,attack\n192.0.2.1,benign\n192.0.2.2,benign\n";
    std::fs::write(&truth, labels).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_ase"));
    command.arg("replay").arg(&file).arg("--engine").args(more);
    if more.contains(&"--truth") {
        command.arg(&truth);
    }
    let output = command.output().unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap(),
    )
}

#[test]
fn a_recorded_prober_is_found_on_the_logs_own_clock_and_what_a_listing_would_have_stopped_is_counted()
 {
    let (code, text) = study(&["--json"]);
    let study: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(code, Some(0));
    assert_eq!(
        (
            &study["transactions"],
            &study["clients"],
            &study["clients_listed"]
        ),
        (&json!(120), &json!(3), &json!(1))
    );
    assert_eq!(study["left_out"]["without client, time or form"], json!(1));
    let verdicts = study["verdicts"].as_array().unwrap();
    let prober = verdicts
        .iter()
        .find(|client| client["client"] == "203.0.113.9")
        .unwrap();
    let at = prober["listed_at_request"].as_u64().unwrap();
    assert_eq!(prober["stopped"], json!(40 - at));
    assert!(
        study["found"][0]["time"]
            .as_str()
            .unwrap()
            .starts_with("2024-12-10T10:00:"),
        "{study}"
    );
}

#[test]
fn with_labels_precision_and_recall_come_with_intervals() {
    let (code, text) = study(&["--truth"]);
    assert_eq!(code, Some(0), "{text}");
    for line in [
        "precision: 1 of 1 (100 %, 95 % interval 20.7 to 100 %)",
        "attackers with 5 requests or more: 1 of 1",
        "false positives per 1,000 benign clients: 0.0",
        "requests let through before the block: median ",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
}

#[test]
fn a_gateway_or_an_engine_is_needed_and_not_both() {
    for arguments in [&["--gateway", "http://127.0.0.1:1"][..], &["--rate", "5"]] {
        assert_eq!(study(arguments).0, Some(2), "{arguments:?}");
    }
    let neither = Command::new(env!("CARGO_BIN_EXE_ase"))
        .args(["replay", "x.log"])
        .output()
        .unwrap();
    assert_eq!(neither.status.code(), Some(2));
}

fn ase(arguments: &[&str], input: &str) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ase"));
    command.args(arguments).stdin(Stdio::piped());
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that refuses its arguments does not read.
    drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn a_log_is_read_from_standard_input_and_one_without_a_readable_line_is_said_to_be_such() {
    let (code, text, _) = ase(&["replay", "-", "--engine"], &log());
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("120 transactions of 3 clients"), "{text}");
    let left_out = "1 lines left out: without client, time or form; the first is line 121";
    assert!(text.contains(left_out), "{text}");
    let (code, _, error) = ase(&["replay", "-", "--engine"], "a\nb\n");
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains("no line of the log has a client"), "{error}");
}

#[test]
fn who_is_missed_or_listed_by_mistake_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let truth = folder.path().join("labels.csv");
    let labels = "ip,label\n203.0.113.9,benign\n192.0.2.1,attack\n192.0.2.99,attack\n";
    std::fs::write(&truth, labels).unwrap();
    let truth = truth.to_str().unwrap();
    let (code, text, _) = ase(&["replay", "-", "--engine", "--truth", truth], &log());
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("missed\t192.0.2.1\t40 requests"), "{text}");
    assert!(
        text.contains("false alarm\t203.0.113.9\tAPI probing"),
        "{text}"
    );
    assert!(
        text.contains("1 labelled clients are not in the log"),
        "{text}"
    );
}

#[test]
fn with_the_definitions_the_engine_knows_declared_routes_as_a_daemon_would() {
    let folder = tempfile::tempdir().unwrap();
    let definition =
        r#"{"api_metadata": {"url": "/", "hostname": "a.example", "routes": ["/users/{name}"]}}"#;
    let file = folder.path().join("shop.json");
    std::fs::write(&file, definition).unwrap();
    let mut log = String::new();
    for number in 0..60_u8 {
        let name = [b'a' + number / 8, b'a' + number % 8, b'x'].map(char::from);
        let name = String::from_iter(name);
        let line = json!({"start_time": format!("2026-11-22T10:00:{number:02}.000Z"), "method": "GET", "path": format!("/users/{name}"),
            "authority": "a.example", "downstream_remote_address": "203.0.113.9:5000",
            "response_code": if number % 4 == 0 { 200 } else { 404 }});
        writeln!(log, "{line}").unwrap();
    }
    let apis = folder.path().to_str().unwrap();
    let with = |more: &[&str]| {
        let (code, text, error) = ase(&[&["replay", "-", "--engine"], more].concat(), &log);
        assert_eq!(code, Some(0), "{error}");
        text
    };
    let (known, unknown) = (with(&["--api-dir", apis]), with(&[]));
    assert!(known.contains("\tenumeration\t"), "{known}");
    assert!(!unknown.contains("\tenumeration\t"), "{unknown}");
    std::fs::write(&file, "{}").unwrap();
    let (code, _, error) = ase(&["replay", "-", "--engine", "--api-dir", apis], &log);
    assert_eq!(code, Some(1));
    assert!(error.contains("shop.json"), "{error}");
}

#[test]
fn who_tries_many_accounts_is_found_in_the_log_of_ase_by_the_user_names_that_were_known_then() {
    let folder = tempfile::tempdir().unwrap();
    let definition = r#"{"api_metadata": {"url": "/", "hostname": "*", "login_url": "/login"}}"#;
    std::fs::write(folder.path().join("shop.json"), definition).unwrap();
    let mut log = String::new();
    for number in 0..10 {
        let user = json!({"id": format!("k1:{number:032x}"), "kind": "username", "name": "user", "in": "header", "provenance": "claimed"});
        let line = json!({"time": format!("2026-11-22T10:00:{:02}.000Z", number * 5), "method": "POST", "url": "/login", "api": "shop",
            "decision": "verdict", "client_ip": "203.0.113.9", "response_code": 401, "credentials": [user]});
        writeln!(log, "{line}").unwrap();
    }
    let apis = folder.path().to_str().unwrap();
    let arguments = ["replay", "-", "--engine", "--api-dir", apis];
    let (code, text, error) = ase(&arguments, &log);
    assert_eq!(code, Some(0), "{error}");
    assert!(text.contains("\tcredential_stuffing\t"), "{text}");
}
