//! Operators who are slow to read a long answer keep nobody waiting.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use ase_service::management::BLOCKING_THREADS;

use crate::harness::{Connection, prepared, record};
use crate::processes::serve;

/// Listed clients: an export of them is more than the system holds of a connection that nobody reads.
const LISTED: u32 = 100_000;

#[test]
fn as_many_whole_lists_as_there_are_threads_that_nobody_reads_keep_no_other_call_waiting() {
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
    let ask_for = |list: &str| {
        let mut reader = Connection::to(process.admin);
        reader.ask("GET", list, &admin, b"");
        (reader.reply_head().status, reader)
    };
    let ways = [
        "/v1/deny",
        "/v5/ase/firewall/blacklist",
        "/v1/deny/export?format=json",
    ];
    let readers = ways.iter().cycle().take(BLOCKING_THREADS).map(|list| {
        let (status, reader) = ask_for(list);
        assert_eq!(status, 200, "{list}");
        reader
    });
    let mut readers: Vec<_> = readers.collect();

    let managed = Connection::to(process.admin).call("GET", "/v1/detections", &admin, b"");
    assert_eq!(managed.status, 200);
    let line = record("r-1", "192.0.2.1", "/shop").to_string();
    let told = Connection::to(process.data).call("POST", "/ase/batch", &[], line.as_bytes());
    assert_eq!(told.status, 200, "{}", told.body);
    for list in ways {
        assert_eq!(ask_for(list).0, 409, "memory is bounded");
    }

    for mut reader in readers.drain(..ways.len()) {
        let whole = String::from_utf8(reader.until_closed()).unwrap();
        let entries = whole.matches("\"identifier\"").count();
        assert!(whole.ends_with("0\r\n\r\n"), "it breaks off");
        // A chunk may begin within the word.
        assert!((99_000..=100_000).contains(&entries), "{entries} entries");
    }
}
