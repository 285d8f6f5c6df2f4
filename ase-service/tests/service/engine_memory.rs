//! What the behaviour engine has learned, over restarts: after an orderly stop, after a kill, and when it cannot be read.

use std::path::Path;

use rusqlite::Connection as Database;
use serde_json::{Value, json};

use crate::engine::{batch, event, failures, listed};
use crate::harness::{Ase, Connection, prepared, record, wait_for};
use crate::processes::{Process, ended, serve, signal};

const WRONGED: &str = "203.0.113.9";
const OTHER: &str = "203.0.113.10";

/// The failures of a client under ids that were not used before.
fn more_failures(client: &str, round: &str) -> Vec<Value> {
    let mut records = failures(client, "shop");
    for record in &mut records {
        record["id"] = json!(format!("{round}-{}", record["id"].as_str().unwrap()));
    }
    records
}

/// Teaches the engine that a client probes by right.
fn taught() -> Ase {
    let ase = Ase::start();
    batch(&ase, &failures(WRONGED, "shop"));
    let attack = wait_for("the detection", || {
        let (_, found) = ase.admin("GET", "/v1/attacks", &Value::Null);
        found["detections"].as_array()?.first().cloned()
    });
    let path = format!("/v1/attacks/{}/undo", attack["id"]);
    let (_, undone) = ase.admin("POST", &path, &json!({"lesson": "client"}));
    assert_eq!(undone["learned"], json!(true), "{undone}");
    ase
}

/// Whether the engine lists the one who probes by right; it does list another one.
fn lists_the_wronged(ase: &Ase) -> bool {
    batch(ase, &more_failures(WRONGED, "again"));
    batch(ase, &more_failures(OTHER, "again"));
    wait_for("the other one's listing", || {
        let entries = listed(ase);
        let whom = |entry: &Value| entry["identifier"] == json!(OTHER);
        entries.iter().any(whom).then_some(())
    });
    listed(ase)
        .iter()
        .any(|entry| entry["identifier"] == json!(WRONGED))
}

fn damage(folder: &Path, statements: &str) {
    let database = Database::open(folder.join("state/ase.db")).unwrap();
    database.execute_batch(statements).unwrap();
}

#[test]
fn what_was_taught_survives_an_orderly_restart() {
    let folder = taught().stop_and_keep();
    let ase = Ase::in_folder(folder);
    let (_, engine) = ase.admin("GET", "/v1/engine", &Value::Null);
    assert!(
        engine["memory"]["facts_restored"].as_u64() > Some(0),
        "{engine}"
    );
    assert!(engine["memory"]["snapshot"].is_string(), "{engine}");
    assert!(!lists_the_wronged(&ase));
    assert_eq!(event(&ase, "snapshot_unreadable"), 0);
}

#[test]
fn a_snapshot_that_cannot_be_read_stops_nothing_and_the_engine_begins_anew() {
    for broken in [
        "UPDATE learned SET bytes = substr(bytes, 1, length(bytes) - 1)",
        "UPDATE learned SET bytes = x'ff00ff'",
        "DELETE FROM learned",
        "DROP TABLE learned",
    ] {
        let folder = taught().stop_and_keep();
        damage(folder.path(), broken);
        let ase = Ase::in_folder(folder);
        assert_eq!(event(&ase, "snapshot_unreadable"), 1, "{broken}");
        assert!(lists_the_wronged(&ase), "{broken}");
    }
}

#[test]
fn of_a_snapshot_of_another_seed_only_what_needs_no_hash_is_known() {
    let folder = taught().stop_and_keep();
    damage(
        folder.path(),
        "UPDATE meta SET value = value + 1 WHERE name = 'engine_seed'",
    );
    let ase = Ase::in_folder(folder);
    assert!(event(&ase, "snapshot_left_out") > 0);
    assert!(!lists_the_wronged(&ase));
}

#[test]
fn who_is_killed_loses_at_most_what_was_learned_since_the_last_snapshot() {
    let folder = prepared("[engine]\nsnapshot_every_s = 1\n");
    let secret = |folder: &Path| {
        let secret = std::fs::read_to_string(folder.join("state/admin.secret")).unwrap();
        secret.trim().to_owned()
    };
    let engine = |process: &Process| {
        let secret = secret(folder.path());
        let headers = [
            ("x-ase-access-key", "admin"),
            ("x-ase-secret-key", &*secret),
        ];
        let reply = Connection::to(process.admin).call("GET", "/v1/engine", &headers, b"");
        serde_json::from_str::<Value>(&reply.body).unwrap()
    };
    let mut process = serve(folder.path());
    let body: String = (0..5)
        .map(|id| record(&format!("r-{id}"), "192.0.2.1", "/shop/books").to_string() + "\n")
        .collect();
    let reply = Connection::to(process.data).call("POST", "/ase/batch", &[], body.as_bytes());
    assert_eq!(reply.status, 200, "{}", reply.body);
    wait_for("a snapshot", || {
        (engine(&process)["events"]["snapshot_stored"].as_u64()? > 0).then_some(())
    });
    signal(process.child.id(), "-KILL");
    assert_eq!(ended(&mut process), None);
    let process = serve(folder.path());
    let known = engine(&process);
    assert!(
        known["memory"]["facts_restored"].as_u64() >= Some(2),
        "{known}"
    );
}
