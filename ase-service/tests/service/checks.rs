//! `ase check` of what lies outside the configuration: folders and ports.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use crate::harness::prepared;
use crate::processes::{BINARY, serve};

/// Exit code and what was said, line by line.
fn check(folder: &Path, more: &[&str]) -> (Option<i32>, Vec<String>) {
    let config = folder.join("ase.toml");
    let output = Command::new(BINARY)
        .args(["check", "--config"])
        .arg(config)
        .args(more)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let said = said.lines().map(ToOwned::to_owned).collect();
    (output.status.code(), said)
}

#[test]
fn a_check_of_what_can_start_finds_nothing_and_makes_nothing() {
    let folder = prepared("");
    let before = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(check(folder.path(), &[]), (Some(0), Vec::new()));
    let deep = folder.path().join("a/b/c");
    let deep = deep.to_str().unwrap();
    assert_eq!(check(folder.path(), &["--state-dir", deep]).0, Some(0));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), before);
}

#[test]
fn a_check_names_folders_that_cannot_be_used() {
    let folder = prepared("");
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    for (flag, place, expected) in [
        ("--access-log", path("nowhere/access.jsonl"), "access_log: "),
        ("--access-log", path("apis"), "access_log: "),
        (
            "--access-log",
            path("ase.toml/access.jsonl"),
            "access_log: ",
        ),
        ("--state-dir", path("ase.toml"), "state_dir: "),
    ] {
        let (code, said) = check(folder.path(), &[flag, &place]);
        assert_eq!(code, Some(1), "{flag} {place}: {said:?}");
        let fault = format!("ase: fault: {expected}");
        assert!(said[0].starts_with(&fault), "{flag} {place}: {said:?}");
        assert!(said.len() == 2, "{said:?}");
    }
}

#[test]
fn a_check_tells_a_port_in_use_from_one_that_cannot_be_had() {
    let folder = prepared("");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, said) = check(folder.path(), &["--data-listen", &address]);
    let expected = format!("ase: warning: data_listen: {address} is in use; a start needs it free");
    assert_eq!((code, said), (Some(0), vec![expected]));
    drop(taken);
    let both = ["--data-listen", &address, "--admin-listen", &address];
    let (code, said) = check(folder.path(), &both);
    let expected = format!("ase: fault: admin_listen: {address} is that of data_listen");
    assert_eq!((code, &said[0]), (Some(1), &expected));
    // Of a network for documents, which no machine has.
    let foreign = ["--data-listen", "192.0.2.1:8000", "--insecure"];
    let (code, said) = check(folder.path(), &foreign);
    assert_eq!(code, Some(1), "{said:?}");
    assert!(said[0].starts_with("ase: fault: data_listen: 192.0.2.1:8000: "));
}

#[test]
fn a_check_beside_the_daemon_that_serves_is_good() {
    let folder = prepared("");
    let process = serve(folder.path());
    let data = process.data.to_string();
    let (code, said) = check(folder.path(), &["--data-listen", &data]);
    assert_eq!((code, said.len()), (Some(0), 1), "{said:?}");
}
