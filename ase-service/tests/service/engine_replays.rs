//! `ase replay --engine`: a recorded log through the engine, without a daemon.

use std::fmt::Write as _;
use std::process::Command;

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
