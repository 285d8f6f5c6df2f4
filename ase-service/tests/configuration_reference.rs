//! `docs/configuration.md` names every key that the daemon reads, and no other, with the rule and default that the code has.
//!
//! `UPDATE=1` writes the table anew and keeps what each key means, which is written there by hand.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use ase_service::config::reference;

const HEAD: &str = "\
# Configuration reference

The keys of the file that `ase serve --config FILE.toml` reads. `a.b` is the key `b` of the section `[a]`, `a[].b` that of each `[[a]]`. Flags override the file (`ase serve --help`).
Paths count from the file's folder; every fault is named at once, with its path, and an unknown key is a fault: `ase check` says so without starting anything.

Keys, rules and defaults are held against the code by a test; `UPDATE=1 cargo test -p ase-service --test configuration_reference` writes them anew and leaves the last column
as it is.

| key | value | default | meaning |
|---|---|---|---|
";

#[test]
fn the_reference_names_every_key_of_the_code_with_its_rule_default_and_meaning() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let present = std::fs::read_to_string(&path).unwrap_or_default();
    let meanings: BTreeMap<&str, &str> = present.lines().filter_map(row).collect();
    let mut expected = HEAD.to_owned();
    let mut without = Vec::new();
    for key in reference::keys() {
        let meaning = meanings.get(key.path.as_str()).copied().unwrap_or_default();
        if meaning.is_empty() {
            without.push(key.path.clone());
        }
        let (rule, default) = (
            key.rule.unwrap_or_default(),
            key.default.unwrap_or_default(),
        );
        writeln!(
            expected,
            "| `{}` | {rule} | {default} | {meaning} |",
            key.path
        )
        .unwrap();
    }
    if std::env::var_os("UPDATE").is_some_and(|value| value == "1") {
        std::fs::write(&path, &expected).unwrap();
    } else {
        assert_eq!(
            present, expected,
            "run with UPDATE=1 and read the difference"
        );
    }
    assert!(
        without.is_empty(),
        "write what these keys mean into the last column of docs/configuration.md: {without:?}"
    );
}

/// Key and meaning of a row of the table.
fn row(line: &str) -> Option<(&str, &str)> {
    let line = line.strip_prefix("| `")?.strip_suffix('|')?;
    let (key, rest) = line.split_once("` |")?;
    let meaning = rest.splitn(3, '|').nth(2)?;
    Some((key, meaning.trim()))
}
