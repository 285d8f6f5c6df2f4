//! The behaviour engine in the daemon: who is listed for what they did, how soon, and who is not.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Ase, lines, question, record, wait_for};

/// A detection follows long before this many requests.
const PATIENT: usize = 60;

/// An exchange of an old policy that ends with this status.
fn exchange(ase: &Ase, id: &str, client: &str, url: &str, code: u16) -> u16 {
    let asked = ase.ask(id, &question(client, url)).status;
    if asked == 200 {
        let response = json!({"response_code": code.to_string(), "response_status": "x", "http_version": "1.1",
            "headers": [{"content-type": "text/html"}]});
        let answered = ase.respond(id, &response);
        assert_eq!(answered.status, 200, "{}", answered.body);
    }
    asked
}

/// Looks for what is not there until it is refused, and says how many requests passed.
fn probe(ase: &Ase, client: &str, api: &str) -> Option<usize> {
    (0..PATIENT).find(|round| {
        let url = format!("/{api}/{}", WANTED[round % WANTED.len()]);
        let refused = exchange(ase, &format!("{client}-{round}"), client, &url, 404) == 403;
        // Leaves the engine the time that a network would.
        std::thread::sleep(Duration::from_millis(2));
        refused
    })
}

const WANTED: [&str; 20] = [
    ".env",
    "wp-login.php",
    ".git/config",
    "backup.zip",
    "phpinfo.php",
    "admin.php",
    "config.php",
    "server-status",
    "old",
    "test",
    "dump.sql",
    "console",
    "actuator/env",
    "api/v1/pods",
    "shell.php",
    "xmlrpc.php",
    "vendor",
    "tmp",
    "db",
    "setup",
];

pub(crate) fn event(ase: &Ase, name: &str) -> u64 {
    let page = ase.look("/metrics").body;
    let sample = format!("ase_engine_events_total{{event=\"{name}\"}} ");
    let found = page.lines().find_map(|line| line.strip_prefix(&*sample));
    found
        .unwrap_or_else(|| panic!("no event {name}: {page}"))
        .parse()
        .unwrap()
}

pub(crate) fn listed(ase: &Ase) -> Vec<Value> {
    let (_, answer) = ase.admin("GET", "/v1/deny", &Value::Null);
    answer["entries"].as_array().unwrap().clone()
}

pub(crate) fn batch(ase: &Ase, records: &[Value]) {
    let body: String = records.iter().map(|record| format!("{record}\n")).collect();
    let answer = ase.post("/ase/batch", &[], body);
    assert_eq!(answer.status, 200, "{}", answer.body);
}

/// Records of requests that found nothing.
pub(crate) fn failures(client: &str, api: &str) -> Vec<Value> {
    let one = |(number, path): (usize, &&str)| {
        let mut record = record(
            &format!("{client}-{number}"),
            client,
            &format!("/{api}/{path}"),
        );
        record["response"]["response_code"] = json!(404);
        record
    };
    WANTED.iter().enumerate().map(one).collect()
}

#[test]
fn who_probes_is_refused_within_moments_and_everybody_sees_why() {
    let ase = Ase::start();
    let passed = probe(&ase, "203.0.113.9", "shop").expect("nobody was refused");
    assert!((2..40).contains(&passed), "{passed} passed");
    assert_eq!(exchange(&ase, "other", "203.0.113.10", "/shop", 200), 200);
    let entries = listed(&ase);
    assert_eq!(entries.len(), 1, "{entries:?}");
    assert_eq!(entries[0]["source"], json!("engine"));
    assert!(entries[0]["expires"].is_string(), "{}", entries[0]);
    let log = ase.folder.path().join("attack.log");
    let line = wait_for("the attack log", || lines_of(&log).into_iter().next());
    assert_eq!(line["attack_value"], json!("203.0.113.9"));
    assert_eq!(line["attacked_api"], json!("shop"));
    assert_eq!(line["attack_identifier_type"], json!("ip"));
    assert_eq!(line["outcome"], json!("listed"));
    let (_, found) = ase.admin("GET", "/v1/detections", &Value::Null);
    let detection = &found["detections"][0];
    assert_eq!(detection["source"], json!("engine"));
    assert_eq!(detection["outcome"], json!("listed"));
    assert!(
        !detection["evidence"]["samples"]
            .as_array()
            .unwrap()
            .is_empty(),
        "{detection}"
    );
    assert!(event(&ase, "listed") >= 1);
}

/// The lines so far; none while the file is not there.
fn lines_of(log: &std::path::Path) -> Vec<Value> {
    if log.exists() { lines(log) } else { Vec::new() }
}

#[test]
fn from_the_batch_that_shows_an_attack_to_the_first_refusal_it_takes_milliseconds() {
    let ase = Ase::start();
    let mut took = Vec::new();
    for client in 1..=20 {
        let client = format!("198.51.100.{client}");
        let records = failures(&client, "shop");
        let began = Instant::now();
        batch(&ase, &records);
        wait_for("a refusal", || {
            let asked = ase.ask(&format!("{client}-asked"), &question(&client, "/shop"));
            (asked.status == 403).then_some(())
        });
        took.push(began.elapsed());
    }
    took.sort_unstable();
    println!(
        "from the batch to the refusal: median {:?}, longest {:?}",
        took[10], took[19]
    );
    // A test machine may be busy: the median is what a machine of its own shows.
    assert!(took[10] < Duration::from_millis(500), "{took:?}");
}

#[test]
fn a_client_of_an_api_with_blocking_off_passes_and_is_said_to_be_one_that_would_be_blocked() {
    let ase = Ase::start();
    batch(&ase, &failures("203.0.113.9", "catalog"));
    wait_for("the listing", || {
        let asked = ase.ask("1", &question("203.0.113.9", "/catalog"));
        assert_eq!(asked.status, 200);
        (asked.verdict() == "would_block").then_some(())
    });
}

#[test]
fn an_allow_listed_client_is_neither_studied_nor_listed() {
    let ase = Ase::start();
    let allowed = json!({"type": "ip", "value": "203.0.113.0/24"});
    assert_eq!(ase.admin("POST", "/v1/allow", &allowed).0, 201);
    batch(&ase, &failures("203.0.113.9", "shop"));
    batch(&ase, &failures("198.51.100.1", "shop"));
    wait_for("the other one's listing", || {
        (listed(&ase).len() == 1).then_some(())
    });
    assert_eq!(listed(&ase)[0]["identifier"], json!("198.51.100.1"));
    assert_eq!(event(&ase, "allow_listed"), 20);
}

#[test]
fn with_its_listing_off_the_engine_reports_and_lists_nobody() {
    let ase = Ase::with("enable_abs_attack = false\n");
    batch(&ase, &failures("203.0.113.9", "shop"));
    wait_for("the detection", || {
        (event(&ase, "listing_off") > 0).then_some(())
    });
    let log = ase.folder.path().join("attack.log");
    let line = wait_for("the attack log", || lines_of(&log).into_iter().next());
    assert_eq!(line["outcome"], json!("reported"));
    assert_eq!(listed(&ase), [] as [Value; 0]);
}

#[test]
fn without_the_engine_nothing_is_studied() {
    let ase = Ase::with("enable_abs = false\n");
    batch(&ase, &failures("203.0.113.9", "shop"));
    assert_eq!(exchange(&ase, "1", "203.0.113.9", "/shop/x", 404), 200);
    assert_eq!((event(&ase, "observed"), event(&ase, "dropped")), (0, 0));
    assert_eq!(listed(&ase), [] as [Value; 0]);
}

#[test]
fn an_exchange_is_studied_once_however_often_it_is_told_and_not_when_it_was_refused() {
    let ase = Ase::start();
    let one = record("1", "192.0.2.1", "/shop");
    let mut refused = record("2", "192.0.2.1", "/shop");
    refused["mode"] = json!("sync");
    refused["decision"] = json!("denied");
    refused["verdict"] = json!("blocked");
    refused["end"] = json!("denied");
    for _ in 0..3 {
        batch(&ase, &[one.clone(), refused.clone()]);
    }
    let later = [record("3", "192.0.2.1", "/shop")];
    batch(&ase, &later);
    wait_for("the last record", || {
        (event(&ase, "observed") == 2).then_some(())
    });
    assert!(event(&ase, "not_passed") >= 1);
    // The question of a gateway that sends its records in batches is not an exchange yet.
    let body = question("192.0.2.1", "/shop").to_string();
    let id = [("X-CorrelationID", "4")];
    let asked = ase.post("/ase/request?delivery=batch", &id, body);
    assert_eq!(asked.status, 200);
    batch(&ase, &[record("4", "192.0.2.1", "/shop")]);
    wait_for("the record", || {
        (event(&ase, "observed") == 3).then_some(())
    });
}

#[test]
fn an_exchange_that_is_still_open_is_logged_at_once_and_studied_when_it_has_ended() {
    let ase = Ase::start();
    let mut open = record("1.o", "192.0.2.1", "/shop");
    open["end"] = json!("open");
    open["response"] = Value::Null;
    batch(&ase, &[open]);
    batch(&ase, &[record("1", "192.0.2.1", "/shop")]);
    wait_for("the end", || (event(&ase, "observed") == 1).then_some(()));
    let log = ase.stop();
    let outcomes: Vec<&Value> = log.iter().map(|line| &line["outcome"]).collect();
    assert_eq!(outcomes, ["open", "upstream"]);
}

#[test]
fn what_finds_no_room_is_dropped_and_counted() {
    let ase = Ase::with("[engine]\nqueue = 16\n");
    batch(&ase, &failures("203.0.113.9", "shop"));
    wait_for("the count", || (event(&ase, "dropped") == 20).then_some(()));
    assert_eq!(event(&ase, "observed"), 0);
}

#[test]
fn a_listing_by_the_engine_survives_a_restart() {
    let ase = Ase::start();
    batch(&ase, &failures("203.0.113.9", "shop"));
    let folder = ase.stop_and_keep();
    let ase = Ase::in_folder(folder);
    assert_eq!(exchange(&ase, "1", "203.0.113.9", "/shop", 200), 403);
}
