//! Steering the behaviour engine while it runs: whether it lists, and from which values on it reports.

use serde_json::{Value, json};

use crate::engine::{batch, event, failures, listed};
use crate::harness::{Ase, wait_for};

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
