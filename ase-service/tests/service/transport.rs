//! The data port's listeners and limits, with real clients: TLS, HTTP/2, a Unix socket, slow ones and too many.

use std::io::Read as _;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ase_service::config::{Overrides, Settings};
use ase_service::daemon::Daemon;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Runtime;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::harness::{Ase, Connection, DEADLINE, Reply, prepared, question, record, wait_for};

const TLS: &str = "data_tls = {listen = \"127.0.0.1:0\", cert = \"cert.pem\", key = \"key.pem\"}\n";
const MUTUAL: &str = "data_tls = {listen = \"127.0.0.1:0\", cert = \"cert.pem\", key = \"key.pem\", client_ca = \"ca.pem\"}\n";

/// An authority that lives as long as its test.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its key.
pub(crate) struct Pair {
    pub(crate) cert: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    pub(crate) fn pair(&self) -> Pair {
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.issuer).unwrap().pem();
        Pair {
            cert,
            key: key.serialize_pem(),
        }
    }

    pub(crate) fn client(&self, own: Option<&Pair>, protocol: &str) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(der(&self.pem)).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match own {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
                builder
                    .with_client_auth_cert(vec![der(&pair.cert)], key)
                    .unwrap()
            }
        };
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        TlsConnector::from(Arc::new(config))
    }
}

impl Pair {
    pub(crate) fn write(&self, folder: &Path) {
        std::fs::write(folder.join("cert.pem"), &self.cert).unwrap();
        std::fs::write(folder.join("key.pem"), &self.key).unwrap();
    }
}

pub(crate) fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

/// A daemon with a TLS listener of this authority.
fn with_tls(authority: &Authority, config: &str) -> (Ase, SocketAddr) {
    let folder = prepared(config);
    authority.pair().write(folder.path());
    std::fs::write(folder.path().join("ca.pem"), &authority.pem).unwrap();
    let ase = Ase::in_folder(folder);
    let tls = ase.listening().tls.unwrap();
    (ase, tls)
}

pub(crate) async fn shake(
    connector: &TlsConnector,
    to: SocketAddr,
) -> std::io::Result<TlsStream<tokio::net::TcpStream>> {
    let stream = tokio::net::TcpStream::connect(to).await?;
    let name = ServerName::try_from("localhost").unwrap();
    connector.connect(name, stream).await
}

fn call(version: hyper::Version) -> Request<Full<Bytes>> {
    let body = question("192.0.2.1", "/shop").to_string();
    Request::post("http://localhost/ase/request")
        .version(version)
        .header("host", "localhost")
        .body(Full::from(body))
        .unwrap()
}

/// What an HTTP/1.1 client is answered.
async fn ask_http1(
    io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> hyper::Result<String> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(io)).await?;
    tokio::spawn(connection);
    told(sender.send_request(call(hyper::Version::HTTP_11)).await?).await
}

/// What an HTTP/2 client is answered that asks three times at once.
async fn ask_http2(
    io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> hyper::Result<[String; 3]> {
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(io)).await?;
    tokio::spawn(connection);
    let ask = || {
        let mut sender = sender.clone();
        async move { told(sender.send_request(call(hyper::Version::HTTP_2)).await?).await }
    };
    let (first, second, third) = tokio::try_join!(ask(), ask(), ask())?;
    Ok([first, second, third])
}

async fn told(response: hyper::Response<hyper::body::Incoming>) -> hyper::Result<String> {
    let (head, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    let header = |name| {
        head.headers
            .get(name)
            .map_or("-", |value: &hyper::header::HeaderValue| {
                value.to_str().unwrap()
            })
            .to_owned()
    };
    Ok(format!(
        "{:?} {} {} {} {}",
        head.version,
        head.status.as_u16(),
        header("server"),
        header("x-ase-verdict"),
        String::from_utf8_lossy(&body)
    ))
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async { tokio::time::timeout(DEADLINE, future).await.unwrap() })
}

fn port_counter(ase: &Ase, name: &str) -> u64 {
    ase.counter("data port", name)
}

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

#[test]
fn a_tls_listener_speaks_http1_and_http2_as_the_client_chooses() {
    let authority = Authority::new();
    let (ase, tls) = with_tls(&authority, TLS);
    block_on(async {
        let stream = shake(&authority.client(None, "http/1.1"), tls)
            .await
            .unwrap();
        assert_eq!(
            ask_http1(stream).await.unwrap(),
            "HTTP/1.1 200 ASE allowed OK"
        );
        let stream = shake(&authority.client(None, "h2"), tls).await.unwrap();
        let answers = ask_http2(stream).await.unwrap();
        assert_eq!(answers, ["HTTP/2.0 200 ASE allowed OK"; 3]);
    });
    assert_eq!(
        ase.ask("plain", &question("192.0.2.1", "/shop")).status,
        200
    );
    assert_eq!(ase.counter("verdicts", "allowed"), 5);
}

#[test]
fn a_client_without_a_certificate_of_the_authority_is_refused_where_one_is_required() {
    let authority = Authority::new();
    let (ase, tls) = with_tls(&authority, MUTUAL);
    let stranger = Authority::new().pair();
    let own = authority.pair();
    block_on(async {
        for refused in [None, Some(&stranger)] {
            // With TLS 1.3 the client learns of it at its first read.
            let answer = match shake(&authority.client(refused, "http/1.1"), tls).await {
                Ok(stream) => ask_http1(stream).await.map_err(drop),
                Err(_) => Err(()),
            };
            assert_eq!(answer, Err(()));
        }
        let stream = shake(&authority.client(Some(&own), "http/1.1"), tls)
            .await
            .unwrap();
        assert_eq!(
            ask_http1(stream).await.unwrap(),
            "HTTP/1.1 200 ASE allowed OK"
        );
    });
    assert_eq!(port_counter(&ase, "tls handshakes failed"), 2);
}

#[test]
fn a_new_certificate_serves_within_seconds_and_a_bad_one_is_refused_while_the_old_one_stays() {
    let authority = Authority::new();
    let (ase, tls) = with_tls(&authority, TLS);
    let served = || {
        block_on(async {
            let stream = shake(&authority.client(None, "http/1.1"), tls)
                .await
                .unwrap();
            let chain = stream.get_ref().1.peer_certificates().unwrap();
            chain[0].clone()
        })
    };
    let kept = Runtime::new().unwrap();
    let open = kept
        .block_on(shake(&authority.client(None, "http/1.1"), tls))
        .unwrap();
    let first = served();
    let new = authority.pair();
    new.write(ase.folder.path());
    assert_ne!(first, der(&new.cert));
    wait_for("the new certificate", || {
        (served() == der(&new.cert)).then_some(())
    });
    assert_eq!(
        kept.block_on(ask_http1(open)).unwrap(),
        "HTTP/1.1 200 ASE allowed OK"
    );
    let other = authority.pair();
    std::fs::write(ase.folder.path().join("key.pem"), &other.key).unwrap();
    wait_for("the refusal", || {
        (port_counter(&ase, "certificates refused") == 1).then_some(())
    });
    assert_eq!(served(), der(&new.cert));
    std::fs::write(ase.folder.path().join("cert.pem"), "nothing").unwrap();
    wait_for("the second refusal", || {
        (port_counter(&ase, "certificates refused") == 2).then_some(())
    });
    ase.reload_certificates();
    assert_eq!(port_counter(&ase, "certificates refused"), 3);
    assert_eq!(served(), der(&new.cert));
    other.write(ase.folder.path());
    ase.reload_certificates();
    assert_eq!(served(), der(&other.cert));
}

#[test]
fn a_start_without_a_good_certificate_is_refused_with_the_file_and_its_fault() {
    let authority = Authority::new();
    let pair = authority.pair();
    for (cert, key, expected) in [
        (None, Some(pair.key.as_str()), "cert.pem: "),
        (
            Some(pair.cert.as_str()),
            Some("x"),
            "key.pem: holds no private key in PEM form",
        ),
        (
            Some("x"),
            Some(pair.key.as_str()),
            "cert.pem: holds no certificate in PEM form",
        ),
        (
            Some(pair.cert.as_str()),
            Some(authority.pair().key.as_str()),
            "key.pem: ",
        ),
    ] {
        let folder = prepared(TLS);
        for (name, text) in [("cert.pem", cert), ("key.pem", key)] {
            if let Some(text) = text {
                std::fs::write(folder.path().join(name), text).unwrap();
            }
        }
        let config = folder.path().join("ase.toml");
        let settings = Settings::load(Some(&config), &Overrides::default()).unwrap();
        let error = block_on(Daemon::start(settings)).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
        let report = ase_service::check::check(Some(&config), &Overrides::default());
        assert!(
            report.faults.iter().any(|fault| fault.contains(expected)),
            "{:?}",
            report.faults
        );
    }
}

#[test]
fn the_plain_port_speaks_http2_to_who_begins_with_it() {
    let ase = Ase::start();
    block_on(async {
        let stream = tokio::net::TcpStream::connect(ase.listening().plain)
            .await
            .unwrap();
        let answers = ask_http2(stream).await.unwrap();
        assert_eq!(answers, ["HTTP/2.0 200 ASE allowed OK"; 3]);
    });
}

#[test]
fn a_unix_socket_serves_its_group_and_only_the_name_of_a_dead_one_is_taken_over() {
    let folder = prepared("data_unix = \"ase.sock\"\ndata_unix_mode = \"0600\"\n");
    let path = folder.path().join("ase.sock");
    drop(UnixListener::bind(&path).unwrap());
    let ase = Ase::in_folder(folder);
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    block_on(async {
        let stream = tokio::net::UnixStream::connect(&path).await.unwrap();
        assert_eq!(
            ask_http1(stream).await.unwrap(),
            "HTTP/1.1 200 ASE allowed OK"
        );
    });
    let second = prepared(&format!("data_unix = {path:?}\n"));
    let settings =
        Settings::load(Some(&second.path().join("ase.toml")), &Overrides::default()).unwrap();
    let error = block_on(Daemon::start(settings)).err().unwrap().to_string();
    assert!(
        error.ends_with("ase.sock: somebody listens on it"),
        "{error}"
    );
    let folder = ase.stop_and_keep();
    assert!(!path.exists());
    std::fs::write(&path, "precious").unwrap();
    let settings =
        Settings::load(Some(&folder.path().join("ase.toml")), &Overrides::default()).unwrap();
    let error = block_on(Daemon::start(settings)).err().unwrap().to_string();
    assert!(error.ends_with("is there and is not a socket"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
}

#[test]
fn a_header_section_that_does_not_end_is_answered_408_and_left() {
    let ase = Ase::with("[limits]\nheader_timeout_s = 1\n");
    for begun in ["P", "POST /ase/request HTTP/1.1\r\nHost: ASE\r\nX: "] {
        let mut connection = ase.connect();
        connection.send(begun.as_bytes());
        let reply = connection.reply();
        assert_eq!(
            refusal(&reply),
            (408, "Error: Request Timeout", "rejected", Some("ASE"))
        );
        assert_eq!(reply.header("connection"), Some("close"));
        assert!(is_closed(&mut connection));
    }
    assert_eq!(port_counter(&ase, "headers too slow"), 2);
}

#[test]
fn a_body_that_does_not_end_is_answered_408_and_left() {
    let ase = Ase::with("[limits]\nbody_timeout_s = 1\n");
    let mut connection = ase.connect();
    connection.send(b"POST /ase/request HTTP/1.1\r\nHost: ASE\r\nContent-Length: 100\r\n\r\n{");
    let reply = connection.reply();
    assert_eq!(
        refusal(&reply),
        (408, "Error: Request Timeout", "rejected", Some("ASE"))
    );
    assert_eq!(reply.header("connection"), Some("close"));
    assert!(is_closed(&mut connection));
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

/// The bytes of a connection after its last answer.
impl Connection {
    fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.stream().read_to_end(&mut rest).unwrap();
        rest
    }
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
