//! The bounds of the data port: who is too slow, says too much or comes in too great a number is refused, and counted.

use std::io::Read as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};

use crate::harness::{Ase, Connection, Reply, question, record, wait_for};
use crate::transport::{block_on, call, port_counter, told};

/// The beginning of a question whose rest does not come, which ASE has begun to take.
fn half_a_call(ase: &Ase) -> (Connection, String) {
    let body = question("192.0.2.1", "/shop").to_string();
    let mut connection = ase.connect();
    let head = format!(
        "POST /ase/request HTTP/1.1\r\nHost: ASE\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    connection.send(head.as_bytes());
    assert_eq!(connection.reply().status, 100);
    (connection, body)
}

fn is_closed(connection: &mut Connection) -> bool {
    connection.rest().is_empty()
}

fn refusal(reply: &Reply) -> (u16, &str, &str, Option<&str>) {
    (
        reply.status,
        reply.body.as_str(),
        reply.verdict(),
        reply.header("server"),
    )
}

/// The bytes of a connection after its last answer.
impl Connection {
    fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.stream().read_to_end(&mut rest).unwrap();
        rest
    }
}

fn was_too_slow(connection: &mut Connection) {
    let reply = connection.reply();
    assert_eq!(
        refusal(&reply),
        (408, "Error: Request Timeout", "rejected", Some("ASE"))
    );
    assert_eq!(reply.header("connection"), Some("close"));
    assert!(is_closed(connection));
}

#[test]
fn a_header_section_that_does_not_end_is_answered_408_and_left() {
    let ase = Ase::with("[limits]\nheader_timeout_s = 1\n");
    for begun in ["P", "POST /ase/request HTTP/1.1\r\nHost: ASE\r\nX: "] {
        let mut connection = ase.connect();
        connection.send(begun.as_bytes());
        was_too_slow(&mut connection);
    }
    assert_eq!(port_counter(&ase, "headers too slow"), 2);
}

#[test]
fn a_body_that_does_not_end_is_answered_408_and_left() {
    let ase = Ase::with("[limits]\nbody_timeout_s = 1\n");
    let mut connection = ase.connect();
    connection.send(b"POST /ase/request HTTP/1.1\r\nHost: ASE\r\nContent-Length: 100\r\n\r\n{");
    was_too_slow(&mut connection);
    assert_eq!(port_counter(&ase, "bodies too slow"), 1);
}

#[test]
fn an_idle_connection_is_closed_without_an_answer() {
    let ase = Ase::with("[limits]\nidle_timeout_s = 1\n");
    let mut connection = ase.connect();
    let body = question("192.0.2.1", "/shop").to_string();
    assert_eq!(
        connection
            .call("POST", "/ase/request", &[], body.as_bytes())
            .status,
        200
    );
    let began = Instant::now();
    assert!(is_closed(&mut connection));
    assert!(
        began.elapsed() >= Duration::from_millis(900),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(port_counter(&ase, "idle connections closed"), 1);
}

#[test]
fn an_http2_connection_without_calls_lives_until_it_is_idle_for_too_long() {
    let ase = Ase::with("[limits]\nheader_timeout_s = 1\nidle_timeout_s = 3\n");
    let lived = block_on(async {
        let stream = tokio::net::TcpStream::connect(ase.listening().plain)
            .await
            .unwrap();
        let (mut sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            // Frames that are no calls.
            .keep_alive_interval(Duration::from_millis(200))
            .keep_alive_while_idle(true)
            .handshake(TokioIo::new(stream))
            .await
            .unwrap();
        let connection = tokio::spawn(connection);
        let response = sender.send_request(call(hyper::Version::HTTP_2)).await;
        assert_eq!(
            told(response.unwrap()).await.unwrap(),
            "HTTP/2.0 200 ASE allowed OK"
        );
        let began = Instant::now();
        connection.await.unwrap().unwrap();
        began.elapsed()
    });
    assert!(lived >= Duration::from_millis(2900), "{lived:?}");
    assert_eq!(port_counter(&ase, "idle connections closed"), 1);
}

#[test]
fn headers_that_are_too_many_or_too_long_are_answered_431_and_what_is_no_http_400() {
    let ase = Ase::with("[limits]\nheaders = 8\nheader_bytes = 8192\n");
    let many: String = (0..9).map(|number| format!("x-{number}: 1\r\n")).collect();
    for headers in [many, format!("x: {}\r\n", "y".repeat(9000))] {
        let mut connection = ase.connect();
        connection.send(format!("POST /ase/request HTTP/1.1\r\n{headers}\r\n").as_bytes());
        let reply = connection.reply();
        assert_eq!(
            refusal(&reply),
            (431, "Error: Headers Too Large", "rejected", Some("ASE"))
        );
        assert!(is_closed(&mut connection));
    }
    let mut connection = ase.connect();
    connection.send(b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n");
    let reply = connection.reply();
    assert_eq!(
        refusal(&reply),
        (400, "Error: Malformed Request", "rejected", Some("ASE"))
    );
    // What hyper refuses is counted when its last words have been said.
    wait_for("the counts", || {
        let counts = ["headers too large", "not http"].map(|name| port_counter(&ase, name));
        (counts == [2, 1]).then_some(())
    });
}

#[test]
fn a_connection_over_the_limit_is_told_503_and_one_that_ends_makes_room() {
    let ase = Ase::with("[limits]\nconnections = 2\n");
    let body = question("192.0.2.1", "/shop").to_string();
    let mut open: Vec<Connection> = Vec::new();
    for _ in 0..2 {
        let mut connection = ase.connect();
        assert_eq!(
            connection
                .call("POST", "/ase/request", &[], body.as_bytes())
                .status,
            200
        );
        open.push(connection);
    }
    for _ in 0..3 {
        let mut connection = ase.connect();
        let reply = connection.call("POST", "/ase/request", &[], body.as_bytes());
        assert_eq!(
            refusal(&reply),
            (503, "Error: Overloaded", "overloaded", Some("ASE"))
        );
        assert_eq!(reply.header("retry-after"), Some("1"));
    }
    assert_eq!(port_counter(&ase, "connections over the limit"), 3);
    drop(open.pop());
    wait_for("room for a connection", || {
        let reply = ase
            .connect()
            .call("POST", "/ase/request", &[], body.as_bytes());
        (reply.status == 200).then_some(())
    });
    assert_eq!(
        open[0]
            .call("POST", "/ase/request", &[], body.as_bytes())
            .status,
        200
    );
}

#[test]
fn a_call_that_there_is_no_room_for_is_shed_and_the_next_ones_are_answered_again() {
    let ase = Ase::with("[limits]\nin_flight = 1\n");
    let (mut holds, body) = half_a_call(&ase);
    let mut waits = ase.connect();
    for path in ["/ase/request", "/ase/response", "/ase/batch"] {
        let reply = waits.call("POST", path, &[], body.as_bytes());
        assert_eq!(
            refusal(&reply),
            (503, "Error: Overloaded", "overloaded", Some("ASE")),
            "{path}"
        );
        assert_eq!(reply.header("retry-after"), Some("1"));
    }
    // Load balancers are not turned away.
    assert_eq!(waits.call("GET", "/ase", &[], b"").status, 200);
    holds.send(body.as_bytes());
    assert_eq!(holds.reply().status, 200);
    assert_eq!(
        waits
            .call("POST", "/ase/request", &[], body.as_bytes())
            .status,
        200
    );
    assert_eq!(port_counter(&ase, "calls shed"), 3);
    assert_eq!(ase.counter("verdicts", "overloaded"), 1);
    assert_eq!(ase.counter("batches", "overloaded"), 1);
}

#[test]
fn a_client_that_leaves_in_the_middle_of_a_call_gives_its_room_back() {
    let ase = Ase::with("[limits]\nin_flight = 1\nconnections = 2\n");
    drop(half_a_call(&ase));
    let body = question("192.0.2.1", "/shop").to_string();
    wait_for("the room of the client that left", || {
        let reply = ase.post("/ase/request", &[], &body);
        (reply.status == 200).then_some(())
    });
}

#[test]
fn a_line_of_a_batch_over_the_limit_of_a_body_is_rejected_by_its_number() {
    let ase = Ase::with("[limits]\nbody_bytes = 2048\n");
    let long = record("long", "192.0.2.1", &format!("/shop?{}", "x".repeat(3000)));
    let batch = format!(
        "{}\n{long}\n{}\n",
        record("a", "192.0.2.1", "/shop"),
        record("b", "192.0.2.1", "/shop")
    );
    let reply = ase.post("/ase/batch", &[], batch);
    let report: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!(report["accepted"], 2);
    assert_eq!(
        report["rejected"],
        serde_json::json!([{"line": 2, "fault": "is longer than 2048 bytes"}])
    );
}

#[test]
fn keep_alive_off_closes_after_each_answer() {
    let ase = Ase::with("keep_alive = false\n");
    let mut connection = ase.connect();
    let reply = connection.call("GET", "/ase", &[], b"");
    assert_eq!(
        (reply.status, reply.header("connection")),
        (200, Some("close"))
    );
    assert!(is_closed(&mut connection));
    assert!(TcpStream::connect(ase.listening().plain).is_ok());
}
