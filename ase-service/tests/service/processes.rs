//! The real binary: its start, its signals, its death.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Connection, DEADLINE, lines, prepared, question, record, wait_for};
use crate::rotation::{files, ids_of_whole_lines};

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_ase");

/// What a pipe of Linux holds.
const PIPE_BYTES: usize = 65_536;

pub(crate) struct Process {
    pub(crate) child: Child,
    pub(crate) data: SocketAddr,
    pub(crate) data_tls: Option<SocketAddr>,
    pub(crate) admin: SocketAddr,
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

pub(crate) fn serve(folder: &Path) -> Process {
    served(&mut Command::new(BINARY), folder)
}

/// The same by a command that runs its arguments.
pub(crate) fn served(command: &mut Command, folder: &Path) -> Process {
    let mut child = command
        .arg("serve")
        .arg("--config")
        .arg(folder.join("ase.toml"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    let ready: Value = serde_json::from_str(&line).unwrap();
    let address = |port: &str| ready[port].as_str().unwrap().parse().unwrap();
    let written = std::fs::read_to_string(folder.join("state/addresses.json")).unwrap();
    assert_eq!(written.trim(), line.trim());
    Process {
        data: address("data"),
        data_tls: ready["data_tls"].as_str().map(|text| text.parse().unwrap()),
        admin: address("admin"),
        child,
    }
}

pub(crate) fn signal(process: u32, name: &str) {
    // The shell's own `kill`: the program of that name is not on every machine.
    let status = Command::new("sh")
        .args(["-c", &format!("kill {name} {process}")])
        .status()
        .unwrap();
    assert!(status.success());
}

pub(crate) fn ended(process: &mut Process) -> Option<i32> {
    wait_for("the end of the process", || {
        process.child.try_wait().unwrap()
    })
    .code()
}

/// A command that must end by itself.
fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ase"));
    let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.args(arguments).spawn().unwrap();
    let deadline = Instant::now() + DEADLINE;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("ase {arguments:?} did not end");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    child.wait_with_output().unwrap()
}

#[test]
fn sigterm_finishes_what_was_begun_and_writes_what_was_taken() {
    let folder = prepared("");
    let mut process = serve(folder.path());
    let waiting = question("192.0.2.1", "/shop").to_string();
    let asked = Connection::to(process.data).call(
        "POST",
        "/ase/request",
        &[("X-CorrelationID", "waits")],
        waiting.as_bytes(),
    );
    assert_eq!(asked.status, 200);
    let batch: String = (0..500)
        .map(|id| record(&format!("r-{id}"), "192.0.2.1", "/shop").to_string() + "\n")
        .collect();
    let mut connection = Connection::to(process.data);
    let head = format!(
        "POST /ase/batch HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        batch.len()
    );
    connection.send(head.as_bytes());
    assert_eq!(connection.reply().status, 100);
    let (first, second) = batch.as_bytes().split_at(1000);
    connection.send(first);
    signal(process.child.id(), "-TERM");
    wait_for("the port to close", || {
        TcpStream::connect(process.data).is_err().then_some(())
    });
    connection.send(second);
    let reply = connection.reply();
    assert_eq!(
        (reply.status, reply.body.as_str()),
        (
            200,
            r#"{"accepted":500,"duplicates":0,"rejected_count":0,"rejected":[]}"#
        )
    );
    assert_eq!(ended(&mut process), Some(0));
    let log = lines(&folder.path().join("access.jsonl"));
    assert_eq!(log.len(), 501);
    assert_eq!(
        log.iter()
            .filter(|line| line["id"] == "waits" && line["outcome"] == "aborted")
            .count(),
        1
    );
}

/// The log is a full pipe that nobody reads.
#[test]
fn a_log_that_takes_nothing_cannot_keep_the_process_alive() {
    let folder = prepared("[limits]\ndrain_s = 1\n");
    let pipe = folder.path().join("access.jsonl");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let mut reader = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&pipe)
        .unwrap();
    reader.write_all(&[b'\n'; PIPE_BYTES]).unwrap();
    let mut process = serve(folder.path());
    let record = record("1", "192.0.2.1", "/shop").to_string();
    let reply = Connection::to(process.data).call("POST", "/ase/batch", &[], record.as_bytes());
    assert_eq!(
        reply.status, 503,
        "what is not on the disk is not acknowledged"
    );
    signal(process.child.id(), "-TERM");
    assert_eq!(ended(&mut process), Some(1));
}

#[test]
fn a_batch_that_was_acknowledged_is_in_the_log_after_kill_9() {
    for round in 0..10 {
        let folder = prepared("");
        let mut process = serve(folder.path());
        let batch: String = (0..200)
            .map(|number| {
                record(&format!("{round}-{number}"), "192.0.2.1", "/shop").to_string() + "\n"
            })
            .collect();
        let reply = Connection::to(process.data).call("POST", "/ase/batch", &[], batch.as_bytes());
        signal(process.child.id(), "-KILL");
        assert_eq!(reply.status, 200);
        assert_eq!(ended(&mut process), None);
        assert_eq!(
            lines(&folder.path().join("access.jsonl")).len(),
            200,
            "round {round}"
        );
    }
}

/// The gateway cannot know whether its batch was taken: it sends it again.
#[test]
fn a_batch_whose_answer_a_kill_9_has_lost_is_logged_once() {
    let rotation = "[access_log_rotation]\nmax_bytes = 65536\ncompression = \"none\"\n";
    let folder = prepared(rotation);
    for round in 0..10_u64 {
        let mut process = serve(folder.path());
        let batch: String = (0..200)
            .map(|number| {
                record(&format!("{round}-{number}"), "192.0.2.1", "/shop").to_string() + "\n"
            })
            .collect();
        let head = format!(
            "POST /ase/batch HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
            batch.len()
        );
        let mut connection = Connection::to(process.data);
        connection.send((head + &batch).as_bytes());
        // While the batch is read or written, or when it is on the disk.
        if round % 2 == 0 {
            std::thread::sleep(Duration::from_millis(2 * round));
        } else {
            wait_for("the batch in the log", || {
                let log = std::fs::read(folder.path().join("access.jsonl")).ok()?;
                let first = format!("\"{round}-0\"");
                log.windows(first.len())
                    .any(|part| part == first.as_bytes())
                    .then_some(())
            });
        }
        signal(process.child.id(), "-KILL");
        assert_eq!(ended(&mut process), None);
        let process = serve(folder.path());
        let reply = Connection::to(process.data).call("POST", "/ase/batch", &[], batch.as_bytes());
        assert_eq!(reply.status, 200);
        // It would begin another file while the files are read.
        drop(process);
        let ids = ids_of_whole_lines(folder.path());
        let ids: Vec<_> = ids
            .iter()
            .filter(|id| id.starts_with(&format!("{round}-")))
            .collect();
        let distinct: BTreeSet<_> = ids.iter().collect();
        assert_eq!(
            (ids.len(), distinct.len()),
            (200, 200),
            "round {round}, answered {}",
            reply.body
        );
    }
}

#[test]
fn the_log_is_for_its_owner_and_group_whatever_the_umask() {
    for mask in ["000", "077"] {
        let folder = prepared("[access_log_rotation]\nmax_bytes = 4096\n");
        let script = format!("umask {mask}; exec \"$0\" \"$@\"");
        let process = served(
            Command::new("sh").args(["-c", &script, BINARY]),
            folder.path(),
        );
        for round in 0..3 {
            let batch: String = (0..20)
                .map(|number| {
                    record(&format!("{round}-{number}"), "192.0.2.1", "/shop").to_string() + "\n"
                })
                .collect();
            let sent =
                Connection::to(process.data).call("POST", "/ase/batch", &[], batch.as_bytes());
            assert_eq!(sent.status, 200);
        }
        let packed = |files: &[PathBuf]| {
            files
                .iter()
                .filter(|file| file.extension().is_some_and(|end| end == "gz"))
                .count()
        };
        wait_for("two compressed files", || {
            let files = files(folder.path());
            (packed(&files) == 2).then_some(())
        });
        for file in files(folder.path()) {
            let mode = std::fs::metadata(&file).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o640, "{} with {mask}", file.display());
        }
    }
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let folder = prepared("");
    for round in 0..5_u8 {
        let process = serve(folder.path());
        let secret = std::fs::read_to_string(folder.path().join("state/admin.secret")).unwrap();
        let headers = [
            ("x-ase-access-key", "admin"),
            ("x-ase-secret-key", secret.trim()),
        ];
        for number in 0..round {
            let client = format!("203.0.113.{number}");
            let reply = Connection::to(process.data).call(
                "POST",
                "/ase/request",
                &[],
                question(&client, "/shop").to_string().as_bytes(),
            );
            assert_eq!(reply.status, 403, "round {round}, client {client}");
        }
        let body = json!({"type": "ip", "value": format!("203.0.113.{round}")}).to_string();
        assert_eq!(
            Connection::to(process.admin)
                .call("POST", "/v1/deny", &headers, body.as_bytes())
                .status,
            201
        );
        let token = json!({"type": "token", "value": "t-1"}).to_string();
        assert_eq!(
            Connection::to(process.admin)
                .call("POST", "/v1/deny", &headers, token.as_bytes())
                .status,
            201
        );
        let listed = Connection::to(process.admin)
            .call("GET", "/v1/deny", &headers, b"")
            .body;
        let entries: Value = serde_json::from_str(&listed).unwrap();
        // The token's id is the same in every round: the credential key survives too.
        assert_eq!(
            entries["entries"].as_array().unwrap().len(),
            usize::from(round) + 2
        );
        signal(process.child.id(), "-KILL");
    }
}

#[test]
fn a_second_daemon_on_the_same_state_is_refused() {
    let folder = prepared("");
    let _first = serve(folder.path());
    let second = run(&[
        "serve",
        "--config",
        folder.path().join("ase.toml").to_str().unwrap(),
    ]);
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    let state = folder.path().join("state");
    let expected = format!("state folder {}: is in use by another ase", state.display());
    assert!(said.contains(&expected), "{said}");
}

#[test]
fn a_taken_port_is_named_with_its_flag() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = prepared("");
    let config = folder.path().join("ase.toml");
    let output = run(&[
        "serve",
        "--config",
        config.to_str().unwrap(),
        "--data-listen",
        &address,
    ]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains(&format!("--data-listen {address}")), "{said}");
}

#[test]
fn check_and_serve_name_every_fault_at_once() {
    let folder = prepared("data_lisen = \"x\"\nipv6_prefix = 300\n[limits]\ndrain_s = 0\n");
    let config = folder.path().join("ase.toml");
    for command in ["check", "serve"] {
        let output = run(&[
            command,
            "--config",
            config.to_str().unwrap(),
            "--admin-listen",
            "nowhere",
        ]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        for part in [
            "--admin-listen: \"nowhere\"",
            "ipv6_prefix: ",
            "limits.drain_s: ",
            "data_lisen: unknown key (did you mean \"data_listen\"?)",
        ] {
            assert!(said.contains(part), "{command}: {part} is not in\n{said}");
        }
    }
}

#[test]
fn check_reads_the_definitions_and_lists_too() {
    let folder = prepared("attack_list_file = \"bad.txt\"\n");
    let config = folder.path().join("ase.toml");
    let check = || run(&["check", "--config", config.to_str().unwrap()]);
    std::fs::write(folder.path().join("bad.txt"), "203.0.113.7\n").unwrap();
    let output = check();
    assert_eq!(
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).as_ref()
        ),
        (Some(0), "ok: 3 API definitions\n")
    );
    std::fs::write(folder.path().join("bad.txt"), "203.0.113.7\n203.0.113.\n").unwrap();
    std::fs::write(
        folder.path().join("apis/broken.json"),
        r#"{"api_metadata": {"url": 3, "hostname": ""}}"#,
    )
    .unwrap();
    let output = check();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    for part in [
        "bad.txt: line 2: ",
        "broken.json: api_metadata.url: ",
        "broken.json: api_metadata.hostname: ",
    ] {
        assert!(said.contains(part), "{part} is not in\n{said}");
    }
    assert!(!folder.path().join("state").exists());
}

#[test]
fn sighup_opens_the_log_again_under_its_name() {
    let folder = prepared("");
    let log = folder.path().join("access.jsonl");
    let process = serve(folder.path());
    let ask = || {
        Connection::to(process.data).call(
            "POST",
            "/ase/request",
            &[],
            question("192.0.2.1", "/shop").to_string().as_bytes(),
        )
    };
    assert_eq!(ask().status, 200);
    wait_for("the first line", || (lines(&log).len() == 1).then_some(()));
    std::fs::rename(&log, folder.path().join("access.1")).unwrap();
    signal(process.child.id(), "-HUP");
    wait_for("the new file", || log.exists().then_some(()));
    assert_eq!(ask().status, 200);
    wait_for("the second line", || (lines(&log).len() == 1).then_some(()));
}

#[test]
fn the_secret_is_shown_at_the_first_start_only() {
    let folder = prepared("");
    let said = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ase"));
        command
            .arg("serve")
            .arg("--config")
            .arg(folder.path().join("ase.toml"));
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        signal(child.id(), "-TERM");
        let mut said = String::new();
        child
            .stderr
            .as_mut()
            .unwrap()
            .read_to_string(&mut said)
            .unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0));
        said
    };
    let first = said();
    let secret = std::fs::read_to_string(folder.path().join("state/admin.secret")).unwrap();
    assert!(first.contains(secret.trim()));
    assert!(!said().contains(secret.trim()));
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(folder.path().join("state/admin.secret"))
            .unwrap()
            .permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
}
