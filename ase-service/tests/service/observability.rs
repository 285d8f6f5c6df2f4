//! What operators watch: the probes, the page of metrics, and the documents that name the metrics.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::mpsc;

use serde_json::{Value, json};

use crate::harness::{Ase, Connection, prepared, question, record, wait_for};
use crate::processes::{ended, serve, signal};

/// A page, read.
struct Page {
    families: BTreeMap<String, Family>,
    samples: BTreeMap<String, f64>,
}

#[derive(Default)]
struct Family {
    kind: String,
    help: String,
    labels: BTreeSet<String>,
}

impl Page {
    fn of(ase: &Ase) -> Self {
        let reply = ase.look("/metrics");
        assert_eq!(reply.status, 200);
        assert_eq!(
            reply.header("content-type"),
            Some("text/plain; version=0.0.4; charset=utf-8")
        );
        Self::parse(&reply.body)
    }

    /// Panics on anything that Prometheus would not take.
    fn parse(text: &str) -> Self {
        let mut page = Self {
            families: BTreeMap::new(),
            samples: BTreeMap::new(),
        };
        let mut current = String::new();
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, help) = help.split_once(' ').unwrap();
                name.clone_into(&mut current);
                let family = Family {
                    help: help.to_owned(),
                    ..Family::default()
                };
                let twice = page.families.insert(name.to_owned(), family);
                assert!(twice.is_none(), "{name} stands twice");
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap();
                assert_eq!(name, current);
                kind.clone_into(&mut page.families.get_mut(name).unwrap().kind);
            } else {
                let (series, value) = line.rsplit_once(' ').unwrap();
                let (name, labels) = series.split_once('{').unwrap_or((series, ""));
                let bare = ["_bucket", "_sum", "_count"]
                    .iter()
                    .find_map(|suffix| name.strip_suffix(suffix).filter(|name| *name == current));
                assert_eq!(bare.unwrap_or(name), current, "{line}");
                let family = page.families.get_mut(&current).unwrap();
                for label in labels.trim_end_matches('}').split("\",") {
                    let name = label.split('=').next().unwrap();
                    if !name.is_empty() && name != "le" {
                        family.labels.insert(name.to_owned());
                    }
                }
                let twice = page
                    .samples
                    .insert(series.to_owned(), value.parse().unwrap());
                assert!(twice.is_none(), "{series} stands twice");
            }
        }
        page
    }

    fn value(&self, series: &str) -> f64 {
        *self
            .samples
            .get(series)
            .unwrap_or_else(|| panic!("no {series}"))
    }
}

/// A daemon that has seen one of each, so that every metric has a sample.
fn exercised() -> Ase {
    let ase = Ase::start();
    ase.deny(&json!({"type": "ip", "value": "203.0.113.7"}));
    ase.deny(&json!({"type": "token", "value": "stolen"}));
    for (id, client, status) in [("a", "192.0.2.1", 200), ("b", "203.0.113.7", 403)] {
        assert_eq!(ase.ask(id, &question(client, "/shop")).status, status);
    }
    assert_eq!(ase.ask("c", &json!({"method": "GET"})).status, 400);
    let mut failed = record("r-2", "192.0.2.1", "/shop");
    failed["decision"] = "fail_open".into();
    failed["cause"] = "timeout".into();
    let batch = format!("{}\n{failed}\n", record("r-1", "192.0.2.1", "/shop"));
    assert_eq!(ase.post("/ase/batch", &[], batch).status, 200);
    wait_for("a policy image", || {
        let reply = ase.connect().call("GET", "/ase/image", &[], b"");
        (reply.status == 200).then_some(())
    });
    ase
}

#[test]
fn probes_answer_without_a_secret() {
    let ase = Ase::start();
    for (path, body) in [("/livez", "ok\n"), ("/readyz", "ready\n")] {
        let reply = ase.look(path);
        assert_eq!((reply.status, reply.body.as_str()), (200, body));
    }
    assert_eq!(ase.look("/v1/status").status, 401);
}

#[test]
fn a_stopping_daemon_says_that_it_drains_until_its_calls_are_done() {
    let folder = prepared("");
    let mut process = serve(folder.path());
    let mut connection = Connection::to(process.data);
    let body = question("192.0.2.1", "/shop").to_string();
    let head = format!(
        "POST /ase/request HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    connection.send(head.as_bytes());
    assert_eq!(connection.reply().status, 100);
    let ready = || Connection::to(process.admin).call("GET", "/readyz", &[], b"");
    assert_eq!(ready().status, 200);
    signal(process.child.id(), "-TERM");
    let said = wait_for("the drain", || Some(ready()).filter(|r| r.status != 200));
    assert_eq!((said.status, said.body.as_str()), (503, "draining\n"));
    connection.send(body.as_bytes());
    assert_eq!(connection.reply().status, 200);
    assert_eq!(ended(&mut process), Some(0));
}

#[test]
fn every_fact_is_on_the_page_under_its_own_labels() {
    let ase = exercised();
    let page = Page::of(&ase);
    for (series, expected) in [
        (
            r#"ase_request_errors_total{error="request source ip absent"}"#,
            1.0,
        ),
        ("ase_requests_failed_total", 1.0),
        (r#"ase_verdicts_total{verdict="blocked"}"#, 1.0),
        (
            r#"ase_api_verdicts_total{api="shop",verdict="allowed"}"#,
            1.0,
        ),
        (
            r#"ase_api_verdicts_total{api="shop",verdict="blocked"}"#,
            1.0,
        ),
        (
            r#"ase_exchanges_total{decision="async",outcome="upstream"}"#,
            1.0,
        ),
        (
            r#"ase_exchanges_total{decision="denied",outcome="denied"}"#,
            1.0,
        ),
        (
            r#"ase_gateway_failures_total{decision="fail_open",cause="timeout"}"#,
            1.0,
        ),
        (r#"ase_batch_events_total{event="records accepted"}"#, 2.0),
        ("ase_request_seconds_count", 3.0),
        ("ase_batch_seconds_count", 1.0),
        (
            r#"ase_list_entries{list="deny",kind="ip",source="manual"}"#,
            1.0,
        ),
        (
            r#"ase_list_entries{list="deny",kind="token",source="manual"}"#,
            1.0,
        ),
        ("ase_apis", 3.0),
        ("ase_correlation_entries", 2.0),
        ("ase_access_log_lines_failed_total", 0.0),
        ("ase_access_log_queue_capacity", 65_536.0),
    ] {
        assert_eq!(page.value(series), expected, "{series}");
    }
    assert!(page.value("process_resident_memory_bytes") > 1e6);
    assert!(page.value("ase_access_log_free_bytes") >= 0.0);
    let seconds = page.value("ase_request_seconds_sum");
    assert!(seconds > 0.0 && seconds < 20.0, "{seconds}");
}

#[test]
fn metrics_need_the_secret_where_the_configuration_says_so() {
    let ase = Ase::with("[metrics]\naccess = \"secret\"\n");
    assert_eq!(ase.look("/metrics").status, 401);
    assert_eq!(ase.look_as_admin("/metrics").status, 200);
    assert_eq!(ase.look("/readyz").status, 200);
}

/// `UPDATE=1 cargo test -p ase-service every_metric_is_documented` writes the table.
#[test]
fn every_metric_is_documented_and_no_other() {
    let path = repository().join("docs/metrics.md");
    let document = std::fs::read_to_string(&path).unwrap();
    let (begin, end) = ("<!-- table: begin -->\n", "<!-- table: end -->");
    let (before, rest) = document.split_once(begin).unwrap();
    let (table, after) = rest.split_once(end).unwrap();
    let mut expected = "| metric | kind | labels | meaning |\n|---|---|---|---|\n".to_owned();
    for (name, family) in &Page::of(&exercised()).families {
        let labels: Vec<&str> = family.labels.iter().map(String::as_str).collect();
        let (labels, Family { kind, help, .. }) = (labels.join(", "), family);
        expected.push_str(&format!("| `{name}` | {kind} | {labels} | {help} |\n"));
    }
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, format!("{before}{begin}{expected}{end}{after}")).unwrap();
    } else {
        assert_eq!(table, expected, "see UPDATE=1 above this test");
    }
}

#[test]
fn every_metric_of_the_dashboard_is_exposed() {
    let path = repository().join("docs/grafana/ase.json");
    let dashboard: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut exposed: BTreeSet<String> = BTreeSet::new();
    for (name, family) in Page::of(&exercised()).families {
        if family.kind == "histogram" {
            exposed.extend(["_bucket", "_sum", "_count"].map(|suffix| format!("{name}{suffix}")));
        }
        exposed.insert(name);
    }
    let mut expressions = Vec::new();
    collect(&dashboard, "expr", &mut expressions);
    collect(&dashboard, "definition", &mut expressions);
    assert!(expressions.len() > 10, "{expressions:?}");
    let mut used = 0;
    for expression in expressions {
        let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
        for name in expression.split(word) {
            if name.starts_with("ase_") || name.starts_with("process_") {
                used += 1;
                assert!(exposed.contains(name), "{name} in {expression}");
            }
        }
    }
    assert!(used > 10);
}

fn collect<'v>(value: &'v Value, key: &str, found: &mut Vec<&'v str>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get(key).and_then(Value::as_str));
            object.values().for_each(|value| collect(value, key, found));
        }
        Value::Array(items) => items.iter().for_each(|value| collect(value, key, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A collector that hands on the spans of every export.
fn collector() -> (SocketAddr, mpsc::Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                stream.read_line(&mut head).unwrap();
            }
            assert!(head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{head}");
            assert!(
                head.contains("content-type: application/json\r\n"),
                "{head}"
            );
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            let mut body = vec![0; length.unwrap().parse().unwrap()];
            stream.read_exact(&mut body).unwrap();
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
            stream.get_mut().write_all(answer).unwrap();
            let body: Value = serde_json::from_slice(&body).unwrap();
            let resource = &body["resourceSpans"][0];
            let service = &resource["resource"]["attributes"][0];
            assert_eq!(service["value"]["stringValue"], "edge-ase");
            for span in resource["scopeSpans"][0]["spans"].as_array().unwrap() {
                if sender.send(span.clone()).is_err() {
                    return;
                }
            }
        }
    });
    (address, receiver)
}

#[test]
fn spans_go_to_the_collector_as_children_of_the_gateways() {
    let (address, spans) = collector();
    let ase = Ase::with(&format!(
        "[otel]\nendpoint = \"http://{address}\"\nservice_name = \"edge-ase\"\nsample_one_in = 1000000\n"
    ));
    let trace = |number: u32| format!("{number:032x}");
    let parent = |number: u32, flags: &str| {
        format!("00-{}-00000000000000{number:02x}-{flags}", trace(number))
    };
    // The call's own header, a header of the request that is asked about, and a parent that is not sampled.
    let call = |traceparent: &str| {
        let headers = [("traceparent", traceparent)];
        let body = question("192.0.2.1", "/shop").to_string();
        assert_eq!(ase.post("/ase/request", &headers, body).status, 200);
    };
    call(&parent(1, "01"));
    call(&parent(2, "00"));
    ase.deny(&json!({"type": "ip", "value": "203.0.113.7"}));
    let mut asked = question("203.0.113.7", "/shop");
    let header = json!({"traceparent": parent(3, "01")});
    asked["headers"].as_array_mut().unwrap().push(header);
    assert_eq!(ase.ask("x", &asked).status, 403);
    let headers = [("traceparent", &*parent(4, "01"))];
    let batch = record("r", "192.0.2.1", "/shop").to_string();
    assert_eq!(ase.post("/ase/batch", &headers, batch).status, 200);
    for (number, name, verdict) in [
        (1, "POST /ase/request", Some("allowed")),
        (3, "POST /ase/request", Some("blocked")),
        (4, "POST /ase/batch", None),
    ] {
        let span = spans.recv_timeout(crate::harness::DEADLINE).unwrap();
        assert_eq!(
            (span["name"].as_str(), &span["traceId"]),
            (Some(name), &json!(trace(number)))
        );
        assert_eq!(span["parentSpanId"], format!("{number:016x}"));
        assert_eq!(span["spanId"].as_str().unwrap().len(), 16);
        let attributes = span["attributes"].as_array().unwrap();
        let found = attributes
            .iter()
            .find(|attribute| attribute["key"] == "ase.verdict");
        assert_eq!(
            found.map(|attribute| attribute["value"]["stringValue"].as_str().unwrap()),
            verdict
        );
        let nanos = |key: &str| span[key].as_str().unwrap().parse::<u64>().unwrap();
        assert!(nanos("startTimeUnixNano") < nanos("endTimeUnixNano"));
    }
    wait_for("the count of exported spans", || {
        let page = Page::of(&ase);
        (page.value("ase_otel_spans_exported_total") == 3.0).then_some(())
    });
}

#[test]
fn a_collector_that_is_dead_costs_spans_only() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let ase = Ase::with(&format!(
        "[otel]\nendpoint = \"http://{address}\"\nsample_one_in = 1\n"
    ));
    let body = question("192.0.2.1", "/shop").to_string();
    assert_eq!(ase.post("/ase/request", &[], body).status, 200);
    wait_for("the count of lost spans", || {
        let page = Page::of(&ase);
        (page.value("ase_otel_spans_dropped_total") == 1.0).then_some(())
    });
}
