//! `ase replay` against a real HTTP server: the data port itself, which answers anything.

use std::io::Write as _;
use std::process::Command;

use serde_json::Value;

use crate::harness::Ase;

fn replay(ase: &Ase, log: &[u8], more: &[&str]) -> (Option<i32>, Value) {
    let path = ase.folder.path().join("replayed.log");
    std::fs::File::create(&path)
        .unwrap()
        .write_all(log)
        .unwrap();
    let addresses: Value = serde_json::from_slice(
        &std::fs::read(ase.folder.path().join("state/addresses.json")).unwrap(),
    )
    .unwrap();
    let gateway = format!("http://{}", addresses["data"].as_str().unwrap());
    let mut command = Command::new(env!("CARGO_BIN_EXE_ase"));
    let output = command
        .arg("replay")
        .arg(path)
        .args(["--json", "--gateway", &gateway])
        .args(more)
        .output()
        .unwrap();
    (
        output.status.code(),
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null),
    )
}

#[test]
fn every_request_of_a_log_is_sent_once_and_the_rest_is_named() {
    let ase = Ase::start();
    let mut log = Vec::new();
    for number in 0..300 {
        log.extend(
            format!(
                "203.0.113.{} - - [t] \"GET /ase?{number} HTTP/1.1\" 200 1 \"-\" \"agent\"\n",
                number % 256
            )
            .into_bytes(),
        );
    }
    log.extend(b"203.0.113.1 - - [t] \"-\" 408 0 \"-\" \"-\"\nnonsense\n\n203.0.113.1 - - [t] \"HEAD /ase HTTP/1.0\" 200 1\n");
    log.extend(b"203.0.113.1 - - [t] \"GET /\\xff\\\" b HTTP/1.1\" 200 1 \"-\" \"\\x01\"\n");
    let (code, summary) = replay(&ase, &log, &[]);
    assert_eq!(code, Some(0));
    assert_eq!(
        (
            &summary["lines"],
            &summary["requests"],
            &summary["answered"]
        ),
        (&305.into(), &302.into(), &302.into()),
        "{summary}"
    );
    assert_eq!(
        (&summary["statuses"]["200"], &summary["statuses"]["404"]),
        (&301.into(), &1.into()),
        "{summary}"
    );
    assert_eq!(
        summary["unsendable"]["no request"]["first_lines"],
        serde_json::json!([301])
    );
    assert_eq!(
        summary["unsendable"]["not a line of the log's format"]["first_lines"],
        serde_json::json!([302])
    );
    assert_eq!(summary["targets_encoded"], 1);
    let (_, limited) = replay(
        &ase,
        &log,
        &["--limit", "7", "--rate", "1000/s", "--concurrency", "1"],
    );
    assert_eq!(limited["answered"], 7);
}

#[test]
fn a_gateway_that_is_remote_or_absent_is_refused() {
    let ase = Ase::start();
    let line = b"203.0.113.1 - - [t] \"GET / HTTP/1.1\" 200 1\n";
    assert_eq!(replay(&ase, line, &[]).0, Some(0));
    let run = |gateway: &str| {
        let log = ase.folder.path().join("replayed.log");
        let mut command = Command::new(env!("CARGO_BIN_EXE_ase"));
        command
            .arg("replay")
            .arg(log)
            .args(["--gateway", gateway])
            .output()
            .unwrap()
    };
    let remote = run("http://192.0.2.1:80");
    assert_eq!(remote.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&remote.stderr).contains("--allow-remote"));
    assert_eq!(run("http://127.0.0.1:1").status.code(), Some(69));
    assert_eq!(run("https://127.0.0.1:1").status.code(), Some(1));
}

#[test]
fn a_log_without_a_request_that_can_be_sent_is_an_error() {
    let ase = Ase::start();
    for log in [&b""[..], b"\n\n", b"garbage\nmore garbage\n"] {
        let (code, summary) = replay(&ase, log, &[]);
        assert_eq!(code, Some(1), "{summary}");
        assert_eq!(summary["sent"], 0);
    }
}
