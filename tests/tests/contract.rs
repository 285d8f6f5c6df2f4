//! Golden exchanges: what every known gateway policy sends, what the real daemon answers, and what its access log says of it.
//!
//! One test per folder of `fixtures/contract/` (its README says what the files are). A difference fails the test; `UPDATE=1` writes the answers and the log
//! anew. Must never be updated to make it pass without reading the difference: old policies cannot be changed.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;
use system_tests::http1;
use system_tests::real_ase::{RealAse, RealAsePlan};

/// Longest wait for an answer.
const DEADLINE: Duration = Duration::from_secs(10);
/// Keys of the access log that differ from run to run.
const VOLATILE: [&str; 3] = ["time", "duration_us", "ask_us"];
/// Keys that hold an id made with the daemon's own key.
const KEYED: [&str; 2] = ["id", "identifier"];
/// Headers of an answer that say nothing about the contract.
const UNTOLD: [&str; 1] = ["date"];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/contract");
    let trials = match clients(&folder) {
        Ok(clients) => clients.into_iter().map(trial).collect(),
        Err(fault) => vec![Trial::test("the fixtures can be read", move || {
            Err(Failed::from(format!("{fault:#}")))
        })],
    };
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trial(folder: PathBuf) -> Trial {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let name = format!("{name}_is_answered_as_its_golden_exchange_says");
    Trial::test(name, move || {
        play(&folder).map_err(|fault| Failed::from(format!("{fault:#}")))
    })
}

fn clients(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut clients = entries(folder)?;
    clients.retain(|path| path.is_dir());
    ensure!(!clients.is_empty(), "{} holds no client", folder.display());
    Ok(clients)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let read = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut paths = read
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

/// Plays the calls of one client in the order of their names, stops the daemon, and compares.
fn play(folder: &Path) -> Result<()> {
    let setup = folder.join("setup.toml");
    let text = fs::read_to_string(&setup).with_context(|| setup.display().to_string())?;
    let plan: RealAsePlan = toml::from_str(&text).with_context(|| setup.display().to_string())?;
    let home = tempfile::tempdir()?;
    let ase = RealAse::start(&plan, home.path())?;
    let mut calls = entries(folder)?;
    calls.retain(|path| path.extension().is_some_and(|kind| kind == "http"));
    ensure!(!calls.is_empty(), "{} holds no call", folder.display());
    let mut golden = Vec::new();
    for call in calls {
        let bytes = request_bytes(&fs::read(&call)?).with_context(|| call.display().to_string())?;
        let answer =
            exchange(ase.data_address(), &bytes).with_context(|| call.display().to_string())?;
        golden.push((call.with_extension("answer"), answer));
    }
    let log = masked(ase.stop()?)?;
    golden.push((folder.join("access-log.json"), log));
    compare(&golden)
}

/// The file as a request: lines of the head end in CR LF, `Content-Length: *` is computed, a chunked body is cut in two. The newline
/// at the end of the file is no part of the body.
fn request_bytes(file: &[u8]) -> Result<Vec<u8>> {
    let file = file.strip_suffix(b"\n").unwrap_or(file);
    let (head, body) = match file.windows(2).position(|pair| pair == b"\n\n") {
        Some(end) => file.split_at_checked(end).context("a head")?,
        None => (file, &b""[..]),
    };
    let body = body.strip_prefix(b"\n\n").unwrap_or(body);
    let head = http1::latin1(head);
    let length = format!("Content-Length: {}", body.len());
    let head = head.replace("Content-Length: *", &length);
    let mut bytes = http1::bytes_of(&head.replace('\n', "\r\n"))?;
    bytes.extend_from_slice(b"\r\n\r\n");
    if head
        .to_ascii_lowercase()
        .contains("transfer-encoding: chunked")
    {
        let (first, second) = body.split_at_checked(body.len() / 2).unwrap_or((body, b""));
        for chunk in [first, second] {
            bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            bytes.extend_from_slice(chunk);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"0\r\n\r\n");
    } else {
        bytes.extend_from_slice(body);
    }
    Ok(bytes)
}

/// Status line, telling headers and body.
fn exchange(ase: SocketAddr, bytes: &[u8]) -> Result<String> {
    let mut stream = TcpStream::connect(ase)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.write_all(bytes)?;
    let mut reader = std::io::BufReader::new(&stream);
    let head = http1::read_head(&mut reader)?.context("closed without an answer")?;
    let length = head.first("content-length").context("no content-length")?;
    let mut body = vec![0; length.parse()?];
    reader.read_exact(&mut body)?;
    let mut text = format!("{}\n", head.start);
    for (name, value) in &head.headers {
        if !UNTOLD.contains(&name.as_str()) {
            text.push_str(&format!("{name}: {value}\n"));
        }
    }
    Ok(format!("{text}\n{}\n", http1::latin1(&body)))
}

/// The log as JSON that is the same in every run: volatile values are `*`, keyed ids are numbered in the order of their appearance.
fn masked(mut lines: Vec<Value>) -> Result<String> {
    let mut ids = Vec::new();
    for line in &mut lines {
        mask(line, &mut ids);
    }
    Ok(format!("{}\n", serde_json::to_string_pretty(&lines)?))
}

fn mask(value: &mut Value, ids: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| mask(item, ids)),
        Value::Object(members) => {
            for (key, member) in members {
                if VOLATILE.contains(&key.as_str()) {
                    *member = Value::from("*");
                } else if let Value::String(text) = member
                    && KEYED.contains(&key.as_str())
                {
                    *text = unkeyed(text, ids);
                } else {
                    mask(member, ids);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn unkeyed(text: &str, ids: &mut Vec<String>) -> String {
    let Some((before, id)) = text.split_once("k1:") else {
        return text.to_owned();
    };
    let known = ids.iter().position(|known| known == id);
    let number = known.unwrap_or_else(|| {
        ids.push(id.to_owned());
        ids.len() - 1
    });
    format!("{before}k1:<{}>", number + 1)
}

fn compare(golden: &[(PathBuf, String)]) -> Result<()> {
    let update = std::env::var_os("UPDATE").is_some_and(|value| value == "1");
    let mut differences = String::new();
    for (path, found) in golden {
        if update {
            fs::write(path, found)?;
        }
        let expected = fs::read_to_string(path).unwrap_or_default();
        if expected != *found {
            let path = path.display();
            differences.push_str(&format!(
                "\n{path}\n--- expected\n{expected}--- found\n{found}"
            ));
        }
    }
    if !differences.is_empty() {
        bail!(
            "{differences}\nIf the contract has changed on purpose, run with UPDATE=1 and read the difference."
        );
    }
    Ok(())
}
