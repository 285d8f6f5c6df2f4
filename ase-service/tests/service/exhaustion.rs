//! What a daemon does when it runs out of something: file descriptors, patience with HTTP/2 clients; and what shows it coming.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use crate::certificates::{Authority, der, shake};
use crate::harness::{Ase, Connection, DEADLINE, prepared, question, record, wait_for};
use crate::processes::{BINARY, Process, ended, served, signal};
use crate::rotation::ids;
use crate::transport::block_on;

const TLS: &str = "data_tls = {listen = \"127.0.0.1:0\", cert = \"cert.pem\", key = \"key.pem\"}\n";
/// File descriptors of a daemon that shall run out of them; it uses some thirty by itself.
const FEW: usize = 64;

#[test]
fn the_metrics_show_the_open_connections_of_each_listener() {
    let authority = Authority::new();
    let folder = prepared(&format!("{TLS}data_unix = \"ase.sock\"\n"));
    authority.pair().write(folder.path());
    let socket = folder.path().join("ase.sock");
    let ase = Ase::in_folder(folder);
    let shown = |expected: [usize; 3]| {
        wait_for("the gauge of connections", || {
            let page = ase.look("/metrics").body;
            let open = |listener: &str| {
                let name = format!("ase_data_port_connections{{listener=\"{listener}\"}} ");
                let line = page.lines().find_map(|line| line.strip_prefix(&name));
                line.unwrap().parse::<usize>().unwrap()
            };
            (["plain", "tls", "unix"].map(open) == expected).then_some(())
        });
    };
    shown([0, 0, 0]);
    let plain = [ase.connect(), ase.connect()];
    let tls = TcpStream::connect(ase.listening().tls.unwrap()).unwrap();
    let unix = UnixStream::connect(socket).unwrap();
    shown([2, 1, 1]);
    drop((plain, unix));
    shown([0, 1, 0]);
    drop(tls);
    shown([0, 0, 0]);
}

/// The queue of a listener takes connections that the process has no descriptor for.
#[test]
fn a_daemon_without_file_descriptors_counts_it_and_serves_again_when_it_has_some() {
    let folder = prepared("[access_log_rotation]\nmax_bytes = 4096\n");
    let mut process = limited(folder.path());
    let body = question("192.0.2.1", "/shop").to_string();
    let ask = |connection: &mut Connection| {
        let reply = connection.call("POST", "/ase/request", &[], body.as_bytes());
        reply.status
    };
    let mut first = Connection::to(process.data);
    assert_eq!(ask(&mut first), 200);
    let mut idle: Vec<TcpStream> = (0..2 * FEW)
        .map(|_| TcpStream::connect(process.data).unwrap())
        .collect();
    let open = || {
        let folder = format!("/proc/{}/fd", process.child.id());
        std::fs::read_dir(folder).unwrap().count()
    };
    wait_for("the last descriptor to be used", || {
        (open() >= FEW).then_some(())
    });
    // What is open is served, and the log that cannot be rotated grows on.
    assert_eq!(ask(&mut first), 200);
    for round in 0..2 {
        let batch: String = (0..20)
            .map(|id| record(&format!("{round}-{id}"), "192.0.2.1", "/shop").to_string() + "\n")
            .collect();
        let taken = first.call("POST", "/ase/batch", &[], batch.as_bytes());
        assert_eq!(taken.status, 200);
    }
    idle.clear();
    let mut again = Connection::to(process.data);
    assert_eq!(ask(&mut again), 200);
    let metrics = Connection::to(process.admin).call("GET", "/metrics", &[], b"");
    let count = |name: &str| {
        let line = metrics
            .body
            .lines()
            .find_map(|line| line.strip_prefix(name));
        line.unwrap().trim().parse::<u64>().unwrap()
    };
    assert!(count("ase_data_port_events_total{event=\"accept failed\"}") > 0);
    assert!(count("ase_access_log_rotations_failed_total") > 0);
    signal(process.child.id(), "-TERM");
    assert_eq!(ended(&mut process), Some(0));
    let batches = ids(folder.path()).into_iter();
    assert_eq!(
        batches
            .filter(|id| id.contains('-') && id.len() > 1)
            .count(),
        40
    );
}

fn limited(folder: &Path) -> Process {
    let script = format!("ulimit -n {FEW}; exec \"$0\" \"$@\"");
    served(Command::new("sh").args(["-c", &script, BINARY]), folder)
}

/// Each stream is opened and given up at once, which costs a client nothing (CVE-2023-44487).
#[test]
fn a_client_that_opens_and_resets_streams_is_left_and_the_others_are_served() {
    let ase = Ase::start();
    let mut client = TcpStream::connect(ase.connect().peer()).unwrap();
    client.set_read_timeout(Some(DEADLINE)).unwrap();
    client
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .unwrap();
    client.write_all(&frame(4, 0, 0, b"")).unwrap();
    let mut sent = 0;
    for stream in (1..200_000_u32).step_by(2) {
        let mut both = frame(1, 0x4, stream, &post_request());
        both.extend(frame(3, 0, stream, &8_u32.to_be_bytes()));
        if client.write_all(&both).is_err() {
            break;
        }
        sent += 1;
    }
    assert!(sent < 100_000, "the connection is never ended");
    let mut heard = Vec::new();
    // A reset is an end too.
    drop(client.read_to_end(&mut heard));
    let body = question("192.0.2.1", "/shop").to_string();
    assert_eq!(ase.post("/ase/request", &[], body).status, 200);
    wait_for("the end of the connection", || {
        let page = ase.look("/metrics").body;
        page.contains("ase_data_port_connections{listener=\"plain\"} 0\n")
            .then_some(())
    });
}

/// An HTTP/2 frame (RFC 9113 §4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The headers of a question: indexed where the static table has them, else literal and not indexed (RFC 7541 §6).
fn post_request() -> Vec<u8> {
    let mut block = vec![0x83, 0x86];
    for (name, value) in [(4, "/ase/request"), (1, "localhost")] {
        block.extend([name, u8::try_from(value.len()).unwrap()]);
        block.extend(value.as_bytes());
    }
    block
}

/// Without a signal the files are read too; that a refused certificate is counted once more shows that the signal was heard.
#[test]
fn sighup_reads_the_certificate_again() {
    let authority = Authority::new();
    let folder = prepared(TLS);
    authority.pair().write(folder.path());
    let process = served(&mut Command::new(BINARY), folder.path());
    let refused = || {
        let page = Connection::to(process.admin).call("GET", "/metrics", &[], b"");
        let name = "ase_data_port_events_total{event=\"certificates refused\"} ";
        let line = page.body.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().parse::<u64>().unwrap()
    };
    let (new, other) = (authority.pair(), authority.pair());
    std::fs::write(folder.path().join("key.pem"), &other.key).unwrap();
    for count in 1..4 {
        wait_for("a refusal", || (refused() == count).then_some(()));
        signal(process.child.id(), "-HUP");
    }
    new.write(folder.path());
    signal(process.child.id(), "-HUP");
    wait_for("the new certificate", || {
        let served = block_on(async {
            let connector = authority.client(None, "http/1.1");
            let stream = shake(&connector, process.data_tls.unwrap()).await.unwrap();
            let chain = stream.get_ref().1.peer_certificates().unwrap();
            chain[0].clone()
        });
        (served == der(&new.cert)).then_some(())
    });
}
