//! The state of the daemon under load: 200 API definitions and a deny list of half IPv4 addresses, a fifth IPv6 networks, the rest credential ids, each with
//! a reason.
//!
//! Entries are written into the state file at once, as the daemon would have stored them; the daemon makes that file in a first start.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use rusqlite::{Connection, params};
use serde_json::json;

use crate::server::Server;
use crate::workload::APIS;

/// Writes configuration, definitions and state into `home`.
pub(crate) fn fill(program: &Path, home: &Path, entries: u32) -> Result<()> {
    let apis = home.join("apis");
    fs::create_dir_all(&apis)?;
    for n in 0..APIS {
        fs::write(apis.join(format!("api{n}.json")), definition(n))?;
    }
    let config = "data_listen = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\napi_dir = \"apis\"\nstate_dir = \"state\"\naccess_log = \"access.jsonl\"\n";
    // To see what a part of the daemon costs.
    let more = std::env::var("ASE_BENCH_SETTINGS").unwrap_or_default();
    fs::write(home.join("ase.toml"), [config, &more].concat())?;
    drop(Server::ase(program, home)?);
    let mut database = Connection::open(home.join("state/ase.db"))?;
    let change = database.transaction()?;
    {
        let mut insert = change
            .prepare("INSERT OR REPLACE INTO entry (list, identifier, scope, source, reason, added_ms, expires_ms) VALUES ('deny', ?1, 'all', 'manual', ?2, 1763771712345, NULL)")
            .context("the table of entries has another shape")?;
        for n in 0..entries {
            insert.execute(params![identifier(n), reason(n)])?;
        }
    }
    change.commit()?;
    Ok(())
}

/// The definition of the API number `n`.
pub(crate) fn definition(n: u32) -> String {
    json!({"api_metadata": {"protocol": "http", "url": format!("/api{n}"), "hostname": "*", "cookie": "SID",
        "oauth2_access_token": true, "apikey_header": "x-api-key", "enable_blocking": true}})
    .to_string()
}

/// Half IPv4, a fifth IPv6, the rest tokens; never one of the workload's clients.
pub(crate) fn identifier(n: u32) -> String {
    let mixed = n.wrapping_mul(0x9e37_79b1);
    match n % 10 {
        0..=4 => {
            // Outside of 10.0.0.0/8 and one to one with n.
            let [a, b, c, d] = (mixed | 0x8000_0000).to_be_bytes();
            format!("{a}.{b}.{c}.{d}")
        }
        5..=6 => format!(
            "2001:{:x}:{:x}:{:x}::/64",
            mixed >> 16,
            mixed & 0xffff,
            n & 0xffff
        ),
        _ => format!("token k1:{}", hex_of(n)),
    }
}

fn hex_of(n: u32) -> String {
    let part = |number: u32| (n ^ number.wrapping_mul(0x85eb_ca6b)).wrapping_mul(0xc2b2_ae35);
    format!(
        "{:08x}{:08x}{:08x}{:08x}",
        part(0),
        part(1),
        part(2),
        part(3)
    )
}

/// As an operator's or engine's reasons: some hundred different ones.
pub(crate) fn reason(n: u32) -> String {
    format!("credential stuffing, campaign {}", n % 500)
}
