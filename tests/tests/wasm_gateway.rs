//! The wasm gateway itself, with small guests written as text: what its host calls and its flow do where the filter's correctness hangs on it.
//!
//! The expected values were measured on Envoy 1.40. Scenarios test the filter; here the guest is as simple as the question asked.
#![expect(
    clippy::expect_used,
    reason = "the helpers below the tests are test code too"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use system_tests::wasm_gateway::{
    HeadLimits, HeadersStopIteration, HostKind, RemoteAddress, StartError, WasmGateway,
    WasmGatewayConfig,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Asks the cluster that its configuration names about each request, logs what comes back, and lets the request pass.
const ASKING: &str = r#"(module
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (import "env" "proxy_get_buffer_bytes" (func $buffer (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_get_header_map_pairs" (func $pairs (param i32 i32 i32) (result i32)))
  (import "env" "proxy_http_call"
    (func $call (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_continue_stream" (func $continue (param i32) (result i32)))
  (import "env" "proxy_set_effective_context" (func $act_for (param i32) (result i32)))
  (memory (export "memory") 4)
  (global $free (mut i32) (i32.const 65536))
  (global $stream (mut i32) (i32.const 0))
  (data (i32.const 0) "\03\00\00\00\07\00\00\00\04\00\00\00\05\00\00\00\02\00\00\00\0a\00\00\00\03\00\00\00:method\00POST\00:path\00/q\00:authority\00ase\00")
  (data (i32.const 1100) "dispatch 00")
  (data (i32.const 1120) "headers 0")
  (data (i32.const 1140) "logged")
  (func $digit (param $at i32) (param $value i32)
    (i32.store8 (local.get $at) (i32.add (i32.const 48) (local.get $value))))
  (func (export "proxy_on_memory_allocate") (param $size i32) (result i32)
    (global.get $free)
    (global.set $free (i32.add (global.get $free) (local.get $size))))
  (func (export "proxy_on_configure") (param $context i32) (param $size i32) (result i32)
    (if (local.get $size) (then
      (drop (call $buffer (i32.const 7) (i32.const 0) (local.get $size) (i32.const 1024) (i32.const 1028)))))
    (i32.ne (local.get $size) (i32.const 0)))
  (func (export "proxy_on_request_headers") (param $context i32) (param i32 i32) (result i32)
    (local $status i32)
    (global.set $stream (local.get $context))
    (local.set $status (call $call (i32.load (i32.const 1024)) (i32.load (i32.const 1028))
      (i32.const 0) (i32.const 68) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
      (i32.const 300) (i32.const 1032)))
    (call $digit (i32.const 1109) (i32.div_u (local.get $status) (i32.const 10)))
    (call $digit (i32.const 1110) (i32.rem_u (local.get $status) (i32.const 10)))
    (drop (call $log (i32.const 2) (i32.const 1100) (i32.const 11)))
    (i32.eqz (local.get $status)))
  (func (export "proxy_on_http_call_response") (param i32 i32) (param $headers i32) (param $body i32) (param i32)
    (call $digit (i32.const 1128) (local.get $headers))
    (drop (call $log (i32.const 2) (i32.const 1120) (i32.const 9)))
    (drop (call $pairs (i32.const 6) (i32.const 1040) (i32.const 1044)))
    (drop (call $log (i32.const 2) (i32.load (i32.const 1040)) (i32.load (i32.const 1044))))
    (if (local.get $body) (then
      (drop (call $buffer (i32.const 4) (i32.const 0) (local.get $body) (i32.const 1048) (i32.const 1052)))
      (drop (call $log (i32.const 2) (i32.load (i32.const 1048)) (i32.load (i32.const 1052))))))
    (drop (call $act_for (global.get $stream)))
    (drop (call $continue (i32.const 0))))
  (func (export "proxy_on_log") (param i32)
    (drop (call $log (i32.const 2) (i32.const 1140) (i32.const 6)))))"#;

/// Traps at every request.
const TRAPPING: &str = r#"(module (memory (export "memory") 1)
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) unreachable))"#;

/// Does nothing.
const IDLE: &str = r#"(module (memory (export "memory") 1))"#;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// What a peer does with the one request of each of its connections.
#[derive(Clone, Copy)]
enum Peer {
    /// Sends this and closes.
    Sends(&'static str),
    /// Never answers.
    IsSilent,
    /// Switches protocols, then sends back what comes.
    Echoes,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_in_which_a_callout_can_end_looks_as_in_envoy() {
    let rows: [(&str, Option<Peer>, &[&str]); 7] = [
        (
            "real 503",
            Some(Peer::Sends(
                "HTTP/1.1 503 No\r\ncontent-length: 2\r\n\r\nno",
            )),
            &[
                "dispatch 00",
                "headers 3",
                ":status\x00503\0",
                "x-envoy-upstream-service-time\0",
                "no",
            ],
        ),
        (
            "refused",
            None,
            &[
                "headers 3",
                ":status\x00503\0content-length\0",
                "remote connection failure",
            ],
        ),
        (
            "closed at once",
            Some(Peer::Sends("")),
            &[
                "headers 3",
                ":status\x00503\0content-length\0",
                "connection termination",
            ],
        ),
        (
            "garbage",
            Some(Peer::Sends("what is this?\r\n\r\n")),
            &[
                "headers 3",
                ":status\x00502\0content-length\0",
                "protocol error",
            ],
        ),
        (
            "timeout",
            Some(Peer::IsSilent),
            &[
                "headers 3",
                ":status\x00504\0content-length\0",
                "upstream request timeout",
            ],
        ),
        (
            "reset after the headers",
            Some(Peer::Sends(
                "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nno",
            )),
            &["dispatch 00", "headers 0"],
        ),
        (
            "real 200",
            Some(Peer::Sends(OK)),
            &[
                "headers 3",
                ":status\x00200\0content-length\x002\0x-envoy",
                "ok",
            ],
        ),
    ];
    for (row, peer, expected) in rows {
        let address = match peer {
            Some(peer) => serve(peer).await,
            None => refusing().await,
        };
        let gateway = Setup::asking("ase", vec![address])
            .start()
            .await
            .expect(row);
        let answer = ask(
            gateway.address(),
            "GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n",
        )
        .await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{row}: {answer}");
        let log = log(&gateway);
        for text in expected {
            assert!(log.contains(text), "{row}: no {text:?} in {log:?}");
        }
        let by_the_peer = row.starts_with("real");
        assert_eq!(
            log.contains("x-envoy-upstream-service-time"),
            by_the_peer,
            "{row}: {log:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callout_that_cannot_begin_fails_at_once() {
    let somebody = serve(Peer::Sends(OK)).await;
    let mut denied = Setup::asking("ase", vec![somebody]);
    denied.denied.insert("proxy_http_call".to_owned());
    let mut full = Setup::asking("ase", vec![somebody]);
    full.max_requests.insert("ase".to_owned(), 0);
    let mut unknown = Setup::asking("ase", vec![somebody]);
    unknown.configuration = "other".to_owned();
    let rows = [
        ("unknown cluster", unknown, "dispatch 02"),
        ("no endpoint", Setup::asking("ase", vec![]), "dispatch 10"),
        ("denied capability", denied, "dispatch 10"),
        ("circuit open", full, "dispatch 10"),
    ];
    for (row, setup, expected) in rows {
        let gateway = setup.start().await.expect(row);
        let answer = ask(
            gateway.address(),
            "GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n",
        )
        .await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{row}: {answer}");
        assert!(
            log(&gateway).contains(expected),
            "{row}: {:?}",
            log(&gateway)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_passes_a_paused_filter_only_where_stop_iteration_is_allowed() {
    let post = "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\nconnection: close\r\n\r\nabc";
    for (stop_iteration, verdict_first) in [
        (HeadersStopIteration::Forbidden, true),
        (HeadersStopIteration::Allowed, false),
    ] {
        let mut setup = Setup::asking("ase", vec![serve(Peer::IsSilent).await]);
        setup.stop_iteration = stop_iteration;
        let gateway = setup.start().await.expect("a valid setup");
        let answer = ask(gateway.address(), post).await;
        assert!(
            answer.starts_with("HTTP/1.1 200"),
            "{stop_iteration:?}: {answer}"
        );
        assert_eq!(
            log(&gateway).contains("headers 3"),
            verdict_first,
            "{stop_iteration:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_configuration_leaves_the_old_one_running() {
    let ase = serve(Peer::Sends(OK)).await;
    let gateway = Setup::asking("ase", vec![ase])
        .start()
        .await
        .expect("a valid setup");
    let refused = gateway.reconfigure(String::new()).await;
    assert!(
        matches!(refused, Err(StartError::ConfigurationRefused { .. })),
        "{refused:?}"
    );
    ask(
        gateway.address(),
        "GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n",
    )
    .await;
    assert!(log(&gateway).contains("dispatch 00"), "{:?}", log(&gateway));
    gateway
        .reconfigure("nobody".to_owned())
        .await
        .expect("a name is a configuration");
    ask(
        gateway.address(),
        "GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n",
    )
    .await;
    assert!(log(&gateway).contains("dispatch 02"), "{:?}", log(&gateway));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_the_host_rejects_is_only_logged() {
    let gateway = Setup::asking("ase", vec![serve(Peer::Sends(OK)).await])
        .start()
        .await
        .expect("a valid setup");
    let many = "x: y\r\n".repeat(100);
    let rows = [
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), "400"),
        (format!("GET / HTTP/1.1\r\nhost: h\r\n{many}\r\n"), "431"),
        (
            format!(
                "GET / HTTP/1.1\r\nhost: h\r\nlong: {}\r\n\r\n",
                "a".repeat(61 * 1024)
            ),
            "431",
        ),
        (
            "GET / HTTP/1.1\r\nhost: h\r\nn\u{e4}me: v\r\n\r\n".to_owned(),
            "400",
        ),
        ("GET / HTTP/1.0\r\nhost: h\r\n\r\n".to_owned(), "426"),
    ];
    for (count, (request, code)) in rows.into_iter().enumerate() {
        let answer = ask(gateway.address(), &request).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {code}"))
                || answer.starts_with(&format!("HTTP/1.0 {code}")),
            "{answer}"
        );
        logged(&gateway, count + 1).await;
    }
    assert!(!log(&gateway).contains("dispatch"), "{:?}", log(&gateway));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_while_its_request_is_held_is_logged_and_its_late_verdict_harms_nobody()
 {
    let gateway = Setup::asking("ase", vec![serve(Peer::IsSilent).await])
        .start()
        .await
        .expect("a valid setup");
    let mut client = TcpStream::connect(gateway.address())
        .await
        .expect("the gateway listens");
    client
        .write_all(b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n\r\nabc")
        .await
        .expect("the gateway reads");
    until(|| log(&gateway).contains("dispatch 00")).await;
    drop(client);
    logged(&gateway, 1).await;
    until(|| log(&gateway).contains("headers 3")).await;
    assert!(!gateway.trapped());
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_trap_every_request_gets_503() {
    let gateway = Setup::of(TRAPPING).start().await.expect("a valid setup");
    for _ in 0..2 {
        let answer = ask(
            gateway.address(),
            "GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n",
        )
        .await;
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        assert!(gateway.trapped());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_is_tunnelled_after_the_upstreams_101() {
    let mut setup = Setup::of(IDLE);
    setup.upstream = Peer::Echoes;
    let gateway = setup.start().await.expect("a valid setup");
    let mut client = TcpStream::connect(gateway.address())
        .await
        .expect("the gateway listens");
    let request =
        b"GET /ws HTTP/1.1\r\nhost: h\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n";
    client.write_all(request).await.expect("the gateway reads");
    let head = read_head(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    client.write_all(b"ping").await.expect("the tunnel is open");
    let mut echo = [0; 4];
    client
        .read_exact(&mut echo)
        .await
        .expect("the tunnel is open");
    assert_eq!(&echo, b"ping");
}

/// A gateway to be.
struct Setup {
    guest: &'static str,
    configuration: String,
    clusters: BTreeMap<String, Vec<SocketAddr>>,
    denied: BTreeSet<String>,
    max_requests: BTreeMap<String, usize>,
    stop_iteration: HeadersStopIteration,
    upstream: Peer,
}

impl Setup {
    fn of(guest: &'static str) -> Self {
        Self {
            guest,
            configuration: String::new(),
            clusters: BTreeMap::new(),
            denied: BTreeSet::new(),
            max_requests: BTreeMap::new(),
            stop_iteration: HeadersStopIteration::Forbidden,
            upstream: Peer::Sends(OK),
        }
    }

    fn asking(cluster: &str, addresses: Vec<SocketAddr>) -> Self {
        let clusters = BTreeMap::from([(cluster.to_owned(), addresses)]);
        Self {
            configuration: cluster.to_owned(),
            clusters,
            ..Self::of(ASKING)
        }
    }

    async fn start(self) -> Result<WasmGateway, StartError> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let module: PathBuf = folder.path().join("guest.wasm");
        std::fs::write(&module, wat::parse_str(self.guest).expect("valid text"))
            .expect("a writable folder");
        WasmGateway::start(WasmGatewayConfig {
            host: HostKind::Envoy,
            module,
            plugin_configuration: self.configuration,
            upstream: serve(self.upstream).await,
            clusters: self.clusters,
            denied_capabilities: self.denied,
            allow_on_headers_stop_iteration: self.stop_iteration,
            use_remote_address: RemoteAddress::Forwarded,
            head_limits: HeadLimits::default(),
            max_requests: self.max_requests,
            route_metadata: Vec::new(),
            connection: BTreeMap::new(),
            verified_claims: BTreeMap::new(),
        })
        .await
    }
}

/// An address where a peer behaves so for as long as the test runs.
async fn serve(peer: Peer) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0))
        .await
        .expect("a free port");
    let address = listener.local_addr().expect("a bound port");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                read_head(&mut stream).await;
                match peer {
                    Peer::Sends(text) => drop(stream.write_all(text.as_bytes()).await),
                    Peer::IsSilent => drop(stream.read_to_end(&mut Vec::new()).await),
                    Peer::Echoes => {
                        let switch = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
                        drop(stream.write_all(switch).await);
                        let (mut from, mut to) = stream.split();
                        drop(tokio::io::copy(&mut from, &mut to).await);
                    }
                }
            });
        }
    });
    address
}

/// An address where nobody listens and nobody else can.
async fn refusing() -> SocketAddr {
    let socket =
        socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    socket
        .bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
        .expect("a free port");
    let address = socket
        .local_addr()
        .ok()
        .and_then(|address| address.as_socket())
        .expect("a bound port");
    tokio::spawn(async move {
        let _held = socket;
        std::future::pending::<()>().await;
    });
    address
}

async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// The whole answer to a request on a connection of its own.
async fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address)
        .await
        .expect("the gateway listens");
    stream
        .write_all(request.as_bytes())
        .await
        .expect("the gateway reads");
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
    // A rejected request's connection may end with a reset after the answer.
    drop(read.expect("the gateway answers and closes"));
    String::from_utf8_lossy(&answer).into_owned()
}

fn log(gateway: &WasmGateway) -> String {
    gateway
        .log()
        .into_iter()
        .map(|line| line.text + "\n")
        .collect()
}

/// Waits until so many exchanges have been logged by the guest.
async fn logged(gateway: &WasmGateway, count: usize) {
    until(|| log(gateway).matches("logged").count() == count).await;
}

async fn until(condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), waiting)
        .await
        .expect("the condition comes true");
}
