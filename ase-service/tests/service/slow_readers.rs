//! Operators who are slow to read a long answer keep nobody waiting.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use ase_service::management::BLOCKING_THREADS;

use crate::harness::{Connection, prepared, record};
use crate::processes::serve;

/// Listed clients: an export of them is more than the system holds of a connection that nobody reads.
const LISTED: u32 = 100_000;

#[test]
fn as_many_exports_as_there_are_threads_that_nobody_reads_keep_no_other_call_waiting() {
    let folder = prepared("attack_list_file = \"attack.txt\"\n");
    let mut listed = String::new();
    for number in 1..=LISTED {
        let address = Ipv4Addr::from_bits(0x0a00_0000 + number);
        writeln!(listed, "{address}").unwrap();
    }
    std::fs::write(folder.path().join("attack.txt"), listed).unwrap();
    let process = serve(folder.path());
    let secret = std::fs::read_to_string(folder.path().join("state/admin.secret")).unwrap();
    let admin = [
        ("x-ase-access-key", "admin"),
        ("x-ase-secret-key", secret.trim()),
        ("connection", "close"),
    ];
    let export = || {
        let mut reader = Connection::to(process.admin);
        let head = reader.call("GET", "/v1/deny/export?format=json", &admin, b"");
        (head.status, reader)
    };
    let readers = (0..BLOCKING_THREADS).map(|_| {
        let (status, reader) = export();
        assert_eq!(status, 200);
        reader
    });
    let mut readers: Vec<_> = readers.collect();

    let managed = Connection::to(process.admin).call("GET", "/v1/detections", &admin, b"");
    assert_eq!(managed.status, 200);
    let line = record("r-1", "192.0.2.1", "/shop").to_string();
    let told = Connection::to(process.data).call("POST", "/ase/batch", &[], line.as_bytes());
    assert_eq!(told.status, 200, "{}", told.body);
    let (status, _) = export();
    assert_eq!(status, 409, "memory is bounded");

    let whole = readers.pop().unwrap().until_closed();
    let whole = String::from_utf8(whole).unwrap();
    let entries = whole.matches("\"identifier\"").count();
    assert!(whole.ends_with("0\r\n\r\n"), "it breaks off");
    // A chunk may begin within the word.
    assert!((99_000..=100_000).contains(&entries), "{entries} entries");
}
