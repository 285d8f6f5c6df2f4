//! The engine with its defaults on recorded traffic, as `ase replay --engine` shows it. `ASE_TRAFFIC` names the folder; without
//! it there is nothing to judge and the tests say so.
//!
//! What of this traffic the defaults were chosen on is said in `docs/detection.md`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

const INTERNET_FACING: &str = "internet-facing-server-2024";

/// The clients of a log that made so many requests and were listed or not; `None` where there is no folder.
fn clients(log: &str) -> Option<Vec<Client>> {
    let file = folder()?.join(format!("{log}.access.log"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_ase"));
    command.arg("replay").arg(file).args(["--engine", "--json"]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let study: Value = serde_json::from_slice(&output.stdout).unwrap();
    let verdicts = study["verdicts"].as_array().unwrap();
    let client = |verdict: &Value| Client {
        address: verdict["client"].as_str().unwrap().to_owned(),
        requests: verdict["requests"].as_u64().unwrap(),
        listed_at: verdict["listed_at_request"].as_u64(),
        verdict: verdict.clone(),
    };
    Some(verdicts.iter().map(client).collect())
}

struct Client {
    address: String,
    requests: u64,
    listed_at: Option<u64>,
    /// All that is said of it, for who looks at a failure.
    verdict: Value,
}

#[expect(clippy::print_stdout, reason = "says what it skips")]
fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("ASE_TRAFFIC").map(PathBuf::from);
    if folder.is_none() {
        println!("skipped: ASE_TRAFFIC is unset");
    }
    folder
}

/// What each client of the labelled log is, by its address.
fn labels() -> Option<BTreeMap<String, String>> {
    let file = folder()?.join(format!("{INTERNET_FACING}.labels.csv"));
    let text = std::fs::read_to_string(file).unwrap();
    let mut rows = text.lines().map(|row| row.split(',').collect::<Vec<_>>());
    let names = rows.next().unwrap();
    let column = |name: &str| names.iter().position(|known| *known == name).unwrap();
    let (ip, label) = (column("ip"), column("label"));
    Some(
        rows.map(|row| (row[ip].to_owned(), row[label].to_owned()))
            .collect(),
    )
}

#[test]
fn attackers_of_a_server_on_the_internet_are_listed_and_its_operators_are_not() {
    let (Some(clients), Some(labels)) = (clients(INTERNET_FACING), labels()) else {
        return;
    };
    let listed = |label: &str, least: u64, most: u64| {
        let of_label = clients.iter().filter(|client| {
            let known = labels.get(&client.address);
            known.is_some_and(|known| known == label) && (least..=most).contains(&client.requests)
        });
        let of_label: Vec<&Client> = of_label.collect();
        let listed = of_label.iter().filter(|client| client.listed_at.is_some());
        (listed.count(), of_label.len())
    };
    println!("one request: {:?}", listed("attack", 1, 1));
    assert_eq!(listed("attack", 5, u64::MAX), (13, 13));
    let (few, of) = listed("attack", 2, 4);
    assert!(few >= 6 && of == 9, "{few} of {of}");
    assert_eq!(listed("benign", 1, u64::MAX), (0, 8));
}

#[test]
fn a_commercial_scanner_is_listed_before_its_thirtieth_request() {
    let Some(clients) = clients("scanner-netsparker-2016") else {
        return;
    };
    let [scanner] = &*clients else {
        panic!("{} clients", clients.len());
    };
    let Client {
        listed_at, verdict, ..
    } = scanner;
    assert!(listed_at.is_some_and(|at| at < 30), "{verdict}");
}

#[test]
fn hardly_anybody_is_listed_on_a_public_site() {
    let Some(clients) = clients("public-site-2015") else {
        return;
    };
    let listed = clients.iter().filter(|client| client.listed_at.is_some());
    let listed: Vec<&Value> = listed.map(|client| &client.verdict).collect();
    assert_eq!(clients.len(), 1753);
    assert!(listed.len() <= 3, "{listed:#?}");
}
