//! A steady load: requests leave at their time whether or not earlier ones have been answered.
//!
//! Bounded in rate and time by its plan. Every request is accounted for; nothing is retried.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};

use crate::raw_client::{Bytes, Client};

/// Connections; each sends its share of the rate, so a request may take this many periods before it delays the next.
const CONNECTIONS: u32 = 100;

/// What to send.
#[derive(Clone, Debug)]
pub struct LoadPlan {
    /// The gateway.
    pub gateway: SocketAddr,
    /// When it begins; times are told from here.
    pub start: Instant,
    /// Requests per second over all connections.
    pub per_second: u32,
    /// How long.
    pub duration: Duration,
    /// The client addresses that take turns, sent as `x-forwarded-for`.
    pub clients: Vec<String>,
}

/// What became of one request.
#[derive(Clone, Debug)]
pub struct Sent {
    /// When it left, since the start.
    pub at: Duration,
    /// The client address that it carried.
    pub client: String,
    /// The status, or why there was no reply.
    pub status: Result<u16, String>,
    /// From leaving to the whole reply.
    pub took: Duration,
}

/// Sends the load and returns every request in the order of leaving.
///
/// # Errors
/// When a sender itself breaks; a request without a reply is no error here.
pub fn run(plan: &LoadPlan) -> Result<Vec<Sent>> {
    let senders: Vec<_> = (0..CONNECTIONS)
        .map(|number| {
            let plan = plan.clone();
            thread::spawn(move || send_share(&plan, number))
        })
        .collect();
    let mut all = Vec::new();
    for sender in senders {
        all.extend(sender.join().map_err(|_| anyhow!("a sender panicked"))?);
    }
    all.sort_by_key(|sent| sent.at);
    Ok(all)
}

fn send_share(plan: &LoadPlan, number: u32) -> Vec<Sent> {
    let period = Duration::from_secs(1) * CONNECTIONS / plan.per_second;
    let mut leaves = period * number / CONNECTIONS;
    let mut clients = plan
        .clients
        .iter()
        .cycle()
        .skip(usize::try_from(number).unwrap_or(0));
    let mut connection = None;
    let mut all = Vec::new();
    while leaves < plan.duration {
        thread::sleep(leaves.saturating_sub(plan.start.elapsed()));
        leaves += period;
        let Some(client) = clients.next() else {
            break;
        };
        let at = plan.start.elapsed();
        let status = exchange(&mut connection, plan.gateway, client);
        if status.is_err() {
            connection = None;
        }
        all.push(Sent {
            at,
            client: client.clone(),
            status: status.map_err(|error| format!("{error:#}")),
            took: plan.start.elapsed().saturating_sub(at),
        });
    }
    all
}

fn exchange(connection: &mut Option<Client>, gateway: SocketAddr, client: &str) -> Result<u16> {
    if connection.is_none() {
        *connection = Some(Client::connect(gateway)?);
    }
    let connected = connection.as_mut().context("not connected")?;
    let request =
        format!("GET /load HTTP/1.1\r\nhost: load.example\r\nx-forwarded-for: {client}\r\n\r\n");
    connected.send(&Bytes {
        method: "GET".to_owned(),
        pieces: vec![request.into_bytes()],
    })?;
    Ok(connected.reply("GET", None)?.status)
}
