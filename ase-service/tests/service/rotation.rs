//! The access log over a long time: rotation, what becomes of old files, other outputs, and a disk that refuses lines.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::harness::{Ase, Connection, DEADLINE, lines, prepared, question, record, wait_for};
use crate::processes::{serve, signal};

const STAMP: &str = "2026-01-02T03-04-05.006Z";

/// Every file of the log, oldest first, the current one last.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| name(path).starts_with("access.jsonl."))
        .collect();
    files.sort();
    files.push(folder.join("access.jsonl"));
    files
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// The file's text, by the system's own gzip where it is compressed.
fn text(path: &Path) -> String {
    if name(path).ends_with(".gz") {
        let output = Command::new("gzip").arg("-dc").arg(path).output().unwrap();
        assert!(output.status.success(), "{}", path.display());
        String::from_utf8(output.stdout).unwrap()
    } else {
        std::fs::read_to_string(path).unwrap()
    }
}

/// The ids of all lines of all files, when nobody writes them any more; panics on anything that is not a line.
pub(crate) fn ids(folder: &Path) -> Vec<String> {
    let lines = all_lines(folder).into_iter();
    lines.map(|line| id(&line).unwrap()).collect()
}

/// The same where the writer was killed, which may leave the beginning of a line.
pub(crate) fn ids_of_whole_lines(folder: &Path) -> Vec<String> {
    let lines = all_lines(folder).into_iter();
    lines.filter_map(|line| id(&line).ok()).collect()
}

fn id(line: &str) -> serde_json::Result<String> {
    let line: Value = serde_json::from_str(line)?;
    Ok(line["id"].as_str().unwrap().to_owned())
}

fn all_lines(folder: &Path) -> Vec<String> {
    let mut all = Vec::new();
    for file in files(folder) {
        let text = text(&file);
        assert!(
            text.is_empty() || text.ends_with('\n'),
            "{}",
            file.display()
        );
        all.extend(text.lines().map(str::to_owned));
    }
    all
}

fn batch(name: &str, records: usize) -> String {
    (0..records)
        .map(|id| record(&format!("{name}-{id}"), "192.0.2.1", "/shop").to_string() + "\n")
        .collect()
}

#[test]
fn rotation_by_size_under_load_loses_no_line_and_splits_none() {
    let ase = Ase::with("[access_log_rotation]\nmax_bytes = 20000\n");
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let ase = &ase;
            scope.spawn(move || {
                for number in 0..15 {
                    let batch = batch(&format!("{thread}-{number}"), 20);
                    assert_eq!(ase.post("/ase/batch", &[], batch).status, 200);
                }
            });
        }
    });
    let rotated = ase.counter("access log", "files rotated");
    assert!(rotated >= 10, "{rotated}");
    let folder = ase.stop_and_keep();
    // What the stop left uncompressed, the next start takes up.
    let ase = Ase::in_folder(folder);
    wait_for("compression", || {
        let files = files(ase.folder.path());
        let (_, old) = files.split_last().unwrap();
        old.iter()
            .all(|path| name(path).ends_with("Z.gz"))
            .then_some(())
    });
    let folder = ase.stop_and_keep();
    let found = ids(folder.path());
    assert_eq!(found.len(), 4 * 15 * 20);
    assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), found.len());
    assert_eq!(files(folder.path()).len() as u64, rotated + 1);
}

#[test]
fn a_day_that_is_over_gets_its_own_file_at_the_next_start() {
    let folder = prepared("[access_log_rotation]\ncompression = \"none\"\nkeep_days = 0\n");
    let log = folder.path().join("access.jsonl");
    std::fs::write(&log, "{\"id\":\"yesterday\"}\n").unwrap();
    let yesterday = SystemTime::now() - Duration::from_secs(86_400);
    let file = std::fs::File::options().append(true).open(&log).unwrap();
    file.set_modified(yesterday).unwrap();
    let ase = Ase::in_folder(folder);
    // No line is needed for it.
    wait_for("the rotation", || {
        (files(ase.folder.path()).len() == 2).then_some(())
    });
    assert_eq!(ase.post("/ase/batch", &[], batch("today", 1)).status, 200);
    let folder = ase.stop_and_keep();
    let files = files(folder.path());
    assert_eq!(text(&files[0]), "{\"id\":\"yesterday\"}\n");
    assert_eq!(lines(&files[1])[0]["id"], "today-0");
}

#[test]
fn old_files_go_by_age_and_by_size_and_nothing_else_goes() {
    let folder = prepared(
        "[access_log_rotation]\nkeep_days = 10\nkeep_bytes = 1000\ncompression = \"none\"\n",
    );
    let path = |name: &str| folder.path().join(name);
    let days = |days: u64| SystemTime::now() - Duration::from_secs(days * 86_400);
    let put = |name: &str, bytes: usize, modified| {
        std::fs::write(path(name), "x".repeat(bytes)).unwrap();
        let file = std::fs::File::options()
            .append(true)
            .open(path(name))
            .unwrap();
        file.set_modified(modified).unwrap();
    };
    let rotated = |day: u32| format!("access.jsonl.2026-01-{day:02}T00-00-00.000Z");
    put(&rotated(1), 10, days(11));
    put(&rotated(2), 600, days(3));
    put(&rotated(3), 600, days(2));
    put(&format!("{}.gz", rotated(4)), 300, days(1));
    put("access.jsonl.1", 5000, days(100));
    put("access.jsonl.2026-01-01", 5000, days(100));
    put(&format!("other.jsonl.{STAMP}"), 5000, days(100));
    let ase = Ase::in_folder(folder);
    wait_for("the removal", || {
        (ase.counter("access log", "files removed") == 2).then_some(())
    });
    let kept: Vec<String> = files(ase.folder.path())
        .iter()
        .map(|path| name(path))
        .collect();
    let fourth = format!("{}.gz", rotated(4));
    let expected = [
        "access.jsonl.1",
        "access.jsonl.2026-01-01",
        &rotated(3),
        &fourth,
        "access.jsonl",
    ];
    assert_eq!(kept, expected);
    assert!(
        ase.folder
            .path()
            .join(format!("other.jsonl.{STAMP}"))
            .exists()
    );
}

#[test]
fn a_file_left_half_compressed_is_compressed_again() {
    let folder = prepared("[access_log_rotation]\nkeep_days = 0\n");
    let rotated = folder.path().join(format!("access.jsonl.{STAMP}"));
    std::fs::write(&rotated, "{\"id\":\"old\"}\n").unwrap();
    std::fs::write(
        folder.path().join(format!("access.jsonl.{STAMP}.gz.part")),
        "half",
    )
    .unwrap();
    let ase = Ase::in_folder(folder);
    wait_for("compression", || {
        let names: Vec<String> = files(ase.folder.path())
            .iter()
            .map(|path| name(path))
            .collect();
        (names == [&format!("access.jsonl.{STAMP}.gz"), "access.jsonl"]).then_some(())
    });
    assert_eq!(ids(ase.stop_and_keep().path()), ["old"]);
}

#[test]
fn an_external_rotation_and_an_own_one_lose_nothing_together() {
    let folder = prepared("[access_log_rotation]\nmax_bytes = 5000\ncompression = \"none\"\n");
    let process = serve(folder.path());
    for round in 0..10 {
        let moved = folder.path().join(format!("access.jsonl.{round}"));
        let sent = batch(&format!("{round}"), 20);
        let mut connection = Connection::to(process.data);
        assert_eq!(
            connection
                .call("POST", "/ase/batch", &[], sent.as_bytes())
                .status,
            200
        );
        // There is none between the two steps of an own rotation.
        wait_for("a file to move away", || {
            std::fs::rename(folder.path().join("access.jsonl"), &moved).ok()
        });
        signal(process.child.id(), "-HUP");
        wait_for("the new file", || {
            folder.path().join("access.jsonl").exists().then_some(())
        });
    }
    drop(process);
    let found = ids(folder.path());
    assert_eq!(found.len(), 200);
    assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), 200);
}

/// `/dev/full` is a disk without room.
#[test]
fn a_full_disk_costs_lines_and_no_verdicts_and_is_used_again_when_it_has_room() {
    let folder = prepared("");
    let log = folder.path().join("access.jsonl");
    std::os::unix::fs::symlink("/dev/full", &log).unwrap();
    let ase = Ase::in_folder(folder);
    for number in 0..3 {
        let url = format!("/shop/{number}");
        let reply = ase.post("/ase/request", &[], question("192.0.2.1", &url).to_string());
        assert_eq!(reply.status, 200);
    }
    wait_for("the count of lost lines", || {
        let metrics = ase.look("/metrics").body;
        metrics
            .contains("\nase_access_log_lines_failed_total 3\n")
            .then_some(())
    });
    // What is acknowledged is on the disk.
    for _ in 0..2 {
        let refused = ase.post("/ase/batch", &[], batch("again", 2));
        assert_eq!((refused.status, refused.verdict()), (503, "overloaded"));
        assert!(refused.header("retry-after").is_some());
    }
    let folder = ase.folder.path();
    std::fs::remove_file(&log).unwrap();
    std::fs::write(&log, "").unwrap();
    // Nothing is told to the daemon.
    wait_for("the disk to be used again", || {
        let reply = ase.post("/ase/batch", &[], batch("again", 2));
        (reply.status == 200).then_some(())
    });
    assert_eq!(ids(folder), ["again-0", "again-1"]);
    let metrics = ase.look("/metrics").body;
    // The three questions and both records, each once however often it came.
    let counted: u64 = metrics
        .lines()
        .filter_map(|line| {
            line.strip_prefix("ase_exchanges_total{")?
                .rsplit(' ')
                .next()
        })
        .map(|count| count.parse::<u64>().unwrap())
        .sum();
    assert_eq!(counted, 5, "{metrics}");
    assert_eq!(ase.stop().len(), 2);
}

/// The file may not grow beyond 512 blocks: a write is cut in the middle of a line.
#[test]
fn a_disk_that_takes_half_a_batch_keeps_none_of_it() {
    let folder = prepared("");
    let script = "trap '' XFSZ; ulimit -f 512; exec \"$0\" serve --config \"$1\"";
    let mut child = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_ase")])
        .arg(folder.path().join("ase.toml"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    let ready: Value = serde_json::from_str(&line).unwrap();
    let data = ready["data"].as_str().unwrap().parse().unwrap();
    let send = |name: &str, records| {
        let sent = batch(name, records);
        Connection::to(data)
            .call("POST", "/ase/batch", &[], sent.as_bytes())
            .status
    };
    assert_eq!(send("before", 100), 200);
    assert_eq!(send("cut", 2000), 503);
    assert_eq!(send("after", 100), 200);
    signal(child.id(), "-TERM");
    child.wait().unwrap();
    let kept = ids(folder.path());
    assert_eq!(kept.len(), 200);
    assert!(!kept.iter().any(|id| id.starts_with("cut")), "{kept:?}");
}

#[test]
fn syslog_gets_every_line_over_udp_and_over_the_local_socket() {
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.set_read_timeout(Some(DEADLINE)).unwrap();
    let sockets = tempfile::tempdir().unwrap();
    let path = sockets.path().join("log");
    let unix = UnixDatagram::bind(&path).unwrap();
    unix.set_read_timeout(Some(DEADLINE)).unwrap();
    syslog_gets_every_line(&format!("udp://{}", udp.local_addr().unwrap()), |bytes| {
        udp.recv(bytes).unwrap()
    });
    syslog_gets_every_line(&format!("unix://{}", path.display()), |bytes| {
        unix.recv(bytes).unwrap()
    });
}

fn syslog_gets_every_line(address: &str, receive: impl Fn(&mut [u8]) -> usize) {
    let ase = Ase::with(&format!(
        "[access_log_outputs]\nsyslog = \"{address}\"\nsyslog_facility = \"local3\"\nsyslog_app_name = \"edge\"\n"
    ));
    assert_eq!(ase.post("/ase/batch", &[], batch("r", 3)).status, 200);
    for number in 0..3 {
        let mut bytes = vec![0; 65_536];
        let length = receive(&mut bytes);
        let message = String::from_utf8(bytes[..length].to_vec()).unwrap();
        let (head, line) = message.split_once(" access - ").unwrap();
        assert!(
            head.starts_with("<158>1 2") && head.contains(" edge "),
            "{head}"
        );
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["id"], format!("r-{number}"));
    }
    assert_eq!(ase.stop().len(), 3);
}

#[test]
fn a_syslog_server_that_comes_late_or_never_stalls_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let ase = Ase::with(&format!(
        "[access_log_outputs]\nsyslog = \"tcp://{address}\"\nqueue = 4\n"
    ));
    assert_eq!(ase.post("/ase/batch", &[], batch("early", 50)).status, 200);
    assert_eq!(lines(&ase.folder.path().join("access.jsonl")).len(), 50);
    wait_for("the count of what syslog missed", || {
        (ase.counter("access log", "syslog lines dropped") >= 40).then_some(())
    });
    let listener = TcpListener::bind(address).unwrap();
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut stream = BufReader::new(stream);
    wait_for("a line that came after the server", || {
        assert_eq!(ase.post("/ase/batch", &[], batch("late", 1)).status, 200);
        let mut length = Vec::new();
        stream.read_until(b' ', &mut length).unwrap();
        let length = String::from_utf8(length).unwrap().trim().parse().unwrap();
        let mut message = vec![0; length];
        stream.read_exact(&mut message).unwrap();
        assert!(message.starts_with(b"<134>1 "));
        message.ends_with(b"}").then_some(())
    });
}

#[test]
fn json_lines_go_to_standard_output_behind_the_ready_line() {
    let folder = prepared("[access_log_outputs]\nstdout = true\n");
    let mut child = Command::new(env!("CARGO_BIN_EXE_ase"))
        .arg("serve")
        .arg("--config")
        .arg(folder.path().join("ase.toml"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    let ready: Value = serde_json::from_str(&line).unwrap();
    let data = ready["data"].as_str().unwrap().parse().unwrap();
    let sent = batch("r", 100);
    let reply = Connection::to(data).call("POST", "/ase/batch", &[], sent.as_bytes());
    assert_eq!(reply.status, 200);
    signal(child.id(), "-TERM");
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    child.wait().unwrap();
    assert_eq!(rest, text(&folder.path().join("access.jsonl")));
    assert_eq!(rest.lines().count(), 100);
}
