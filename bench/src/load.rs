//! The load: one thread that never sleeps, readiness by epoll, prepared bytes, no allocation per call.
//!
//! One call is under way per connection. A status that was not expected, a short write or a closed connection ends the run with an error: a ratio over failed
//! calls would mean nothing.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

/// Longest silence of a server.
const PATIENCE: Duration = Duration::from_secs(10);

/// The calls of each connection, in order.
pub trait Calls {
    /// Writes the call number `turn` of a connection into `out`, which is cleared first.
    fn write(&self, connection: usize, turn: usize, out: &mut Vec<u8>);

    /// The status that must answer it.
    fn status(&self, _connection: usize, _turn: usize) -> u16 {
        200
    }
}

/// When calls are made.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// Each connection calls as soon as it has its answer.
    Closed,
    /// At fixed times, whether or not earlier calls were answered; latency counts from the due time.
    Open(Rate),
}

/// Calls a second, over all connections.
#[derive(Clone, Copy, Debug)]
pub struct Rate(f64);

impl Rate {
    /// So many calls a second: a number from 1 on.
    ///
    /// # Errors
    /// For any other, such as what a round without an answer says of the rate of a server.
    pub fn per_second(calls: f64) -> Result<Self> {
        ensure!(
            calls.is_finite() && calls >= 1.0,
            "{calls} calls a second is no rate that can be kept: it takes a number from 1 on"
        );
        Ok(Self(calls))
    }
}

/// What came of a run.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// From the due time to the last byte of the answer, in the order of the answers.
    pub latencies: Vec<Duration>,
    /// How long the run was.
    pub wall: Duration,
    /// CPU time of what was measured; the caller's, since only it knows the process.
    pub cpu: Duration,
    /// How many answers had another status than 200.
    pub not_ok: usize,
}

impl Outcome {
    /// Several runs as one.
    #[must_use]
    pub fn together(runs: Vec<Self>) -> Self {
        runs.into_iter().fold(Self::default(), |mut all, run| {
            all.latencies.extend(run.latencies);
            all.wall += run.wall;
            all.cpu += run.cpu;
            all.not_ok += run.not_ok;
            all
        })
    }

    /// The same without its first answers.
    #[must_use]
    pub fn without_first(mut self, answers: usize) -> Self {
        self.latencies.drain(..answers.min(self.latencies.len()));
        self
    }

    /// Calls per second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.wall.as_secs_f64()
    }

    /// CPU time of the server per call, in microseconds.
    #[must_use]
    pub fn cpu_us(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.latencies.len() as f64
    }

    /// How much of one core the server used.
    #[must_use]
    pub fn busy(&self) -> f64 {
        self.cpu.as_secs_f64() / self.wall.as_secs_f64()
    }

    /// The latency that this part of the calls stays within, in microseconds.
    #[must_use]
    pub fn percentile_us(&self, part: f64) -> f64 {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        let index = (sorted.len() as f64 * part) as usize;
        let found = sorted.get(index.min(sorted.len().saturating_sub(1)));
        found.map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e6)
    }
}

/// Open connections to one server, none of them waiting for an answer.
#[derive(Debug)]
pub struct Connections {
    poll: Poll,
    events: Events,
    open: Vec<Connection>,
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    turn: usize,
    due: Option<Instant>,
    answer: Vec<u8>,
}

impl Connections {
    /// Connects so many times.
    ///
    /// # Errors
    /// When the server does not take a connection.
    pub fn open(server: SocketAddr, connections: usize) -> Result<Self> {
        let poll = Poll::new()?;
        let mut open = Vec::with_capacity(connections);
        for number in 0..connections {
            let stream = std::net::TcpStream::connect(server)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            poll.registry()
                .register(&mut stream, Token(number), Interest::READABLE)?;
            open.push(Connection {
                stream,
                turn: 0,
                due: None,
                answer: Vec::with_capacity(1024),
            });
        }
        Ok(Self {
            poll,
            events: Events::with_capacity(connections),
            open,
        })
    }

    /// Begins to call. The run goes on with each [`Run::step`].
    pub fn start<'a, C: Calls>(
        &'a mut self,
        calls: &'a C,
        pace: Pace,
        length: Duration,
    ) -> Run<'a, C> {
        let now = Instant::now();
        Run {
            idle: (0..self.open.len()).rev().collect(),
            connections: self,
            calls,
            pace,
            length,
            buffer: Vec::with_capacity(4096),
            outcome: Outcome {
                latencies: Vec::with_capacity(1 << 20),
                ..Outcome::default()
            },
            started: now,
            heard: now,
            made: 0,
        }
    }
}

/// Calls under way.
#[derive(Debug)]
pub struct Run<'a, C> {
    connections: &'a mut Connections,
    calls: &'a C,
    pace: Pace,
    length: Duration,
    idle: Vec<usize>,
    buffer: Vec<u8>,
    outcome: Outcome,
    started: Instant,
    heard: Instant,
    made: u64,
}

impl<C: Calls> Run<'_, C> {
    /// Makes the calls that are due and takes the answers that are there; true until the time is over and the last answer has come. A machine that stands
    /// still for the whole of the time makes its first calls after it: a run without any would say nothing.
    ///
    /// It never sleeps: to wake it would cost the server under load more than an answer, and the slower server more often.
    ///
    /// # Errors
    /// When an answer is not what was expected, or none has come for ten seconds.
    pub fn step(&mut self) -> Result<bool> {
        let now = Instant::now();
        let over = self.made > 0 && now.duration_since(self.started) >= self.length;
        while !over && let Some(due) = self.next_due(now) {
            let Some(number) = self.idle.pop() else { break };
            let connection = self.connections.open.get_mut(number);
            let connection = connection.context("a connection")?;
            self.calls.write(number, connection.turn, &mut self.buffer);
            connection.call(&self.buffer, due)?;
            self.made += 1;
        }
        if over && self.idle.len() == self.connections.open.len() {
            self.outcome.wall = self.started.elapsed();
            return Ok(false);
        }
        ensure!(
            now.duration_since(self.heard) < PATIENCE,
            "no answer within {PATIENCE:?}"
        );
        let Connections { poll, events, open } = &mut *self.connections;
        poll.poll(events, Some(Duration::ZERO))?;
        for event in &*events {
            let number = event.token().0;
            let connection = open.get_mut(number).context("a connection")?;
            if let Some((status, latency)) = connection.take()? {
                let expected = self.calls.status(number, connection.turn - 1);
                ensure!(status == expected, "answered {status} for {expected}");
                self.heard = now;
                self.outcome.not_ok += usize::from(status != 200);
                self.outcome.latencies.push(latency);
                self.idle.push(number);
            }
        }
        Ok(true)
    }

    /// Steps to the end.
    ///
    /// # Errors
    /// As [`Run::step`].
    pub fn finish(mut self) -> Result<Outcome> {
        while self.step()? {}
        Ok(self.outcome)
    }

    /// What came of it, once [`Run::step`] has said that it is over.
    #[must_use]
    pub fn outcome(self) -> Outcome {
        self.outcome
    }

    fn next_due(&self, now: Instant) -> Option<Instant> {
        match self.pace {
            Pace::Closed => Some(now),
            Pace::Open(Rate(per_second)) => {
                let due = self.started + Duration::from_secs_f64(self.made as f64 / per_second);
                (due <= now).then_some(due)
            }
        }
    }
}

impl Connection {
    fn call(&mut self, bytes: &[u8], due: Instant) -> Result<()> {
        let written = self.stream.write(bytes)?;
        ensure!(
            written == bytes.len(),
            "the system took {written} of {} bytes",
            bytes.len()
        );
        self.turn += 1;
        self.due = Some(due);
        Ok(())
    }

    /// Reads what there is; status and latency once the answer is whole.
    fn take(&mut self) -> Result<Option<(u16, Duration)>> {
        let mut part = [0; 2048];
        loop {
            match self.stream.read(&mut part) {
                Ok(0) => bail!("the server closed a connection"),
                Ok(read) => self
                    .answer
                    .extend_from_slice(part.get(..read).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error.into()),
            }
            if let Some(answer) = whole(&self.answer)? {
                ensure!(
                    self.answer.len() == answer.length,
                    "more bytes than an answer"
                );
                self.answer.clear();
                let latency = self.due.take().context("an answer that nobody asked for")?;
                return Ok(Some((answer.status, latency.elapsed())));
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    length: usize,
}

/// The answer that `bytes` begins with, once it is all there.
fn whole(bytes: &[u8]) -> Result<Option<Answer>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(bytes.get(..end).unwrap_or_default())?;
    let status = head
        .strip_prefix("HTTP/1.1 ")
        .and_then(|line| line.get(..3))
        .and_then(|status| status.parse().ok())
        .with_context(|| format!("answered {head:?}"))?;
    let length = head
        .split("\r\n")
        .find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length
        .with_context(|| format!("no content-length in {head:?}"))?
        .parse()?;
    let length = end + 4 + length;
    Ok((bytes.len() >= length).then_some(Answer { status, length }))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn an_answer_is_whole_with_the_last_byte_of_its_body() -> Result<()> {
        let bytes = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 3\r\n\r\nno\n";
        for length in 0..bytes.len() {
            assert_eq!(whole(&bytes[..length])?, None, "{length} bytes");
        }
        let answer = Answer {
            status: 403,
            length: bytes.len(),
        };
        assert_eq!(whole(bytes)?, Some(answer));
        Ok(())
    }

    #[test]
    fn an_answer_without_a_length_ends_the_run() {
        assert!(whole(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }

    #[test]
    fn a_rate_that_cannot_be_kept_is_refused() {
        for calls in [0.0, -1.0, 0.5, f64::NAN, f64::INFINITY] {
            assert!(Rate::per_second(calls).is_err(), "{calls}");
        }
        assert!(Rate::per_second(1.0).is_ok());
    }

    #[test]
    fn a_run_whose_time_is_over_before_it_begins_still_has_an_answer() -> Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let server = listener.local_addr()?;
        let answering = std::thread::spawn(move || -> Result<()> {
            let (mut stream, _) = listener.accept()?;
            stream.read_exact(&mut [0; 4])?;
            Ok(stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?)
        });
        let mut connections = Connections::open(server, 1)?;
        let pace = Pace::Open(Rate::per_second(1.0)?);
        let run = connections.start(&Ping, pace, Duration::ZERO);
        let outcome = run.finish()?;
        assert_eq!(outcome.latencies.len(), 1);
        answering.join().expect("no panic")
    }

    #[test]
    fn a_percentile_is_the_latency_that_this_part_of_the_calls_stays_within() {
        let outcome = Outcome {
            latencies: (1..=100).rev().map(Duration::from_micros).collect(),
            ..Outcome::default()
        };
        assert_eq!(outcome.percentile_us(0.99), 100.0);
        assert_eq!(outcome.percentile_us(0.5), 51.0);
    }

    struct Ping;

    impl Calls for Ping {
        fn write(&self, _connection: usize, _turn: usize, out: &mut Vec<u8>) {
            out.clear();
            out.extend_from_slice(b"ping");
        }
    }
}
