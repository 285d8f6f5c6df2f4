//! A real ASE behind our filter: one API, the listed clients of the requests and a hundred thousand other entries.
//!
//! The engine studies every exchange, as it does by default, and lists nobody: the load is no traffic of people, and a run with clients that get listed on
//! the way is no comparison. ASE runs beside the load, off Envoy's core, and never outlives its value.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};
use ase_bench::process::Serving;
use serde_json::{Value, json};

use crate::requests::{LISTED_CLIENTS, LISTED_PREFIX};

/// Entries of the deny list that are of none of the requests' clients.
const OTHER_ENTRIES: u32 = 100_000;

/// A running ASE.
#[derive(Debug)]
pub(crate) struct Ase {
    _serving: Serving,
    /// Where gateways call.
    pub(crate) data: SocketAddr,
}

impl Ase {
    /// Starts it with a state of its own in `home`.
    pub(crate) fn start(program: &Path, home: &Path) -> Result<Self> {
        fs::create_dir_all(home.join("apis"))?;
        fs::write(home.join("apis/shop.json"), definition().to_string())?;
        fs::write(home.join("listed.txt"), listed())?;
        fs::write(
            home.join("ase.toml"),
            "data_listen = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\napi_dir = \"apis\"\nstate_dir = \"state\"\n\
             attack_list_file = \"listed.txt\"\nenable_abs_attack = false\n",
        )?;
        let mut command = Command::new(program);
        command
            .arg("serve")
            .arg("--config")
            .arg(home.join("ase.toml"))
            .args(["--log-level", "warn"])
            .stderr(Stdio::null());
        let serving = Serving::start(command)?;
        Ok(Self {
            data: serving.data,
            _serving: serving,
        })
    }

    /// The whole image of its lists and APIs that a gateway in mode `local` fetches; none when this ASE makes none.
    pub(crate) fn image(&self) -> Result<Option<Vec<u8>>> {
        let mut stream = TcpStream::connect(self.data)?;
        stream.write_all(b"GET /ase/image HTTP/1.1\r\nHost: ase\r\nConnection: close\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
        let body = answer.split_off(end.context("an answer")? + 4);
        Ok(answer.starts_with(b"HTTP/1.1 200 ").then_some(body))
    }
}

fn definition() -> Value {
    json!({"api_metadata": {"protocol": "http", "url": "/shop", "hostname": "*", "cookie": "SID",
        "oauth2_access_token": true, "apikey_header": "x-api-key", "enable_blocking": true}})
}

fn listed() -> String {
    let clients = (1..=LISTED_CLIENTS).map(|n| format!("{LISTED_PREFIX}{n}\n"));
    let others = (0..OTHER_ENTRIES).map(|n| {
        // 172.16.0.0/12 and one to one with n; no request comes from there.
        let [_, b, c, d] = n.to_be_bytes();
        format!("172.{}.{c}.{d}\n", 16 + b)
    });
    clients.chain(others).collect()
}
