//! The bytes that both servers get.
//!
//! Clients, paths and credentials differ from call to call and none is listed, so that both servers always answer 200.

use ase_bench::load::Calls;
use serde_json::json;

/// Different questions; enough that look-ups do not all hit one cache line.
const VARIANTS: u32 = 4096;

/// Registered APIs.
pub(crate) const APIS: u32 = 200;

/// Calls in the order in which each connection makes them.
#[derive(Debug)]
pub(crate) struct Workload {
    calls: Vec<Call>,
}

/// One call as bytes.
#[derive(Debug)]
pub(crate) struct Call {
    bytes: Vec<u8>,
    /// Where the 16 digits of the correlation id stand.
    id_at: usize,
    /// Which of the pair this is.
    half: Half,
}

/// The two calls of a transaction share an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Half {
    Request,
    Response,
}

impl Workload {
    /// Questions of our filter: ASE answers and keeps nothing.
    pub(crate) fn questions() -> Self {
        let calls = (0..VARIANTS).map(|n| question(n, "/ase/request?delivery=batch"));
        Self {
            calls: calls.collect(),
        }
    }

    /// Question and response call of old policies in turn: every transaction is kept, completed and logged.
    pub(crate) fn transactions() -> Self {
        let calls = (0..VARIANTS).flat_map(|n| [question(n, "/ase/request"), response()]);
        Self {
            calls: calls.collect(),
        }
    }
}

impl Calls for Workload {
    fn write(&self, connection: usize, turn: usize, out: &mut Vec<u8>) {
        out.clear();
        let length = self.calls.len();
        // Connections start at different places, always at a question.
        let start = connection * (length / 64) / 2 * 2;
        let Some(call) = self.calls.get((start + turn) % length.max(1)) else {
            return;
        };
        out.extend_from_slice(&call.bytes);
        let pair = match call.half {
            Half::Request => turn,
            Half::Response => turn.saturating_sub(1),
        };
        let id = format!("{connection:04x}{pair:012x}");
        if let Some(place) = out.get_mut(call.id_at..call.id_at + id.len()) {
            place.copy_from_slice(id.as_bytes());
        }
    }
}

/// The body of the question number `n`.
pub(crate) fn question_body(n: u32) -> String {
    let address = format!("10.{}.{}.{}", n >> 16 & 255, n >> 8 & 255, n & 255);
    json!({"source_ip": address, "source_port": 40000 + n % 20000, "method": "GET",
        "url": format!("/api{}/books/{n}?page={}&sort=title", n % APIS, n % 7), "http_version": "1.1",
        "headers": [{"host": "api.example.com"}, {"user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"},
            {"accept": "application/json"}, {"accept-encoding": "gzip, deflate, br"}, {"accept-language": "en-US,en;q=0.5"},
            {"authorization": format!("Bearer token-{n:032x}")}, {"cookie": format!("theme=dark; SID=session-{n:024x}")}]})
    .to_string()
}

fn question(n: u32, target: &str) -> Call {
    call(target, &question_body(n), Half::Request)
}

fn response() -> Call {
    let body = json!({"response_code": 200, "response_status": "OK", "http_version": "1.1",
        "headers": [{"content-type": "application/json"}, {"content-length": "512"}, {"server": "shop"}]});
    call("/ase/response", &body.to_string(), Half::Response)
}

fn call(target: &str, body: &str, half: Half) -> Call {
    let before = format!(
        "POST {target} HTTP/1.1\r\nHost: ASE\r\nContent-Type: application/json\r\nX-CorrelationID: "
    );
    let bytes = format!(
        "{before}{:016}\r\nContent-Length: {}\r\n\r\n{body}",
        0,
        body.len()
    )
    .into_bytes();
    Call {
        bytes,
        id_at: before.len(),
        half,
    }
}
