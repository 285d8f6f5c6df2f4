//! The data port's listeners, with real clients: TLS, HTTP/2, a Unix socket.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;

use ase_service::config::{Overrides, Settings};
use ase_service::daemon::Daemon;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Runtime;

use crate::certificates::{Authority, der, shake};
use crate::harness::{Ase, DEADLINE, prepared, question, wait_for};

const TLS: &str = "data_tls = {listen = \"127.0.0.1:0\", cert = \"cert.pem\", key = \"key.pem\"}\n";
const MUTUAL: &str = "data_tls = {listen = \"127.0.0.1:0\", cert = \"cert.pem\", key = \"key.pem\", client_ca = \"ca.pem\"}\n";

/// A daemon with a TLS listener of this authority.
fn with_tls(authority: &Authority, config: &str) -> (Ase, SocketAddr) {
    let folder = prepared(config);
    authority.pair().write(folder.path());
    std::fs::write(folder.path().join("ca.pem"), &authority.pem).unwrap();
    let ase = Ase::in_folder(folder);
    let tls = ase.listening().tls.unwrap();
    (ase, tls)
}

pub(crate) fn call(version: hyper::Version) -> Request<Full<Bytes>> {
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

pub(crate) async fn told(
    response: hyper::Response<hyper::body::Incoming>,
) -> hyper::Result<String> {
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

pub(crate) fn port_counter(ase: &Ase, name: &str) -> u64 {
    ase.counter("data port", name)
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
