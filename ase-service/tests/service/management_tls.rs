//! TLS of the management port, as the command line meets it.

use std::path::Path;

use crate::command_line::ase;
use crate::harness::{Ase, prepared, wait_for};

#[test]
fn the_command_line_reaches_a_management_port_with_tls_and_accepts_its_certificate_alone() {
    let daemon = Ase::with("admin_tls = \"self_signed\"\n");
    assert_eq!(ase(&daemon, &["firewall", "off"]).0, Some(0));
    let made = daemon.folder.path().join("state/admin.crt");
    let first = std::fs::read(&made).unwrap();
    let daemon = Ase::in_folder(daemon.stop_and_keep());
    assert_eq!(
        std::fs::read(&made).unwrap(),
        first,
        "the certificate is made once"
    );
    assert_eq!(ase(&daemon, &["status"]).0, Some(0));
    let mut plain = daemon.connect_admin();
    plain.send(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(
        !plain.until_closed().starts_with(b"HTTP/"),
        "no word in the clear"
    );
    let names = vec!["localhost".to_owned()];
    let other = rcgen::generate_simple_self_signed(names).unwrap();
    std::fs::write(&made, other.cert.pem()).unwrap();
    let (code, said) = ase(&daemon, &["status"]);
    assert_eq!(
        code,
        Some(69),
        "another certificate is no daemon of ours: {said}"
    );
}

#[test]
fn a_new_certificate_of_the_management_port_serves_and_the_command_line_accepts_it() {
    let made = || rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let folder = prepared("admin_tls = {cert = \"admin.pem\", key = \"admin.key\"}\n");
    let write = |folder: &Path, pair: &rcgen::CertifiedKey<rcgen::KeyPair>| {
        std::fs::write(folder.join("admin.key"), pair.signing_key.serialize_pem()).unwrap();
        std::fs::write(folder.join("admin.pem"), pair.cert.pem()).unwrap();
    };
    write(folder.path(), &made());
    let daemon = Ase::in_folder(folder);
    let state = daemon.folder.path().join("state");
    let shown = || std::fs::read_to_string(state.join("admin.crt")).unwrap();
    let (code, said) = ase(&daemon, &["status"]);
    assert_eq!(code, Some(0), "{said}");
    let next = made();
    write(daemon.folder.path(), &next);
    wait_for("the new certificate", || {
        (shown() == next.cert.pem()).then_some(())
    });
    let (code, said) = ase(&daemon, &["status"]);
    assert_eq!(code, Some(0), "{said}");
    std::fs::write(daemon.folder.path().join("admin.pem"), "nothing").unwrap();
    daemon.reload_certificates();
    let (code, said) = ase(&daemon, &["status"]);
    assert_eq!(
        (code, shown() == next.cert.pem()),
        (Some(0), true),
        "{said}"
    );
    let last = made();
    write(daemon.folder.path(), &last);
    daemon.reload_certificates();
    let (code, said) = ase(&daemon, &["status"]);
    assert_eq!(
        (code, shown() == last.cert.pem()),
        (Some(0), true),
        "{said}"
    );
}
