//! A daemon in a folder of its own, and a plain HTTP client that sends exactly the bytes it is given.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use ase_service::config::{Overrides, Settings};
use ase_service::daemon::{Daemon, DataAddresses, SECRET_FILE, Stopped};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Longest wait for anything.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) const SHOP: &str = r#"{"api_metadata": {"protocol": "http", "url": "/shop", "hostname": "*", "oauth2_access_token": true,
    "apikey_header": "x-shop-key", "apikey_qs": "shopkey", "cookie": "SHOPSID", "enable_blocking": true}}"#;
pub(crate) const CATALOG: &str = r#"{"api_metadata": {"protocol": "http", "url": "/catalog", "hostname": "*", "enable_blocking": false}}"#;
pub(crate) const HOSTED: &str = r#"{"api_metadata": {"protocol": "http", "url": "/hosted", "hostname": "api.example.com", "enable_blocking": true}}"#;

/// A daemon in this process.
pub(crate) struct Ase {
    runtime: Runtime,
    daemon: Daemon,
    pub(crate) folder: TempDir,
    secret: String,
}

/// An HTTP answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
    /// The body as it came.
    pub(crate) bytes: Vec<u8>,
}

/// A connection to a port.
pub(crate) struct Connection(BufReader<TcpStream>);

impl Ase {
    pub(crate) fn start() -> Self {
        Self::with("")
    }

    /// With more lines in the configuration file.
    pub(crate) fn with(config: &str) -> Self {
        Self::in_folder(prepared(config))
    }

    pub(crate) fn in_folder(folder: TempDir) -> Self {
        let settings =
            Settings::load(Some(&folder.path().join("ase.toml")), &Overrides::default()).unwrap();
        let runtime = Runtime::new().unwrap();
        let daemon = runtime.block_on(Daemon::start(settings)).unwrap();
        let secret =
            std::fs::read_to_string(folder.path().join("state").join(SECRET_FILE)).unwrap();
        Self {
            runtime,
            daemon,
            secret: secret.trim().to_owned(),
            folder,
        }
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection::to(self.daemon.data)
    }

    pub(crate) fn listening(&self) -> &DataAddresses {
        &self.daemon.listening
    }

    pub(crate) fn reload_certificates(&self) {
        self.runtime.block_on(self.daemon.reload_certificates());
    }

    pub(crate) fn post(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: impl AsRef<[u8]>,
    ) -> Reply {
        self.connect().call("POST", path, headers, body.as_ref())
    }

    /// A question as an old policy asks it.
    pub(crate) fn ask(&self, id: &str, body: &Value) -> Reply {
        self.post("/ase/request", &[("X-CorrelationID", id)], body.to_string())
    }

    pub(crate) fn respond(&self, id: &str, body: &Value) -> Reply {
        self.post(
            "/ase/response",
            &[("X-CorrelationID", id)],
            body.to_string(),
        )
    }

    pub(crate) fn admin(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let headers = [
            ("x-ase-access-key", "admin"),
            ("x-ase-secret-key", self.secret.as_str()),
        ];
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let reply = Connection::to(self.daemon.admin).call(method, path, &headers, body.as_bytes());
        (reply.status, serde_json::from_str(&reply.body).unwrap())
    }

    /// A call of the management port as it stands, without the management headers.
    pub(crate) fn look(&self, path: &str) -> Reply {
        Connection::to(self.daemon.admin).call("GET", path, &[], b"")
    }

    /// The same with them.
    pub(crate) fn look_as_admin(&self, path: &str) -> Reply {
        let headers = [
            ("x-ase-access-key", "admin"),
            ("x-ase-secret-key", self.secret.as_str()),
        ];
        Connection::to(self.daemon.admin).call("GET", path, &headers, b"")
    }

    /// The headers that let a caller in.
    pub(crate) fn credentials(&self) -> [(&str, &str); 2] {
        [
            ("x-ase-access-key", "admin"),
            ("x-ase-secret-key", self.secret.as_str()),
        ]
    }

    pub(crate) fn connect_admin(&self) -> Connection {
        Connection::to(self.daemon.admin)
    }

    pub(crate) fn audit_log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("state/audit.log")).unwrap()
    }

    pub(crate) fn admin_without_secret(&self, headers: &[(&str, &str)]) -> Reply {
        Connection::to(self.daemon.admin).call("GET", "/v1/deny", headers, b"")
    }

    pub(crate) fn deny(&self, body: &Value) {
        let (status, answer) = self.admin("POST", "/v1/deny", body);
        assert_eq!(status, 201, "{answer}");
    }

    pub(crate) fn counter(&self, group: &str, name: &str) -> u64 {
        let (_, counters) = self.admin("GET", "/v1/counters", &Value::Null);
        counters[group][name]
            .as_u64()
            .unwrap_or_else(|| panic!("no counter {group} / {name}"))
    }

    /// Stops it and returns the lines of the access log.
    pub(crate) fn stop(self) -> Vec<Value> {
        let log = self.folder.path().join("access.jsonl");
        let _folder = self.stop_and_keep();
        lines(&log)
    }

    /// Stops it and returns its folder, for another start.
    pub(crate) fn stop_and_keep(self) -> TempDir {
        assert_eq!(self.runtime.block_on(self.daemon.stop()), Stopped::Whole);
        self.folder
    }
}

/// A folder with a configuration and three APIs.
pub(crate) fn prepared(config: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let apis = folder.path().join("apis");
    std::fs::create_dir(&apis).unwrap();
    for (name, text) in [("shop", SHOP), ("catalog", CATALOG), ("hosted", HOSTED)] {
        std::fs::write(apis.join(format!("{name}.json")), text).unwrap();
    }
    let base = "data_listen = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\napi_dir = \"apis\"\nstate_dir = \"state\"\naccess_log = \"access.jsonl\"\n";
    std::fs::write(folder.path().join("ase.toml"), format!("{base}{config}")).unwrap();
    folder
}

/// The question of a client for a URL.
pub(crate) fn question(client: &str, url: &str) -> Value {
    json!({"source_ip": client, "source_port": 4711, "method": "GET", "url": url, "http_version": "1.1",
        "headers": [{"host": "api.example.com"}, {"user-agent": "curl/8"}]})
}

/// A batch record of an exchange that ended well.
pub(crate) fn record(id: &str, client: &str, url: &str) -> Value {
    let now = ase_service::clock::now().0;
    json!({"id": id, "started_ms": now, "duration_us": 1500, "mode": "async", "decision": "async", "end": "upstream",
        "request": question(client, url), "response": {"response_code": 200, "headers": [{"content-type": "text/html"}, {"content-length": "12"}]}})
}

pub(crate) fn lines(log: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(log).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Waits for a condition until the deadline.
pub(crate) fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(header, _)| header.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn verdict(&self) -> &str {
        self.header("x-ase-verdict").unwrap_or("none")
    }
}

impl Connection {
    pub(crate) fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        Self(BufReader::new(stream))
    }

    pub(crate) fn call(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        self.ask(method, path, headers, body);
        self.reply()
    }

    /// A call whose answer is still to be read.
    pub(crate) fn ask(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) {
        let host = self.peer();
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n",
            body.len()
        );
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        self.send(head.as_bytes());
        self.send(body);
    }

    /// Everything until the other end closes.
    pub(crate) fn until_closed(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        // A reset is an end too.
        drop(self.0.read_to_end(&mut rest));
        rest
    }

    pub(crate) fn peer(&self) -> SocketAddr {
        self.0.get_ref().peer_addr().unwrap()
    }

    pub(crate) fn stream(&mut self) -> &mut BufReader<TcpStream> {
        &mut self.0
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        // A server that has answered already may have closed.
        drop(self.0.get_mut().write_all(bytes));
    }

    /// The next answer; an interim one (100) too.
    pub(crate) fn reply(&mut self) -> Reply {
        let mut reply = self.reply_head();
        reply.bytes = match reply.header("content-length") {
            Some(length) => self.bytes(length.parse().unwrap()),
            None if reply.header("transfer-encoding") == Some("chunked") => self.chunks(),
            None => Vec::new(),
        };
        reply.body = String::from_utf8_lossy(&reply.bytes).into_owned();
        reply
    }

    /// The next answer but for its body, which is still to be read.
    pub(crate) fn reply_head(&mut self) -> Reply {
        let status = self.line();
        let status = status
            .split(' ')
            .nth(1)
            .unwrap_or_else(|| panic!("no answer: {status:?}"))
            .parse()
            .unwrap();
        let mut headers = Vec::new();
        loop {
            let line = self.line();
            match line.split_once(": ") {
                Some((name, value)) => headers.push((name.to_owned(), value.to_owned())),
                None => break,
            }
        }
        Reply {
            status,
            headers,
            body: String::new(),
            bytes: Vec::new(),
        }
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }

    fn chunks(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            let length = usize::from_str_radix(&self.line(), 16).unwrap();
            all.extend(self.bytes(length));
            assert_eq!(self.line(), "", "no end of a chunk");
            if length == 0 {
                return all;
            }
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}
