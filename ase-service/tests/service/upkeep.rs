//! Whole lists, credential keys and copies of the state, through the real command line; and what a killed daemon still knows.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::harness::{Ase, Connection, prepared, question, wait_for};

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ase"));
    command
        .args(arguments)
        .arg("--state-dir")
        .arg(folder.join("state"))
        .env_remove("ASE_ADMIN_SECRET")
        .env_remove("ASE_ADMIN_URL")
        .env_remove("ASE_STATE_DIR");
    command
}

fn run(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command(folder, arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (status.code(), text(&stdout), text(&stderr))
}

fn token(value: &str) -> Value {
    let mut body = question("192.0.2.1", "/shop");
    let header = json!({"authorization": format!("Bearer {value}")});
    body["headers"].as_array_mut().unwrap().push(header);
    body
}

#[test]
fn an_import_is_all_or_nothing_unless_told_to_keep_going() {
    let daemon = Ase::start();
    let folder = daemon.folder.path();
    let file = folder.join("list.txt");
    std::fs::write(&file, "203.0.113.7 3\nnowhere\ntoken stolen\n").unwrap();
    let file = file.to_str().unwrap();
    let blocked = || {
        [
            daemon.ask("1", &question("203.0.113.7", "/shop")).status,
            daemon.ask("2", &token("stolen")).status,
        ]
    };
    let (code, _, said) = run(folder, &["deny", "import", file]);
    assert_eq!((code, blocked()), (Some(1), [200, 200]), "{said}");
    assert!(said.contains("line 2.value: \"nowhere\""), "{said}");
    let (code, done, said) = run(folder, &["deny", "import", file, "--keep-going"]);
    assert_eq!((code, blocked()), (Some(1), [403, 403]), "{said}");
    assert_eq!(done, "2 entries added to the deny list\n");
    assert!(said.contains("line 2.value: "), "{said}");
    let (code, csv, said) = run(folder, &["deny", "export", "--format", "csv"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(csv.contains("ip,203.0.113.7,all,manual,,"), "{csv}");
    assert!(!csv.contains("stolen"), "{csv}");
    let (code, done, _) = run(folder, &["deny", "clear"]);
    assert_eq!((code, blocked()), (Some(0), [200, 200]));
    assert_eq!(done, "2 entries removed from the deny list\n");
    let copy = folder.join("copy.csv");
    std::fs::write(&copy, csv).unwrap();
    let (code, _, said) = run(folder, &["deny", "import", copy.to_str().unwrap()]);
    assert_eq!((code, blocked()), (Some(0), [403, 403]), "{said}");
}

#[test]
fn a_rotation_keeps_what_was_listed_and_a_credential_is_looked_up_by_its_value() {
    let daemon = Ase::start();
    let folder = daemon.folder.path();
    daemon.deny(&json!({"type": "token", "value": "stolen", "reason": "found"}));
    let (code, before, _) = run(folder, &["hash", "token", "stolen"]);
    assert_eq!(code, Some(0));
    assert!(
        before.starts_with("k1:") && before.contains("on the deny list as k1:"),
        "{before}"
    );
    let (code, done, _) = run(folder, &["key", "rotate"]);
    assert_eq!(code, Some(0));
    assert!(done.contains("under k2; k1 stays"), "{done}");
    assert_eq!(daemon.ask("1", &token("stolen")).status, 403);
    let mut hash = command(folder, &["hash", "token", "-"]);
    let mut hash = hash
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    hash.stdin.take().unwrap().write_all(b"stolen\n").unwrap();
    let after = hash.wait_with_output().unwrap();
    let after = String::from_utf8_lossy(&after.stdout).into_owned();
    assert!(
        after.starts_with("k2:") && after.contains("on the deny list as k1:"),
        "{after}"
    );
    // A gateway that has the new key only by its id, and an old policy with the value, meet on a new entry.
    daemon.deny(&json!({"type": "token", "value": "second"}));
    let (_, hashed, _) = run(folder, &["hash", "token", "second"]);
    let mut body = question("192.0.2.1", "/shop");
    body["client_identifiers"] = json!([{"type": "token", "name": "authorization", "in": "header", "id": hashed.lines().next().unwrap()}]);
    assert_eq!(daemon.ask("2", &body).status, 403);
    assert_eq!(daemon.ask("3", &token("second")).status, 403);
    let (code, _, said) = run(folder, &["key", "rotate"]);
    assert_eq!(code, Some(1));
    assert!(
        said.contains("1 list entries name credentials by key k1"),
        "{said}"
    );
    let (_, keys, _) = run(folder, &["key", "list"]);
    assert_eq!(keys, "k2\tcurrent\t1 entries\nk1\tprevious\t1 entries\n");
    let (_, shown, _) = run(folder, &["key", "show", "--for-gateway"]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let secret = &shown["credential_keys"][0];
    assert_eq!(
        (&secret["id"], secret["secret"].as_str().unwrap().len()),
        (&json!("k2"), 64)
    );
}

#[test]
fn a_copy_of_the_running_state_is_put_back_once_the_daemon_is_gone() {
    let daemon = Ase::start();
    daemon.deny(&json!({"type": "ip", "value": "203.0.113.7"}));
    let copy = daemon.folder.path().join("copy.db");
    let copy = copy.to_str().unwrap().to_owned();
    let (code, _, said) = run(daemon.folder.path(), &["backup", &copy]);
    assert_eq!(code, Some(0), "{said}");
    let (code, _, said) = run(daemon.folder.path(), &["backup", &copy]);
    assert_eq!(code, Some(1), "a file is never overwritten: {said}");
    run(daemon.folder.path(), &["deny", "clear"]);
    let (code, _, said) = run(daemon.folder.path(), &["restore", &copy]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("is in use by another ase"), "{said}");
    let folder = daemon.stop_and_keep();
    let (code, _, said) = run(folder.path(), &["restore", &copy]);
    assert_eq!(code, Some(0), "{said}");
    let again = Ase::in_folder(folder);
    assert_eq!(
        again.ask("1", &question("203.0.113.7", "/shop")).status,
        403
    );
}

/// Three writers and an import, killed at some moment, five times over: whatever was answered is there after the next start.
#[test]
fn what_writers_and_an_import_were_told_survives_kill_9() {
    let folder = prepared("");
    let mut acknowledged: Vec<String> = Vec::new();
    let mut import_done = false;
    for round in 0..5_usize {
        let mut process = Command::new(env!("CARGO_BIN_EXE_ase"))
            .args(["serve", "--config"])
            .arg(folder.path().join("ase.toml"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let addresses = folder.path().join("state/addresses.json");
        let admin = wait_for("the management port", || {
            let text = std::fs::read(&addresses).ok()?;
            let parsed: Value = serde_json::from_slice(&text).ok()?;
            let address = parsed["admin"].as_str()?.parse().ok()?;
            std::net::TcpStream::connect(address).ok()?;
            Some(address)
        });
        let secret = std::fs::read_to_string(folder.path().join("state/admin.secret")).unwrap();
        let headers = [
            ("x-ase-access-key", "admin"),
            ("x-ase-secret-key", secret.trim()),
        ];
        let listed = Connection::to(admin)
            .call("GET", "/v1/deny", &headers, b"")
            .body;
        for value in &acknowledged {
            assert!(
                listed.contains(&format!("\"{value}\"")),
                "round {round}: {value} is gone"
            );
        }
        let imported = listed.matches("\"value\":\"10.").count();
        assert!(
            imported == 0 || imported == 5000,
            "round {round}: {imported} of an import"
        );
        assert!(
            imported == 5000 || !import_done,
            "round {round}: the import is gone"
        );
        let told = AtomicUsize::new(0);
        let writers = std::thread::scope(|scope| {
            let writer = |name: usize| {
                let told = &told;
                scope.spawn(move || {
                    let mut done = Vec::new();
                    for number in 0..2000_usize {
                        let value = format!("172.{}.{name}.{}", 16 + round, number % 250 + 1);
                        let body = json!({"type": "ip", "value": value}).to_string();
                        let Some(201) = attempt(admin, "/v1/deny", &headers, body.as_bytes())
                        else {
                            break;
                        };
                        told.fetch_add(1, Ordering::SeqCst);
                        done.push(value);
                    }
                    done
                })
            };
            let writers: Vec<_> = (0..3).map(writer).collect();
            let import = scope.spawn(move || {
                let list: String = (0..5000)
                    .map(|n| format!("10.0.{}.{}\n", n / 250, n % 250))
                    .collect();
                attempt(admin, "/v1/deny/import", &headers, list.as_bytes()) == Some(200)
            });
            wait_for("some answers", || {
                (told.load(Ordering::SeqCst) > 5 + 10 * round).then_some(())
            });
            process.kill().unwrap();
            import_done |= import.join().unwrap();
            writers
                .into_iter()
                .flat_map(|writer| writer.join().unwrap())
                .collect::<Vec<_>>()
        });
        process.wait().unwrap();
        std::fs::remove_file(&addresses).unwrap();
        acknowledged.extend(writers);
    }
    assert!(acknowledged.len() > 25);
}

/// The status of a call; `None` when the daemon went away before it answered.
fn attempt(
    admin: std::net::SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Option<u16> {
    use std::io::Read as _;
    let mut stream = std::net::TcpStream::connect(admin).ok()?;
    let mut head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{head}\r\n").as_bytes()).ok()?;
    stream.write_all(body).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split(' ').nth(1)?.parse().ok()
}
