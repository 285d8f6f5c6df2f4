//! Batches: every line is dealt with or none is taken, and none is logged twice.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Ase, Reply, prepared, question, record, wait_for};

#[test]
fn good_lines_are_logged_once_and_bad_ones_are_named() {
    let ase = Ase::start();
    let (one, two) = (
        record("a-1", "192.0.2.1", "/shop"),
        record("a-2", "192.0.2.2", "/nowhere"),
    );
    let batch = format!("{one}\n\nnonsense\n{one}\n{two}\r\n{{\"id\":\"a b\"}}\n");
    let report = report(&ase.post(
        "/ase/batch",
        &[("content-type", "application/x-ndjson")],
        &batch,
    ));
    assert_eq!(
        (&report["accepted"], &report["duplicates"]),
        (&json!(2), &json!(1))
    );
    let rejected: Vec<_> = report["rejected"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["line"].as_u64().unwrap())
        .collect();
    assert_eq!(rejected, [3, 6]);
    let again = self::report(&ase.post("/ase/batch", &[], &batch));
    assert_eq!(
        (&again["accepted"], &again["duplicates"]),
        (&json!(0), &json!(3))
    );
    for (name, count) in [
        ("accepted", 2),
        ("records accepted", 2),
        ("records duplicate", 4),
        ("records rejected", 4),
    ] {
        assert_eq!(ase.counter("batches", name), count, "{name}");
    }
    let log = ase.stop();
    let ids: Vec<&Value> = log.iter().map(|line| &line["id"]).collect();
    assert_eq!(ids, ["a-1", "a-2"]);
    assert_eq!(
        (&log[0]["mode"], &log[0]["outcome"], &log[0]["duration_us"]),
        (&json!("async"), &json!("upstream"), &json!(1500))
    );
    assert_eq!(
        (&log[0]["response_code"], &log[0]["response_content_length"]),
        (&json!(200), &json!(12))
    );
}

#[test]
fn what_a_gateway_tells_of_tls_is_logged_and_nothing_else_beside_it() {
    let ase = Ase::start();
    let (mut with, without) = (
        record("1", "192.0.2.1", "/shop"),
        record("2", "192.0.2.1", "/shop"),
    );
    let told =
        json!({"version": "TLSv1.3", "client_subject": "CN=c", "client_san": "", "other": "x"});
    with["request"]["tls"] = told;
    report(&ase.post("/ase/batch", &[], format!("{with}\n{without}\n")));
    let log = ase.stop();
    assert_eq!(
        log[0]["tls"],
        json!({"version": "TLSv1.3", "client_subject": "CN=c"})
    );
    assert_eq!(log[1].get("tls"), None);
}

#[test]
fn an_unasked_request_of_a_listed_client_is_logged_as_would_block() {
    let ase = Ase::start();
    ase.deny(&json!({"type": "ip", "value": "203.0.113.0/24"}));
    let mut records = [
        record("1", "203.0.113.7", "/shop"),
        record("2", "203.0.113.7", "/shop"),
        record("3", "192.0.2.1", "/shop"),
    ];
    records[1]["mode"] = json!("sync");
    records[1]["decision"] = json!("denied");
    records[1]["verdict"] = json!("blocked");
    records[1]["end"] = json!("denied");
    records[1]["ask_us"] = json!(950);
    let mut failed = record("4", "203.0.113.7", "/shop");
    failed["decision"] = json!("fail_open");
    failed["cause"] = json!("timeout");
    let batch: String = records
        .iter()
        .chain([&failed])
        .map(|record| format!("{record}\n"))
        .collect();
    assert_eq!(report(&ase.post("/ase/batch", &[], batch))["accepted"], 4);
    let log = ase.stop();
    let verdicts: Vec<&Value> = log.iter().map(|line| &line["verdict"]).collect();
    assert_eq!(
        verdicts,
        ["would_block", "blocked", "allowed", "would_block"]
    );
    assert_eq!(log[0]["listed"]["identifier"], "203.0.113.0/24");
    assert_eq!(
        (&log[1]["outcome"], &log[1]["ask_us"]),
        (&json!("denied"), &json!(950))
    );
    assert_eq!(
        (&log[3]["decision"], &log[3]["cause"]),
        (&json!("fail_open"), &json!("timeout"))
    );
}

#[test]
fn an_incomplete_record_is_logged_as_it_is_without_an_invented_client() {
    let ase = Ase::start();
    let mut record = record("1", "192.0.2.1", "/shop");
    record["request"]
        .as_object_mut()
        .unwrap()
        .remove("source_ip");
    record["started_ms"] = json!(0);
    assert_eq!(
        report(&ase.post("/ase/batch", &[], record.to_string()))["accepted"],
        1
    );
    assert_eq!(ase.counter("batches", "records incomplete"), 1);
    assert_eq!(ase.counter("batches", "records clamped"), 1);
    let log = ase.stop();
    assert_eq!(
        (log[0].get("client_ip"), log[0].get("verdict")),
        (None, None)
    );
    assert_eq!(log[0]["time_clamped"], true);
}

#[test]
fn an_empty_batch_and_one_over_the_limit_are_refused() {
    let ase = Ase::with("[limits]\nbatch_bytes = 1024\naccess_log_queue = 2\n");
    assert_eq!(ase.post("/ase/batch", &[], " \n").status, 400);
    assert_eq!(ase.post("/ase/batch", &[], "x".repeat(1025)).status, 413);
    let three: String = ["1", "2", "3"].map(|id| small(id) + "\n").concat();
    let reply = ase.post("/ase/batch", &[], &three);
    assert_eq!(
        (reply.status, reply.verdict()),
        (413, "rejected"),
        "more lines than the queue holds: {}",
        three.len()
    );
    assert_eq!(ase.counter("batches", "refused"), 3);
    assert!(ase.stop().is_empty());
}

#[test]
fn a_batch_of_more_bytes_than_the_queue_holds_is_refused_for_good() {
    let ase = Ase::with("[limits]\naccess_log_queue_bytes = 65536\n");
    let batch: String = (0..300)
        .map(|id| record(&format!("r-{id}"), "192.0.2.1", "/shop").to_string() + "\n")
        .collect();
    let reply = ase.post("/ase/batch", &[], &batch);
    assert_eq!((reply.status, reply.verdict()), (413, "rejected"));
    let first: String = batch
        .lines()
        .take(50)
        .map(|l| l.to_owned() + "\n")
        .collect();
    assert_eq!(ase.post("/ase/batch", &[], first).status, 200);
    let metrics = ase.look("/metrics").body;
    assert!(
        metrics.contains("\nase_access_log_queue_bytes 0\n"),
        "{metrics}"
    );
    assert_eq!(ase.stop().len(), 50);
}

#[test]
fn the_same_batch_sent_many_times_at_once_is_logged_once() {
    let ase = Ase::start();
    let batch: String = (0..200)
        .map(|id| record(&format!("r-{id}"), "192.0.2.1", "/shop").to_string() + "\n")
        .collect();
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| assert_eq!(ase.post("/ase/batch", &[], &batch).status, 200));
        }
    });
    assert_eq!(ase.counter("batches", "records duplicate"), 1000);
    assert_eq!(ase.stop().len(), 200);
}

/// The log is a full pipe that nobody reads, so its writer blocks and the queue fills.
#[test]
fn a_full_queue_refuses_the_whole_batch_and_a_retry_doubles_nothing() {
    let folder = prepared("[limits]\naccess_log_queue = 4\ndrain_s = 20\n");
    let pipe = folder.path().join("access.jsonl");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let mut reader = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&pipe)
        .unwrap();
    // As much as a pipe of Linux holds: the writer blocks at its first line.
    reader.write_all(&[b'\n'; 65_536]).unwrap();
    let ase = Ase::in_folder(folder);
    // The line of this question leaves the queue and keeps the writer.
    let asked = question("192.0.2.1", "/shop").to_string();
    assert_eq!(ase.post("/ase/request", &[], asked).status, 200);
    wait_for("the writer to block", || {
        let (_, status) = ase.admin("GET", "/v1/status", &Value::Null);
        (status["access_log_queue_free"] == 4).then_some(())
    });
    let batch = |number: usize| {
        let ids = [0, 1, 2].map(|part| {
            record(&format!("{number}-{part}"), "192.0.2.1", "/shop").to_string() + "\n"
        });
        ids.concat()
    };
    // The first is queued and not acknowledged, since the disk takes nothing; the second finds no room.
    for number in [0, 1, 0, 1] {
        let refused = ase.post("/ase/batch", &[], batch(number));
        assert_eq!(
            (refused.status, refused.body.as_str(), refused.verdict()),
            (503, "Error: Overloaded", "overloaded")
        );
        assert!(refused.header("retry-after").is_some());
    }
    assert_eq!(ase.counter("batches", "overloaded"), 4);
    let (lines, read) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut chunk = [0; 4096];
        while let Ok(bytes) = reader.read(&mut chunk) {
            if lines.send(chunk[..bytes].to_vec()).is_err() {
                break;
            }
        }
    });
    for number in [0, 1] {
        wait_for("room for the refused batch", || {
            let reply = ase.post("/ase/batch", &[], batch(number));
            (reply.status == 200).then_some(())
        });
    }
    drop(ase.stop_and_keep());
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut text = Vec::new();
    while seen.len() < 1 + 2 * 3 {
        text.extend(read.recv_timeout(crate::harness::DEADLINE).unwrap());
        let whole = text
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        for line in text
            .drain(..whole)
            .collect::<Vec<u8>>()
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            let line: Value = serde_json::from_slice(line).unwrap();
            *seen
                .entry(line["id"].as_str().unwrap().to_owned())
                .or_default() += 1;
        }
    }
    assert!(seen.values().all(|count| *count == 1), "{seen:?}");
}

fn small(id: &str) -> String {
    json!({"id": id, "started_ms": 1, "duration_us": 1, "mode": "async", "decision": "async", "end": "upstream",
        "request": {"source_ip": "192.0.2.1", "method": "GET", "url": "/shop", "headers": [{"host": "a"}]}})
    .to_string()
}

fn report(reply: &Reply) -> Value {
    assert_eq!(reply.status, 200, "{}", reply.body);
    serde_json::from_str(&reply.body).unwrap()
}
