//! Batches of records, as our filter sends them: what a record costs the daemon from the socket to the log and the engine.

use std::cell::Cell;

use anyhow::Result;
use ase_bench::load::{Calls, Outcome, Pace};
use ase_bench::statistics::{median, spread};

use crate::server::Server;
use crate::workload::question_body;
use crate::{ROUND, lost};

/// Records of one batch: a filter under some load sends about as many every 50 ms.
const RECORDS: u32 = 32;
/// Different batches.
const VARIANTS: u32 = 256;
/// Digits of the part of an id that differs.
const ID_DIGITS: usize = 16;

/// Batches in turn; no record comes twice.
struct Batches {
    calls: Vec<Batch>,
    minted: Cell<u64>,
}

struct Batch {
    bytes: Vec<u8>,
    /// Where the ids stand.
    ids_at: Vec<usize>,
}

/// Prints how many records a second the daemon takes, and its CPU time for one.
pub(crate) fn report(rounds: usize, ase: &Server) -> Result<()> {
    let batches = Batches {
        calls: (0..VARIANTS).map(batch).collect(),
        minted: Cell::new(0),
    };
    // The first round warms caches and connections.
    ase.run(&batches, Pace::Closed, ROUND)?;
    let rounds = (0..rounds).map(|_| ase.run(&batches, Pace::Closed, ROUND));
    let rounds: Vec<Outcome> = rounds.collect::<Result<_>>()?;
    let records = f64::from(RECORDS);
    let rates: Vec<f64> = rounds.iter().map(|run| run.rate() * records).collect();
    let costs: Vec<f64> = rounds.iter().map(|run| run.cpu_us() / records).collect();
    println!(
        "batches   records    ase {:8.0}/s {}   CPU/record {:.2} us {}",
        median(&rates),
        spread(&rates),
        median(&costs),
        spread(&costs)
    );
    lost("batches", ase)
}

impl Calls for Batches {
    fn write(&self, connection: usize, turn: usize, out: &mut Vec<u8>) {
        out.clear();
        let Some(batch) = self.calls.get((connection * 8 + turn) % self.calls.len()) else {
            return;
        };
        out.extend_from_slice(&batch.bytes);
        for at in &batch.ids_at {
            let id = format!(
                "{:0ID_DIGITS$x}",
                self.minted.replace(self.minted.get() + 1)
            );
            if let Some(place) = out.get_mut(*at..at + ID_DIGITS) {
                place.copy_from_slice(id.as_bytes());
            }
        }
    }
}

fn batch(number: u32) -> Batch {
    let (mut body, mut ids_at) = (String::new(), Vec::new());
    for record in number * RECORDS..(number + 1) * RECORDS {
        body.push_str("{\"id\":\"");
        ids_at.push(body.len());
        body.push_str(&"0".repeat(ID_DIGITS));
        body.push_str(&format!(
            r#"","started_ms":1763771712345,"duration_us":12345,"mode":"async","decision":"async","end":"upstream","request":{},"response":{{"response_code":200,"headers":[{{"content-type":"application/json"}},{{"content-length":"512"}},{{"server":"shop"}}]}}}}"#,
            question_body(record)
        ));
        body.push('\n');
    }
    let head = format!(
        "POST /ase/batch HTTP/1.1\r\nHost: ASE\r\nContent-Type: application/x-ndjson\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    ids_at.iter_mut().for_each(|at| *at += head.len());
    Batch {
        bytes: (head + &body).into_bytes(),
        ids_at,
    }
}
