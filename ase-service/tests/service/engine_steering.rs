//! Steering the behaviour engine while it runs: whether it lists, and from which values on it reports.

use std::sync::atomic::{AtomicU8, Ordering};

use serde_json::{Value, json};

use crate::command_line::ase;
use crate::engine::{batch, event, failures, listed};
use crate::harness::{Ase, record, wait_for};

const ATTACKER: &str = "203.0.113.9";

/// The failures of a client under ids that were not used before.
fn probing(client: &str, round: &str) -> Vec<Value> {
    let mut records = failures(client, "shop");
    for record in &mut records {
        record["id"] = json!(format!("{round}-{}", record["id"].as_str().unwrap()));
    }
    records
}

fn turn(ase: &Ase, on: bool) {
    let (status, switches) = ase.admin("PUT", "/v1/switches", &json!({"abs_attack": on}));
    assert_eq!((status, &switches["abs_attack"]), (200, &json!(on)));
}

#[test]
fn the_engines_listing_is_turned_off_and_on_while_it_runs_and_stays_as_it_was_turned() {
    let ase = Ase::start();
    turn(&ase, false);
    batch(&ase, &probing(ATTACKER, "first"));
    let detection = wait_for("the detection", || {
        let (_, found) = ase.admin("GET", "/v1/attacks", &Value::Null);
        found["detections"].as_array()?.first().cloned()
    });
    assert_eq!(detection["outcome"], json!("reported"));
    assert_eq!(detection["evidence"]["listing"], json!("simulated"));
    assert!(event(&ase, "listing_off") > 0);
    assert_eq!(listed(&ase), [] as [Value; 0]);

    let ase = Ase::in_folder(ase.stop_and_keep());
    let (_, engine) = ase.admin("GET", "/v1/engine", &Value::Null);
    assert_eq!(engine["enable_abs_attack"], json!(false));
    batch(&ase, &probing("203.0.113.10", "second"));
    wait_for("the detection", || {
        (event(&ase, "listing_off") > 0).then_some(())
    });
    turn(&ase, true);
    // What was only reported is judged anew.
    batch(&ase, &probing(ATTACKER, "third"));
    wait_for("the listing", || {
        let entries = listed(&ase);
        let found = entries
            .iter()
            .any(|entry| entry["identifier"] == json!(ATTACKER));
        found.then_some(())
    });
    for action in ["disable_abs_attack", "enable_abs_attack"] {
        assert!(ase.audit_log().contains(action), "{}", ase.audit_log());
    }
}

const PATH: &str = "/v1/engine/thresholds";

/// Deletes a dozen objects of an API.
fn deletions(client: &str, api: &str, round: &str) -> Vec<Value> {
    let one = |number: usize| {
        let url = format!("/{api}/notes/{number}");
        let mut record = record(&format!("{client}-{round}-{number}"), client, &url);
        record["request"]["method"] = json!("DELETE");
        record
    };
    (0..12).map(one).collect()
}

/// Whether a client is listed once everything so far has been studied.
fn is_listed_after(ase: &Ase, records: &[Value], client: &str) -> bool {
    let before = event(ase, "observed");
    batch(ase, records);
    wait_for("the records", || {
        (event(ase, "observed") == before + records.len() as u64).then_some(())
    });
    // What is found is kept in order: a later finding of somebody else is there after it.
    // Another one each time, over restarts too.
    static MARKERS: AtomicU8 = AtomicU8::new(1);
    let number = MARKERS.fetch_add(1, Ordering::Relaxed);
    let marker = format!("198.51.100.{number}");
    let marks = probing(&marker, &format!("marker-{number}"));
    batch(ase, &marks);
    wait_for("the marker", || {
        let entries = listed(ase);
        let found = |entry: &Value| entry["identifier"] == json!(marker);
        entries.iter().any(found).then_some(())
    });
    // The marker is listed before the last of its records is looked at; the next count begins after them.
    let all = before + (records.len() + marks.len()) as u64;
    wait_for("the rest of the marker", || {
        (event(ase, "observed") == all).then_some(())
    });
    let entries = listed(ase);
    entries
        .iter()
        .any(|entry| entry["identifier"] == json!(client))
}

fn deletion_threshold(ase: &Ase, api: &str) -> Value {
    let path = format!("{PATH}?api={api}&attack=mass_deletion");
    let (status, answer) = ase.admin("GET", &path, &Value::Null);
    assert_eq!(status, 200, "{answer}");
    answer["thresholds"][0].clone()
}

#[test]
fn a_threshold_of_one_api_counts_at_once_over_restarts_and_until_it_is_taken_back() {
    let ase = Ase::start();
    assert!(!is_listed_after(
        &ase,
        &deletions("203.0.113.1", "shop", "a"),
        "203.0.113.1"
    ));
    let before = deletion_threshold(&ase, "shop");
    assert_eq!(
        (&before["tn"], &before["basis"]),
        (&json!(60.0), &json!("system"))
    );
    let body = json!({"api": "shop", "attack": "mass_deletion", "variable": "A", "tn": 10});
    let (status, answer) = ase.admin("PUT", PATH, &body);
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["thresholds"][0], deletion_threshold(&ase, "shop"));
    assert!(is_listed_after(
        &ase,
        &deletions("203.0.113.2", "shop", "b"),
        "203.0.113.2"
    ));
    assert!(!is_listed_after(
        &ase,
        &deletions("203.0.113.3", "catalog", "c"),
        "203.0.113.3"
    ));

    let ase = Ase::in_folder(ase.stop_and_keep());
    let row = deletion_threshold(&ase, "shop");
    assert_eq!(
        (&row["tn"], &row["basis"], &row["operator"]["set_by"]),
        (&json!(10.0), &json!("operator"), &json!("this_api"))
    );
    assert!(is_listed_after(
        &ase,
        &deletions("203.0.113.4", "shop", "d"),
        "203.0.113.4"
    ));
    let which = json!({"api": "shop", "attack": "mass_deletion"});
    let (status, answer) = ase.admin("DELETE", PATH, &which);
    assert_eq!(status, 200, "{answer}");
    assert_eq!(deletion_threshold(&ase, "shop"), before);
    assert!(!is_listed_after(
        &ase,
        &deletions("203.0.113.5", "shop", "e"),
        "203.0.113.5"
    ));
    let audit = ase.audit_log();
    let set = "api_id=shop, attack=mass_deletion, variable=A, tn=10, tx=none";
    assert!(audit.contains(set), "{audit}");
    let reset = audit
        .lines()
        .filter(|line| line.contains("| reset_threshold |"));
    let reset: Vec<&str> = reset.collect();
    assert_eq!(reset.len(), 1, "{audit}");
    assert!(reset[0].ends_with("api_id=shop, attack=mass_deletion, variable=A"));
}

#[test]
fn a_threshold_that_cannot_be_is_refused_with_its_fault_and_changes_nothing() {
    let ase = Ase::start();
    let (_, before) = ase.admin("GET", PATH, &Value::Null);
    for (status, body) in [
        (
            400,
            json!({"attack": "telepathy", "variable": "A", "tn": 1}),
        ),
        (
            400,
            json!({"attack": "injection", "variable": "F", "tn": 1}),
        ),
        (400, json!({"attack": "probing", "variable": "A"})),
        (400, json!({"attack": "probing", "variable": "A", "tn": 0})),
        (
            400,
            json!({"attack": "probing", "variable": "A", "tn": 5, "more": 1}),
        ),
        (
            404,
            json!({"api": "nowhere", "attack": "probing", "variable": "A", "tn": 5}),
        ),
    ] {
        let (answered, answer) = ase.admin("PUT", PATH, &body);
        assert_eq!(answered, status, "{body}: {answer}");
        assert!(answer["faults"][0].is_string(), "{answer}");
    }
    assert_eq!(ase.admin("GET", PATH, &Value::Null).1, before);
    for query in ["api=nowhere", "attack=telepathy", "more=1"] {
        let (status, _) = ase.admin("GET", &format!("{PATH}?{query}"), &Value::Null);
        assert!(status == 400 || status == 404, "{query}");
    }
}

#[test]
fn the_documented_path_shows_and_sets_thresholds_by_the_numbers_of_attacks() {
    let ase = Ase::start();
    let path = "/v4/abs/attack/threshold";
    let show = |ase: &Ase| {
        let (status, shown) = ase.admin(
            "GET",
            &format!("{path}?api_name=shop&type=14"),
            &Value::Null,
        );
        assert_eq!(status, 200, "{shown}");
        (shown["mode"].clone(), shown["ioc_threshold"][0].clone())
    };
    let (mode, before) = show(&ase);
    assert_eq!((mode, &before["type"]), (json!("system"), &json!(14)));
    let set = json!({"api_name": "shop", "mode": "user",
        "ioc_threshold": [{"type": 14, "variable": "A", "tn": 10, "tx": 20}]});
    let (status, answer) = ase.admin("PUT", path, &set);
    assert_eq!(
        (status, &answer["status"]),
        (200, &json!("success")),
        "{answer}"
    );
    let (mode, row) = show(&ase);
    assert_eq!(
        (mode, &row["tn"], &row["tx"]),
        (json!("user"), &json!(10.0), &json!(20.0))
    );
    assert_eq!(row["system"], before["system"]);
    assert!(is_listed_after(
        &ase,
        &deletions("203.0.113.2", "shop", "a"),
        "203.0.113.2"
    ));
    let back = json!({"api_name": "shop", "mode": "system"});
    assert_eq!(ase.admin("PUT", path, &back).0, 200);
    assert_eq!(show(&ase).1, before);
    let audit = ase.audit_log();
    assert!(
        audit
            .trim_end()
            .ends_with("api_id=shop, attack=all, variable=all"),
        "{audit}"
    );
    for wrong in [
        json!({"api_name": "shop", "mode": "user"}),
        json!({"api_name": "shop", "mode": "guess"}),
        json!({"api_name": "shop", "mode": "user", "ioc_threshold": [{"type": 77, "variable": "A", "tn": 1}]}),
        json!({"api_name": "shop", "mode": "user", "ioc_threshold": [{"type": 11, "variable": "F", "tn": 1}]}),
    ] {
        let (status, answer) = ase.admin("PUT", path, &wrong);
        assert_eq!(
            (status, &answer["status"]),
            (400, &json!("failed")),
            "{wrong}"
        );
    }
}

#[test]
fn the_command_line_sets_shows_and_takes_back_thresholds_and_tells_the_training() {
    let daemon = Ase::start();
    // A path is a route once two clients have been there, told apart by five bits of a hash.
    let visits = (1..9).map(|n| record(&n.to_string(), &format!("192.0.2.{n}"), "/shop/books"));
    batch(&daemon, &visits.collect::<Vec<_>>());
    let (code, set) = ase(
        &daemon,
        &[
            "attacks",
            "thresholds",
            "set",
            "mass_deletion",
            "A",
            "10",
            "--api",
            "shop",
        ],
    );
    let line = "mass_deletion\tA\t10.0\t-\toperator (this_api)\tobjects deleted";
    assert_eq!(code, Some(0), "{set}");
    assert!(set.starts_with(line), "{set}");
    let list = [
        "attacks",
        "thresholds",
        "list",
        "--api",
        "shop",
        "--attack",
        "mass_deletion",
    ];
    assert_eq!(ase(&daemon, &list), (Some(0), set));
    let reset = ["attacks", "thresholds", "reset", "--api", "shop"];
    let (code, rows) = ase(&daemon, &reset);
    assert_eq!(code, Some(0));
    assert!(
        rows.contains("mass_deletion\tA\t60.0\t-\tsystem\t"),
        "{rows}"
    );
    let (code, training) = ase(&daemon, &["attacks", "training"]);
    assert_eq!(code, Some(0));
    assert!(training.starts_with("shop\t0 %\t0 windows"), "{training}");
    assert!(
        training.contains("\nshop /shop/books\t0 %\t0 windows\t0 clients\t0 thresholds"),
        "{training}"
    );
    let (code, on) = ase(&daemon, &["abs-attack", "off"]);
    assert_eq!(
        (code, on.as_str()),
        (Some(0), "ABS Attack is now disabled\n")
    );
    let (_, status) = ase(&daemon, &["status"]);
    let turned = |line: &&str| line.starts_with("abs attack ") && line.ends_with(": disabled");
    assert!(status.lines().any(|line| turned(&line)), "{status}");
}
