//! An ASE that answers by script and remembers everything it was told.
//!
//! It speaks `docs/wire.md` over real sockets. It must never decide anything: an unscripted question is allowed, an
//! unscripted batch accepted. What does not follow the wire is kept as a fault, which fails the scenario.

use std::collections::VecDeque;
use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value;

use crate::http1::{self, Framing, Head};
use crate::scripted_image::ScriptedImage;
use crate::server::{HeldPort, Server};

/// How one call is answered. The default is 200, which allows a question and accepts a batch.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Answer {
    /// Status of the reply.
    pub status: u16,
    /// Value of `x-ase-verdict`; `None` means what ASE says with this status, empty means no such header.
    pub verdict: Option<String>,
    /// Further header fields.
    pub headers: Vec<(String, String)>,
    /// Content of the reply. A batch that is answered 200 without one is accepted whole; with one it is taken when that names `accepted`.
    pub body: String,
    /// Pads the content with this many bytes.
    pub body_bytes: usize,
    /// Time before the reply, in milliseconds.
    pub delay_ms: u64,
    /// What happens on the connection.
    pub how: How,
}

/// What happens on the connection of one call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// The reply is sent.
    #[default]
    Reply,
    /// The reply is sent once the step releases it.
    Hold,
    /// The connection closes without a reply.
    CloseBeforeReply,
    /// Bytes that are not HTTP are sent.
    Garbage,
    /// The head of the reply is sent, then the connection is reset.
    ResetAfterHeaders,
    /// No reply until the peer gives up.
    Hang,
}

/// One `/ase/request` call.
#[derive(Clone, Debug)]
pub struct Question {
    /// When its answer was about to be written; `None` while it is held or when there is none.
    pub answered_at: Option<Instant>,
    /// The head of the call.
    pub head: Head,
    /// The request metadata.
    pub json: Value,
}

/// One `/ase/response` call.
#[derive(Clone, Debug)]
pub struct ResponseCall {
    /// The head of the call.
    pub head: Head,
    /// The response metadata.
    pub json: Value,
}

/// Everything that ASE was told.
#[derive(Debug, Default)]
pub struct Heard {
    /// The questions in order of arrival.
    pub questions: Vec<Question>,
    /// The records of accepted batches, in order.
    pub records: Vec<Value>,
    /// The head and the answered status of every batch.
    pub batches: Vec<(Head, u16)>,
    /// The second halves, with `per_call` delivery.
    pub responses: Vec<ResponseCall>,
    /// The targets of the calls for an image.
    pub image_calls: Vec<String>,
    /// What they get; 404 when there is none.
    pub image: Option<ScriptedImage>,
    /// What did not follow the wire.
    pub faults: Vec<String>,
    questions_script: VecDeque<Answer>,
    batches_script: VecDeque<Answer>,
    released: bool,
    down: bool,
}

/// The scripted ASE.
pub struct ScriptedAse {
    address: SocketAddr,
    heard: Arc<Shared>,
    port: Port,
    /// Hears and says what the first one does; it is never down.
    second: Server,
}

enum Port {
    Listening(Server),
    Held(HeldPort),
    Lost,
}

#[derive(Default)]
struct Shared {
    heard: Mutex<Heard>,
    changed: Condvar,
}

impl Default for Answer {
    fn default() -> Self {
        Self {
            status: 200,
            verdict: None,
            headers: Vec::new(),
            body: String::new(),
            body_bytes: 0,
            delay_ms: 0,
            how: How::Reply,
        }
    }
}

impl ScriptedAse {
    /// An ASE that listens on a free port.
    ///
    /// # Errors
    /// When the system gives no port.
    pub fn start() -> Result<Self> {
        let port = HeldPort::any()?;
        let heard: Arc<Shared> = Arc::default();
        let shared = Arc::clone(&heard);
        let second = HeldPort::any()?.listen(Arc::new(move |stream| shared.serve(stream)))?;
        let mut ase = Self {
            address: port.address(),
            heard,
            port: Port::Held(port),
            second,
        };
        ase.go_up()?;
        Ok(ase)
    }

    /// Where it listens, when it does.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the same ASE listens as another one.
    #[must_use]
    pub fn second_address(&self) -> SocketAddr {
        self.second.address()
    }

    /// Accepts connections again.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn go_up(&mut self) -> Result<()> {
        if let Port::Held(port) = std::mem::replace(&mut self.port, Port::Lost) {
            self.heard.lock().down = false;
            let shared = Arc::clone(&self.heard);
            self.port = Port::Listening(port.listen(Arc::new(move |stream| shared.serve(stream)))?);
        }
        Ok(())
    }

    /// Cuts every connection and refuses new ones.
    ///
    /// # Errors
    /// When the port cannot be held.
    pub fn go_down(&mut self) -> Result<()> {
        if let Port::Listening(server) = std::mem::replace(&mut self.port, Port::Lost) {
            self.heard.lock().down = true;
            self.heard.changed.notify_all();
            self.port = Port::Held(server.close()?);
        }
        Ok(())
    }

    /// Replaces what is left of the script; replies wait for [`Self::release`] again.
    pub fn script(&self, questions: &[Answer], batches: &[Answer]) {
        let mut heard = self.heard.lock();
        heard.questions_script = questions.iter().cloned().collect();
        heard.batches_script = batches.iter().cloned().collect();
        heard.released = false;
    }

    /// Sends the replies that are held.
    pub fn release(&self) {
        self.heard.lock().released = true;
        self.heard.changed.notify_all();
    }

    /// What it heard so far.
    pub fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock()
    }

    /// Waits until `enough` holds; false when it does not within `limit`.
    #[must_use]
    pub fn wait(&self, limit: Duration, mut enough: impl FnMut(&Heard) -> bool) -> bool {
        let waited = self
            .heard
            .changed
            .wait_timeout_while(self.heard.lock(), limit, |heard| !enough(heard));
        let (heard, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        drop(heard);
        !timeout.timed_out()
    }
}

impl Drop for ScriptedAse {
    fn drop(&mut self) {
        self.heard.lock().down = true;
        self.heard.changed.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, stream: &TcpStream) {
        if let Err(fault) = self.serve_calls(stream) {
            let mut heard = self.lock();
            // A connection that is cut while ASE goes down is no fault of the gateway.
            if !heard.down {
                heard.faults.push(format!("{fault:#}"));
            }
        }
        self.changed.notify_all();
    }

    fn serve_calls(&self, stream: &TcpStream) -> Result<()> {
        let mut reader = BufReader::new(stream);
        // The gateway may cut an idle or abandoned connection at any time.
        while let Ok(Some(head)) = http1::read_head(&mut reader) {
            let body =
                http1::read_body(&mut reader, &head, Framing::Request).context("body of a call")?;
            if !self.call(stream, head, &body.content)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Answers one call; false when the connection is over.
    fn call(&self, stream: &TcpStream, head: Head, content: &[u8]) -> Result<bool> {
        if head.word(0) == "GET" && head.word(1) == "/ase" {
            return self.send(stream, &Answer::default(), None);
        }
        if head.word(0) == "GET" && head.word(1).starts_with("/ase/image?") {
            return self.image(stream, head.word(1));
        }
        ensure!(
            head.word(0) == "POST",
            "call with method {:?}",
            head.word(0)
        );
        // What stands in the query is between the gateway and its operator.
        let path = head.word(1).split('?').next().unwrap_or_default();
        match path {
            "/ase/request" => self.question(stream, head, content),
            "/ase/response" => {
                let json = serde_json::from_slice(content).context("response call is not JSON")?;
                self.lock().responses.push(ResponseCall { head, json });
                self.changed.notify_all();
                self.send(stream, &Answer::default(), None)
            }
            "/ase/batch" => self.batch(stream, head, content),
            other => anyhow::bail!("call to {other:?}"),
        }
    }

    /// What a gateway in `local` mode asks for.
    fn image(&self, mut stream: &TcpStream, target: &str) -> Result<bool> {
        let mut heard = self.lock();
        heard.image_calls.push(target.to_owned());
        let reply = match &heard.image {
            Some(image) => image.reply(target)?,
            None => b"HTTP/1.1 404 Scripted\r\nserver: ASE\r\ncontent-length: 0\r\n\r\n".to_vec(),
        };
        drop(heard);
        self.changed.notify_all();
        Ok(stream.write_all(&reply).is_ok())
    }

    fn question(&self, stream: &TcpStream, head: Head, content: &[u8]) -> Result<bool> {
        let json = serde_json::from_slice(content)
            .with_context(|| format!("question is not JSON: {}", http1::latin1(content)))?;
        let (answer, index) = {
            let mut heard = self.lock();
            heard.questions.push(Question {
                answered_at: None,
                head,
                json,
            });
            (
                heard.questions_script.pop_front().unwrap_or_default(),
                heard.questions.len() - 1,
            )
        };
        self.changed.notify_all();
        self.send(stream, &answer, Some(index))
    }

    fn batch(&self, stream: &TcpStream, head: Head, content: &[u8]) -> Result<bool> {
        let records = records(content)?;
        let mut answer = self.lock().batches_script.pop_front().unwrap_or_default();
        if answer.status == 200 && answer.body.is_empty() && answer.body_bytes == 0 {
            let image = self
                .lock()
                .image
                .as_ref()
                .map(|image| image.news(head.word(1)));
            answer.body = receipt(records.len(), image.transpose()?.flatten().as_deref());
        }
        let taken = answer.status == 200
            && answer.body.contains("\"accepted\"")
            && matches!(answer.how, How::Reply | How::Hold);
        let goes_on = self.send(stream, &answer, None);
        let mut heard = self.lock();
        heard.batches.push((head, answer.status));
        if taken {
            heard.records.extend(records);
        }
        drop(heard);
        self.changed.notify_all();
        goes_on
    }

    /// Does what the answer says; false when the connection is over. `question` is the index of the answered question.
    fn send(
        &self,
        mut stream: &TcpStream,
        answer: &Answer,
        question: Option<usize>,
    ) -> Result<bool> {
        let wait = match answer.how {
            How::Hold => Duration::from_secs(30),
            How::Hang => Duration::from_secs(8),
            How::Reply | How::CloseBeforeReply | How::Garbage | How::ResetAfterHeaders => {
                Duration::from_millis(answer.delay_ms)
            }
        };
        let held = answer.how == How::Hold;
        let waited = self.changed.wait_timeout_while(self.lock(), wait, |heard| {
            !(heard.down || held && heard.released)
        });
        drop(waited);
        if let Some(index) = question
            && let Some(question) = self.lock().questions.get_mut(index)
        {
            question.answered_at = Some(Instant::now());
        }
        match answer.how {
            How::Reply | How::Hold => {
                // The gateway may have given up on this call; that is its right.
                Ok(stream.write_all(&reply(answer)?).is_ok())
            }
            How::CloseBeforeReply | How::Hang => Ok(false),
            How::Garbage => {
                drop(stream.write_all(b"\x00\x01 this is not HTTP\r\n\r\n"));
                Ok(false)
            }
            How::ResetAfterHeaders => {
                drop(stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\npart"));
                Ok(false)
            }
        }
    }
}

/// ASE's account of a batch all of which it took, with what it says of the gateway's image.
fn receipt(records: usize, image: Option<&str>) -> String {
    let image = image.map_or_else(String::new, |news| format!(r#","image":"{news}""#));
    format!(r#"{{"accepted":{records},"duplicates":0,"rejected_count":0,"rejected":[]{image}}}"#)
}

fn reply(answer: &Answer) -> Result<Vec<u8>> {
    let mut content = http1::bytes_of(&answer.body)?;
    content.resize(content.len() + answer.body_bytes, b'.');
    let mut head = format!("HTTP/1.1 {} Scripted\r\nserver: ASE\r\n", answer.status);
    if let Some(verdict) = answer
        .verdict
        .as_deref()
        .or(usual_verdict(answer.status))
        .filter(|text| !text.is_empty())
    {
        head.push_str(&format!("x-ase-verdict: {verdict}\r\n"));
    }
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("content-length: {}\r\n\r\n", content.len()));
    let mut bytes = http1::bytes_of(&head)?;
    bytes.append(&mut content);
    Ok(bytes)
}

/// The verdict that ASE names with a status, where the status leaves no choice.
fn usual_verdict(status: u16) -> Option<&'static str> {
    match status {
        200 => Some("allowed"),
        403 => Some("blocked"),
        400 | 401 | 404 | 413 => Some("rejected"),
        _ => None,
    }
}

/// The records of a batch, each checked for what every record must have.
fn records(content: &[u8]) -> Result<Vec<Value>> {
    let text = std::str::from_utf8(content).context("batch is not UTF-8")?;
    let mut records = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let record: Value =
            serde_json::from_str(line).with_context(|| format!("record is not JSON: {line}"))?;
        for (field, usable) in [
            ("id", record.get("id").is_some_and(is_record_id)),
            (
                "started_ms",
                record.get("started_ms").is_some_and(Value::is_u64),
            ),
            (
                "duration_us",
                record.get("duration_us").is_some_and(Value::is_u64),
            ),
            ("mode", record.get("mode").is_some_and(Value::is_string)),
            (
                "decision",
                record.get("decision").is_some_and(Value::is_string),
            ),
            ("end", record.get("end").is_some_and(Value::is_string)),
            (
                "request",
                record.get("request").is_some_and(Value::is_object),
            ),
        ] {
            ensure!(usable, "record without a usable {field}: {line}");
        }
        records.push(record);
    }
    ensure!(!records.is_empty(), "batch without a record");
    Ok(records)
}

fn is_record_id(id: &Value) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte);
    id.as_str()
        .is_some_and(|id| (1..=64).contains(&id.len()) && id.bytes().all(allowed))
}
