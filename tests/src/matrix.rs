//! The failure matrix: every failure class, open and closed, in each mode, as one scenario each.
//!
//! A cell is made from its class's row and named after its place, so a failing test says which one it is. In `async` no question can fail, so the class's
//! trouble meets the delivery of the record: the request must pass without noticing. In `local` there is no image, so all is as in `sync`.

use serde_json::{Value, json};

use crate::scenario::Scenario;

/// How a class comes about.
struct Row {
    class: &'static str,
    /// What the host knows about ASE's cluster.
    cluster: &'static str,
    /// How ASE answers, as in a scenario's `ask`; `None` when it is not asked.
    answer: Option<Value>,
    /// Questions before the one that is looked at.
    earlier: usize,
    /// What becomes of a record that meets this trouble while it is delivered.
    delivery: Delivery,
}

#[derive(Clone, Copy)]
enum Delivery {
    /// It is tried again and arrives.
    Retried,
    /// It is refused, or there is nobody to take it.
    Lost,
    /// It never meets this trouble.
    Untouched,
}

const MODES: [&str; 4] = ["sync", "async", "shadow", "local"];
const POLICIES: [&str; 2] = ["open", "closed"];

fn rows() -> Vec<Row> {
    let answered = |class, answer, delivery| Row {
        class,
        cluster: "one_endpoint",
        answer: Some(answer),
        earlier: 0,
        delivery,
    };
    let unsent = |class, cluster| Row {
        class,
        cluster,
        answer: None,
        earlier: 0,
        delivery: Delivery::Lost,
    };
    let how = |how: &str| json!({ "how": how });
    let status = |status: u16| json!({ "status": status });
    vec![
        answered("timeout", how("hang"), Delivery::Retried),
        answered("unreachable", how("close_before_reply"), Delivery::Retried),
        answered("bad_reply", how("garbage"), Delivery::Retried),
        answered(
            "reset_after_headers",
            how("reset_after_headers"),
            Delivery::Retried,
        ),
        answered("ase_5xx", status(500), Delivery::Retried),
        answered("undecidable", status(400), Delivery::Lost),
        answered("ase_rejected", status(401), Delivery::Lost),
        unsent("not_dispatched", "no_endpoint"),
        unsent("misconfigured", "absent"),
        Row {
            class: "cooling_down",
            cluster: "one_endpoint",
            answer: None,
            earlier: 1,
            delivery: Delivery::Untouched,
        },
    ]
}

/// Every cell.
///
/// # Errors
/// When a cell is not of a scenario's shape.
pub fn scenarios() -> Result<Vec<Scenario>, serde_json::Error> {
    let mut cells = Vec::new();
    for row in rows() {
        for policy in POLICIES {
            for mode in MODES {
                cells.push(serde_json::from_value(row.cell(policy, mode))?);
            }
        }
    }
    Ok(cells)
}

impl Row {
    fn cell(&self, policy: &str, mode: &str) -> Value {
        let class = self.class;
        json!({
            "name": format!("{class} × {policy} × {mode}"),
            "ase_cluster": self.cluster,
            "not_on_nginx": self.not_on_nginx(),
            "filter": {
                "mode": mode,
                // The other classes do the opposite, so the policy of this one is what is seen.
                "on_failure": { "default": opposite(policy), class: policy },
                "ase": { "timeout_ms": self.timeout_ms() },
                "breaker": { "failures": self.earlier, "cool_down_ms": 600_000 },
                "delivery": { "timeout_ms": self.timeout_ms(), "attempts": if self.answer.is_none() { 1 } else { 20 } },
            },
            "step": self.steps(policy, mode),
        })
    }

    /// Short where it is waited for, and longer than a loaded machine needs where it would be another class.
    fn timeout_ms(&self) -> u32 {
        if self.class == "timeout" { 500 } else { 10_000 }
    }

    /// Classes that a host without clusters cannot tell.
    fn not_on_nginx(&self) -> Option<&'static str> {
        match self.class {
            "reset_after_headers" => Some("bad_reply: the host tells no broken answer from none"),
            "not_dispatched" | "misconfigured" => {
                Some("unreachable: it takes every call, and has no clusters")
            }
            _ => None,
        }
    }

    fn steps(&self, policy: &str, mode: &str) -> Vec<Value> {
        let mut steps = Vec::new();
        if self.earlier > 0 {
            steps.push(json!({
                "name": "ASE fails",
                "ask": [{ "status": 500 }],
                "send": {},
                "record": { "count": self.earlier },
            }));
        }
        steps.push(if mode == "async" {
            self.unasked()
        } else {
            self.asked(policy, mode)
        });
        steps
    }

    /// The request passes at once, whatever the policy.
    fn unasked(&self) -> Value {
        let class = self.class;
        let (records, counters) = match self.delivery {
            Delivery::Retried => (
                1,
                json!({ format!("ase_delivery_failure_{class}"): 1, "ase_records_delivered": 1 }),
            ),
            Delivery::Lost => (
                0,
                json!({ format!("ase_delivery_failure_{class}"): 1, "ase_records_delivered": 0 }),
            ),
            Delivery::Untouched => (1, json!({})),
        };
        let batch: Vec<&Value> = self.answer.iter().collect();
        let mut step = json!({
            "name": "the request",
            "batch": batch,
            "send": {},
            "client": { "status": 200 },
            "upstream": { "count": 1 },
            "record": { "count": records, "decision": "async", "mode": "async", "end": "upstream" },
            "counters": counters,
        });
        rises(&mut step, "ase_permit_async", 1);
        rises(&mut step, &format!("ase_failure_{class}"), 0);
        if self.cluster == "one_endpoint" {
            set(&mut step, "asked", json!({ "count": 0 }));
        }
        step
    }

    fn asked(&self, policy: &str, mode: &str) -> Value {
        let class = self.class;
        let (decision, counter, passes) = match (policy, mode) {
            ("open", _) => ("fail_open", "ase_permit_fail_open", true),
            (_, "sync" | "local") => ("failed_closed", "ase_deny_failed_closed", false),
            (_, _) => ("shadow_failed_closed", "ase_shadow_failed_closed", true),
        };
        let (status, upstream, end) = if passes {
            (200, 1, "upstream")
        } else {
            (503, 0, "failed")
        };
        let verdict = match class {
            "undecidable" | "ase_rejected" => json!("rejected"),
            _ => Value::Null,
        };
        let ask: Vec<&Value> = self.answer.iter().collect();
        let mut step = json!({
            "name": "the request",
            "ask": ask,
            "send": {},
            "client": { "status": status },
            "upstream": { "count": upstream },
            "asked": { "count": self.answer.iter().count() },
            "counters": { counter: 1 },
        });
        rises(&mut step, &format!("ase_failure_{class}"), 1);
        rises(
            &mut step,
            "ase_local_asked_no_image",
            u64::from(mode == "local"),
        );
        let record = if self.cluster == "one_endpoint" {
            json!({ "decision": decision, "cause": class, "verdict": verdict, "mode": mode, "end": end })
        } else {
            json!({ "count": 0 })
        };
        set(&mut step, "record", record);
        if !passes {
            let details = format!("access / 503 ase_failed_closed_{class}");
            set(&mut step, "log", json!([details]));
        }
        step
    }
}

fn opposite(policy: &str) -> &'static str {
    if policy == "open" { "closed" } else { "open" }
}

fn rises(step: &mut Value, counter: &str, by: u64) {
    if let Some(counters) = step.get_mut("counters") {
        set(counters, counter, json!(by));
    }
}

fn set(object: &mut Value, key: &str, value: Value) {
    if let Value::Object(map) = object {
        map.insert(key.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_class_has_its_eight_cells() {
        let cells = scenarios().unwrap();
        let documented = include_str!("../../docs/wire.md");
        let list = documented.split("Failure classes: ").nth(1).unwrap();
        let classes: Vec<&str> = list
            .split('.')
            .next()
            .unwrap()
            .split('`')
            .skip(1)
            .step_by(2)
            .collect();
        assert_eq!(classes.len(), rows().len());
        assert_eq!(cells.len(), classes.len() * 8);
        for class in classes {
            for policy in POLICIES {
                for mode in MODES {
                    let name = format!("{class} × {policy} × {mode}");
                    assert_eq!(
                        cells.iter().filter(|cell| cell.name == name).count(),
                        1,
                        "{name}"
                    );
                }
            }
        }
    }
}
