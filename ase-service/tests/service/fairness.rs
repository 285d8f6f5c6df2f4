//! Gateways that send much do not keep operators waiting.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use crate::harness::{Connection, prepared, record, wait_for};
use crate::processes::serve;

/// Batches that are on their way at the same time; more than the daemon has threads off the request path.
const BATCHES: usize = 40;
/// Lines of each: a tenth of a second of reading.
const LINES: usize = 250;

#[test]
fn a_list_change_does_not_wait_behind_slow_batches() {
    let folder = prepared("");
    let process = serve(folder.path());
    let secret = std::fs::read_to_string(folder.path().join("state/admin.secret")).unwrap();
    let headers = [
        ("x-ase-access-key", "admin"),
        ("x-ase-secret-key", secret.trim()),
    ];
    let ended = AtomicUsize::new(0);
    let ready = Barrier::new(BATCHES);
    let waited = std::thread::scope(|scope| {
        for number in 0..BATCHES {
            let (ended, data) = (&ended, process.data);
            let ready = &ready;
            scope.spawn(move || {
                // One record, over and over: all lines are read, one is kept.
                let line = record(&format!("r-{number}"), "192.0.2.1", "/shop").to_string();
                let batch = format!("{line}\n").repeat(LINES);
                let (most, last) = batch.split_at(batch.len() - 1);
                let length = batch.len();
                let mut connection = Connection::to(data);
                let head = format!(
                    "POST /ase/batch HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
                );
                connection.send(head.as_bytes());
                connection.send(most.as_bytes());
                // All of them are whole at the same moment, so that they stand in a queue.
                ready.wait();
                connection.send(last.as_bytes());
                let reply = connection.reply();
                assert_eq!(reply.status, 200, "{}", reply.body);
                ended.fetch_add(1, Ordering::SeqCst);
            });
        }
        let before = wait_for("the first batch", || {
            let ended = ended.load(Ordering::SeqCst);
            (ended > 0).then_some(ended)
        });
        let body = json!({"type": "ip", "value": "203.0.113.7"}).to_string();
        let reply =
            Connection::to(process.admin).call("POST", "/v1/deny", &headers, body.as_bytes());
        assert_eq!(reply.status, 201);
        ended.load(Ordering::SeqCst) - before
    });
    // Those that are read at this moment may end before; without a place of its own the change would come after 24.
    assert!(waited < 16, "{waited} batches came before the change");
}
