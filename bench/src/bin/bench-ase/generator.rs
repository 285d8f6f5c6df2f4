//! The load generator: one thread that never sleeps, readiness by epoll, prepared bytes, no allocation per call.
//!
//! One call is under way per connection. A status other than 200, a short write or a closed connection ends the run with an error: a ratio over failed calls
//! would mean nothing.

use std::io::{ErrorKind, Read as _, Write as _};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::server::Server;
use crate::workload::Workload;

/// Longest silence of a server.
const PATIENCE: Duration = Duration::from_secs(10);

/// When calls are made.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// Each connection calls as soon as it has its answer.
    Closed,
    /// At fixed times, whether or not earlier calls were answered; latency counts from the due time.
    Open { per_second: f64 },
}

/// What came of a run.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    latencies: Vec<Duration>,
    wall: Duration,
    cpu: Duration,
}

struct Connection {
    stream: TcpStream,
    turn: usize,
    due: Option<Instant>,
    answer: Vec<u8>,
}

impl Outcome {
    /// Several runs as one.
    pub(crate) fn together(runs: Vec<Self>) -> Self {
        runs.into_iter().fold(Self::default(), |mut all, run| {
            all.latencies.extend(run.latencies);
            all.wall += run.wall;
            all.cpu += run.cpu;
            all
        })
    }

    /// Calls per second.
    pub(crate) fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.wall.as_secs_f64()
    }

    /// CPU time of the server per call, in microseconds.
    pub(crate) fn cpu_us(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.latencies.len() as f64
    }

    /// How much of one core the server used.
    pub(crate) fn busy(&self) -> f64 {
        self.cpu.as_secs_f64() / self.wall.as_secs_f64()
    }

    /// The latency that this part of the calls stays within, in microseconds.
    pub(crate) fn percentile_us(&self, part: f64) -> f64 {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        let index = (sorted.len() as f64 * part) as usize;
        let found = sorted.get(index.min(sorted.len().saturating_sub(1)));
        found.map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e6)
    }
}

/// Calls for `length` and waits for the last answers.
pub(crate) fn run(
    server: &Server,
    workload: &Workload,
    pace: Pace,
    length: Duration,
    connections: usize,
) -> Result<Outcome> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(connections);
    let mut open = connect(server, &poll, connections)?;
    let mut idle: Vec<usize> = (0..open.len()).rev().collect();
    let mut buffer = Vec::with_capacity(4096);
    let mut latencies = Vec::with_capacity(1 << 20);
    let (cpu, started) = (server.cpu()?, Instant::now());
    let mut made = 0_u64;
    let mut heard = started;
    loop {
        let now = Instant::now();
        let over = now.duration_since(started) >= length;
        while !over && let Some(due) = next_due(pace, started, made, now) {
            let Some(number) = idle.pop() else { break };
            let connection = open.get_mut(number).context("a connection")?;
            workload.write(number, connection.turn, &mut buffer);
            connection.call(&buffer, due)?;
            made += 1;
        }
        if over && idle.len() == open.len() {
            break;
        }
        ensure!(
            now.duration_since(heard) < PATIENCE,
            "no answer within {PATIENCE:?}"
        );
        // It never sleeps: to wake it would cost the server under load more than an answer, and the slower server more often.
        poll.poll(&mut events, Some(Duration::ZERO))?;
        for event in &events {
            let number = event.token().0;
            let connection = open.get_mut(number).context("a connection")?;
            if let Some(latency) = connection.take()? {
                heard = now;
                latencies.push(latency);
                idle.push(number);
            }
        }
    }
    let wall = started.elapsed();
    Ok(Outcome {
        latencies,
        wall,
        cpu: server.cpu()?.saturating_sub(cpu),
    })
}

fn next_due(pace: Pace, started: Instant, made: u64, now: Instant) -> Option<Instant> {
    match pace {
        Pace::Closed => Some(now),
        Pace::Open { per_second } => {
            let due = started + Duration::from_secs_f64(made as f64 / per_second);
            (due <= now).then_some(due)
        }
    }
}

fn connect(server: &Server, poll: &Poll, connections: usize) -> Result<Vec<Connection>> {
    let mut open = Vec::with_capacity(connections);
    for number in 0..connections {
        let stream = std::net::TcpStream::connect(server.address)?;
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
    Ok(open)
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

    /// Reads what there is; the latency once the answer is whole.
    fn take(&mut self) -> Result<Option<Duration>> {
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
            if let Some(length) = whole(&self.answer)? {
                ensure!(self.answer.len() == length, "more bytes than an answer");
                self.answer.clear();
                return Ok(self.due.take().map(|due| due.elapsed()));
            }
        }
    }
}

/// The length of the answer that `bytes` begins with, once it is all there.
fn whole(bytes: &[u8]) -> Result<Option<usize>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(bytes.get(..end).unwrap_or_default())?;
    ensure!(head.starts_with("HTTP/1.1 200 "), "answered {head:?}");
    let length = head
        .split("\r\n")
        .find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.context("no content-length")?.parse()?;
    let total = end + 4 + length;
    Ok((bytes.len() >= total).then_some(total))
}
