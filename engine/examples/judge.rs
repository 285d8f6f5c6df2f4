//! Who of recorded traffic is listed, at which request, and why: `judge [whole|first|second]` with `ASE_TRAFFIC` set to its folder.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "it prints a table"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use support::recorded::{self, Part};

fn main() {
    let Some(folder) = recorded::folder() else {
        println!("ASE_TRAFFIC is unset: there is nothing to judge");
        return;
    };
    let part = match std::env::args().nth(1).as_deref() {
        Some("first") => Part::First,
        Some("second") => Part::Second,
        Some(_) | None => Part::Whole,
    };
    let labels = recorded::labels(&folder.join("internet-facing-server-2024.labels.csv"));
    for name in [
        "internet-facing-server-2024",
        "scanner-netsparker-2016",
        "public-site-2015",
    ] {
        let lines = recorded::lines(&folder.join(format!("{name}.access.log")), part);
        let clients = recorded::play(&lines);
        println!(
            "{name}: {} requests, {} clients",
            lines.len(),
            clients.len()
        );
        for (address, client) in &clients {
            let label = labels.get(address).filter(|_| name.starts_with("internet"));
            let label = label.map_or_else(String::new, |label| {
                format!("{} {}", label.label, label.kind)
            });
            match &client.listed {
                Some((at, reason)) => println!(
                    "  LISTED {address} {label}: {at} of {} requests, {reason}",
                    client.requests
                ),
                None if label.starts_with("attack") || label.starts_with("benign") => {
                    println!("  passed {address} {label}: {} requests", client.requests);
                }
                None => {}
            }
        }
    }
}
