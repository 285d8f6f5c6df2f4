//! The fast path of the data port: which calls it takes, and that nobody can tell its answers from hyper's.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::harness::{Ase, Connection, prepared, question};

const TOKENS: &str = "tokens = [{name = \"kong\", value = \"kong-0123456789abcdef\"}, {name = \"axway\", value = \"axway-0123456789abcdef\", lenient = true}]\n";

fn left(ase: &Ase) -> u64 {
    ase.counter("data port", "fast path left")
}

fn call(target: &str, lines: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {target} HTTP/1.1\r\nHost: ASE\r\nContent-Type: application/json\r\n{lines}Content-Length: {length}\r\n\r\n{body}"
    )
}

fn asked(client: &str) -> String {
    question(client, "/shop/books?page=2").to_string()
}

/// What a connection says to `bytes` and to a last call behind them, the times of its answers left out.
fn told(connection: &mut Connection, bytes: &[u8]) -> String {
    connection.send(bytes);
    connection.send(b"GET /ase HTTP/1.1\r\nHost: ASE\r\nConnection: close\r\n\r\n");
    let told = String::from_utf8(connection.until_closed()).unwrap();
    let lines = told.split_inclusive("\r\n");
    lines.filter(|line| !line.starts_with("date: ")).collect()
}

/// Hyper keeps a connection whose first call was none for the fast path.
fn of_hyper(ase: &Ase) -> Connection {
    let mut connection = ase.connect();
    connection.send(b"GET /ase HTTP/1.1\r\nHost: ASE\r\n\r\n");
    assert_eq!(connection.reply().status, 200);
    connection
}

#[test]
fn the_calls_of_gateways_stay_on_the_fast_path_however_they_are_cut() {
    let ase = Ase::start();
    let mut connection = ase.connect();
    let response = json!({"response_code": 200}).to_string();
    for bytes in [
        call(
            "/ase/request",
            "X-CorrelationID: 1\r\n",
            &asked("192.0.2.1"),
        ),
        call("/ase/response", "X-CorrelationID: 1\r\n", &response),
        call(
            "/ase/request?delivery=batch",
            "Connection: Keep-Alive\r\n",
            &asked("192.0.2.2"),
        ),
        call("/ase/request", "", &asked(&" ".repeat(30_000))),
    ] {
        connection.send(bytes.as_bytes());
        let reply = connection.reply();
        let expected = if bytes.len() > 30_000 { 400 } else { 200 };
        assert_eq!(reply.status, expected, "{bytes}");
        assert!(
            reply
                .header("date")
                .is_some_and(|date| date.ends_with(" GMT"))
        );
    }
    let whole = call("/ase/request", "", &asked("192.0.2.3"));
    for cut in [1, 20, whole.len() / 3, whole.len() / 2, whole.len() - 1] {
        let (first, second) = whole.split_at(cut);
        connection.send(first.as_bytes());
        std::thread::yield_now();
        connection.send(second.as_bytes());
        assert_eq!(connection.reply().status, 200, "cut at {cut}");
    }
    connection.send(whole.repeat(3).as_bytes());
    let statuses = [(); 3].map(|()| connection.reply().status);
    assert_eq!(statuses, [200; 3]);
    assert_eq!(left(&ase), 0);
}

#[test]
fn whatever_is_unusual_about_a_call_is_for_hyper_and_counted() {
    let ase = Ase::start();
    let body = asked("192.0.2.1");
    let chunked = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let twice = format!("Content-Length: {}\r\n", body.len());
    let unusual = [
        ("GET /ase HTTP/1.1\r\nHost: ASE\r\n\r\n".to_owned(), 200),
        (
            format!("POST /ase/request HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}"),
            200,
        ),
        (
            format!(
                "POST /ase/request HTTP/1.0\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ),
            200,
        ),
        (call("/ase/request", "Connection: close\r\n", &body), 200),
        (
            call("/ase/request", "Transfer-Encoding: chunked\r\n", &chunked),
            200,
        ),
        (call("/ase/request", &twice, &body), 200),
        (call("/ase/request", "Content-Length: 1\r\n", &body), 400),
        (call("http://ase/ase/request", "", &body), 200),
        (call("/ase/request/", "", &body), 404),
        (call("/ase/batch", "", "{}"), 200),
        (call("/ase/request", &"X: 1\r\n".repeat(60), &body), 200),
        (
            call(
                "/ase/request",
                &format!("X: {}\r\n", "1".repeat(70_000)),
                &body,
            ),
            431,
        ),
    ];
    for (number, (bytes, status)) in (1..).zip(unusual) {
        let mut connection = ase.connect();
        connection.send(bytes.as_bytes());
        assert_eq!(connection.reply().status, status, "{bytes:.200}");
        assert_eq!(left(&ase), number, "{bytes:.200}");
    }
}

#[test]
fn nobody_can_tell_an_answer_of_the_fast_path_from_one_of_hyper() {
    let ase = Ase::with(TOKENS);
    ase.deny(&json!({"type": "ip", "value": "192.0.2.66"}));
    for token in ["kong-0123456789abcdef", "axway-0123456789abcdef", "wrong"] {
        let lines = format!("ASE-Token: {token}\r\n");
        for body in [
            asked("192.0.2.1"),
            asked("192.0.2.66"),
            asked("nobody"),
            question("192.0.2.1", "/unknown").to_string(),
            question("192.0.2.1", "/hosted")
                .to_string()
                .replace("api.example.com", "x"),
            String::new(),
            "{".to_owned(),
        ] {
            for target in [
                "/ase/request",
                "/ase/request?delivery=batch",
                "/ase/response",
            ] {
                let bytes = call(target, &lines, &body);
                let fast = told(&mut ase.connect(), bytes.as_bytes());
                assert!(fast.starts_with("HTTP/1.1 "), "{bytes}");
                assert_eq!(fast, told(&mut of_hyper(&ase), bytes.as_bytes()), "{bytes}");
            }
        }
    }
}

#[test]
fn the_end_of_the_daemon_ends_connections_between_two_calls_and_answers_the_one_under_way() {
    let ase = Ase::in_folder(prepared("[limits]\ndrain_s = 20\n"));
    let mut idle = ase.connect();
    idle.send(call("/ase/request", "", &asked("192.0.2.1")).as_bytes());
    assert_eq!(idle.reply().status, 200);
    let lines: Vec<Value> = ase.stop();
    assert_eq!(lines.len(), 1);
    assert_eq!(idle.until_closed(), b"");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]
    #[test]
    fn broken_bytes_get_the_same_answer_on_both_paths(
        changes in prop::collection::vec((0_usize..400, prop::sample::select(&b"\r\n :,;0159?/{}\"XxcK\xff\0"[..])), 12)
    ) {
        let ase = Ase::with("[limits]\nheader_timeout_s = 1\nbody_timeout_s = 1\n");
        for (at, byte) in changes {
            let mut bytes = call("/ase/request", "X-CorrelationID: 7\r\n", &asked("192.0.2.1")).into_bytes();
            let at = at % bytes.len();
            bytes[at] = byte;
            let (mut fast, mut slow) = (ase.connect(), of_hyper(&ase));
            let (fast, slow) = (told(&mut fast, &bytes), told(&mut slow, &bytes));
            prop_assert_eq!(fast, slow, "{:?}", String::from_utf8_lossy(&bytes));
        }
    }
}
