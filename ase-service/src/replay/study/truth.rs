//! What the clients of a log really are, by somebody who has read it, and how well the engine's verdicts agree.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use ase_core::address::ClientAddress;
use serde_json::{Value, json};

use super::Client;

/// The quantile of the normal distribution for intervals of 95 %.
const Z: f64 = 1.96;
/// Most faults that are told of one file.
const MAX_FAULTS: usize = 20;

/// What a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Label {
    Attack,
    Benign,
    /// Nobody can say: left out.
    Grey,
}

impl Label {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "attack" => Some(Self::Attack),
            "benign" => Some(Self::Benign),
            "grey" => Some(Self::Grey),
            _ => None,
        }
    }
}

/// The labels of a log's clients.
#[derive(Debug)]
pub(super) struct Truth(BTreeMap<ClientAddress, Label>);

/// How the verdicts agree with the labels.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Score {
    /// Attackers by how many requests they made: one, two to four, more; each listed and all.
    pub(super) attackers: [(u64, u64); 3],
    /// Benign clients, listed and all.
    pub(super) benign: (u64, u64),
    /// At which of its requests each listed attacker was listed.
    pub(super) let_through: Vec<u64>,
    /// Attackers that were not listed, with their requests.
    pub(super) missed: Vec<(ClientAddress, u64)>,
    /// Benign clients that were listed, with the reason.
    pub(super) false_alarms: Vec<(ClientAddress, String)>,
    /// Labelled clients that the log does not have.
    pub(super) absent: usize,
}

/// The names of [`Score::attackers`].
const SIZES: [&str; 3] = ["1 request", "2 to 4 requests", "5 requests or more"];

impl Truth {
    /// Reads a CSV file with the columns `ip` and `label` (`attack`, `benign`, `grey`).
    ///
    /// # Errors
    /// When it cannot be read, or with every line that breaks a rule.
    pub(super) fn read(path: &Path) -> io::Result<Self> {
        Self::parse(&fs::read_to_string(path)?).map_err(io::Error::other)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut lines = text.lines();
        let head: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
        let column = |name: &str| {
            let found = head.iter().position(|column| column.trim() == name);
            found.ok_or_else(|| format!("line 1: has no column {name}"))
        };
        let (ip, label) = (column("ip")?, column("label")?);
        let (mut labels, mut faults) = (BTreeMap::new(), Vec::new());
        for (number, line) in (2..).zip(lines).filter(|(_, line)| !line.trim().is_empty()) {
            let cells: Vec<&str> = line.split(',').map(str::trim).collect();
            let cell = |column: usize| cells.get(column).copied().unwrap_or_default();
            match (ClientAddress::parse(cell(ip)), Label::parse(cell(label))) {
                (Ok(client), Some(label)) => drop(labels.insert(client, label)),
                (Err(_), _) => {
                    faults.push(format!("line {number}: {:?} is not an address", cell(ip)));
                }
                (Ok(_), None) => {
                    let found = cell(label);
                    let fault = format!("{found:?} is none of attack, benign and grey");
                    faults.push(format!("line {number}: {fault}"));
                }
            }
        }
        if faults.is_empty() {
            return Ok(Self(labels));
        }
        let more = faults.len().saturating_sub(MAX_FAULTS);
        faults.truncate(MAX_FAULTS);
        if more > 0 {
            faults.push(format!("and {more} more lines"));
        }
        Err(faults.join("; "))
    }

    /// Compares verdicts with the labels; clients without one are left out, and so are grey ones.
    pub(super) fn score(&self, clients: &BTreeMap<ClientAddress, Client>) -> Score {
        let absent = self.0.keys().filter(|of| !clients.contains_key(of)).count();
        let mut score = Score {
            absent,
            ..Score::default()
        };
        for (address, client) in clients {
            match self.0.get(address) {
                Some(Label::Benign) => score.benign(*address, client),
                Some(Label::Attack) => score.attacker(*address, client),
                Some(Label::Grey) | None => {}
            }
        }
        score.let_through.sort_unstable();
        score
    }
}

impl Score {
    fn benign(&mut self, address: ClientAddress, client: &Client) {
        let (listed, all) = &mut self.benign;
        *all += 1;
        if let Some(flag) = &client.listed {
            *listed += 1;
            self.false_alarms.push((address, flag.reason.clone()));
        }
    }

    fn attacker(&mut self, address: ClientAddress, client: &Client) {
        let [single, few, many] = &mut self.attackers;
        let (listed, all) = match client.requests {
            0 | 1 => single,
            2..=4 => few,
            5.. => many,
        };
        *all += 1;
        match &client.listed {
            Some(flag) => {
                *listed += 1;
                self.let_through.push(flag.at_request);
            }
            None => self.missed.push((address, client.requests)),
        }
    }

    fn found(&self) -> (u64, u64) {
        let add = |sum: (u64, u64), of: &(u64, u64)| (sum.0 + of.0, sum.1 + of.1);
        self.attackers.iter().fold((0, 0), add)
    }

    fn parts(&self) -> [(&'static str, (u64, u64)); 2] {
        let (found, attackers) = self.found();
        let listed = found + self.benign.0;
        [
            ("precision", (found, listed)),
            ("recall", (found, attackers)),
        ]
    }

    fn false_per_thousand(&self) -> Option<f64> {
        let (listed, all) = self.benign;
        (all > 0).then(|| real(listed) * 1000.0 / real(all))
    }

    /// At which request half of the listed attackers were listed, and the last of them.
    fn let_through(&self) -> Option<(u64, u64)> {
        let median = self.let_through.get(self.let_through.len() / 2)?;
        Some((*median, *self.let_through.last()?))
    }

    pub(super) fn to_json(&self) -> Value {
        let part = |(part, all): (u64, u64)| {
            let (low, high) = wilson(part, all);
            json!({"of": all, "count": part, "share": ratio(part, all), "low": low, "high": high})
        };
        let [(_, precision), (_, recall)] = self.parts();
        let [single, few, many] = self.attackers.map(part);
        let missed = self
            .missed
            .iter()
            .map(|(client, requests)| json!({"client": client.to_string(), "requests": requests}));
        let false_alarms = self
            .false_alarms
            .iter()
            .map(|(client, reason)| json!({"client": client.to_string(), "reason": reason}));
        json!({
            "missed": missed.collect::<Vec<_>>(), "false_alarms": false_alarms.collect::<Vec<_>>(), "absent": self.absent,
            "precision": part(precision), "recall": part(recall),
            "attackers": {"1": single, "2-4": few, "5+": many},
            "benign": part(self.benign), "false_positives_per_1000": self.false_per_thousand(),
            "let_through": self.let_through().map(|(median, most)| json!({"median": median, "most": most})),
        })
    }

    pub(super) fn lines(&self) -> Vec<String> {
        let percent = |share: f64| (share * 1000.0).round() / 10.0;
        let line = |(name, (part, all)): (&str, (u64, u64))| {
            let Some(share) = ratio(part, all).map(percent) else {
                return format!("{name}: none to count");
            };
            let (low, high) = wilson(part, all);
            let (low, high) = (percent(low), percent(high));
            format!("{name}: {part} of {all} ({share} %, 95 % interval {low} to {high} %)")
        };
        let missed = self
            .missed
            .iter()
            .map(|(client, requests)| format!("missed\t{client}\t{requests} requests"));
        let false_alarms = self.false_alarms.iter();
        let false_alarms =
            false_alarms.map(|(client, reason)| format!("false alarm\t{client}\t{reason}"));
        let mut lines: Vec<String> = missed.chain(false_alarms).collect();
        if self.absent > 0 {
            lines.push(format!(
                "{} labelled clients are not in the log",
                self.absent
            ));
        }
        lines.extend(self.parts().map(line));
        lines.extend(SIZES.into_iter().zip(self.attackers).map(|(size, of)| {
            let name = format!("attackers with {size}");
            line((&name, of))
        }));
        lines.push(line(("benign clients listed", self.benign)));
        if let Some(rate) = self.false_per_thousand() {
            lines.push(format!(
                "false positives per 1,000 benign clients: {rate:.1}"
            ));
        }
        if let Some((median, most)) = self.let_through() {
            lines.push(format!(
                "requests let through before the block: median {median}, most {most}"
            ));
        }
        lines
    }
}

fn ratio(part: u64, all: u64) -> Option<f64> {
    (all > 0).then(|| real(part) / real(all))
}

/// Counts of clients are far below where floating point has gaps.
fn real(count: u64) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}

/// The score interval of a share (E. B. Wilson, 1927): between nothing and everything when there is nothing.
fn wilson(part: u64, all: u64) -> (f64, f64) {
    if all == 0 {
        return (0.0, 1.0);
    }
    let (share, number) = (real(part) / real(all), real(all));
    let middle = share + Z * Z / (2.0 * number);
    let spread = Z * ((share * (1.0 - share) + Z * Z / (4.0 * number)) / number).sqrt();
    let scale = 1.0 + Z * Z / number;
    let bounded = |bound: f64| (bound / scale).clamp(0.0, 1.0);
    (bounded(middle - spread), bounded(middle + spread))
}

#[cfg(test)]
mod tests {
    use super::super::Flag;
    use super::*;

    #[test]
    fn the_interval_is_that_of_the_textbook() {
        let (low, high) = wilson(13, 13);
        assert!((low - 0.7719).abs() < 0.0005 && (high - 1.0).abs() < 1e-9);
        let (low, high) = wilson(81, 263);
        assert!((low - 0.2553).abs() < 0.0005 && (high - 0.3662).abs() < 0.0005);
        assert_eq!(wilson(0, 0), (0.0, 1.0));
    }

    #[test]
    fn labels_of_clients_that_are_not_in_the_log_give_no_share() {
        let truth = Truth::parse("ip,requests,label,kind\n192.0.2.1,9,attack,x\n").unwrap();
        let lines = truth.score(&BTreeMap::new()).lines().join("\n");
        assert!(lines.contains("precision: none to count"), "{lines}");
        assert!(!lines.contains("NaN"), "{lines}");
    }

    #[test]
    fn verdicts_are_counted_by_label_and_grey_ones_are_left_out() {
        let truth = "ip,requests,label,kind\n192.0.2.1,9,attack,x\n192.0.2.2,3,attack,x\n192.0.2.3,9,benign,\n192.0.2.4,9,grey,\n192.0.2.9,9,benign,\n";
        let truth = Truth::parse(truth).unwrap();
        let client = |requests, at: Option<u64>| Client {
            requests,
            listed: at.map(|at_request| Flag {
                at_request,
                attack: "probing".to_owned(),
                reason: String::new(),
            }),
            ..Client::default()
        };
        let clients = [
            (1, client(9, Some(4))),
            (2, client(3, None)),
            (3, client(9, Some(2))),
            (4, client(9, Some(1))),
            (5, client(9, Some(1))),
        ];
        let address = |last: i32| ClientAddress::parse(&format!("192.0.2.{last}")).unwrap();
        let clients = clients.map(|(last, client)| (address(last), client));
        let score = truth.score(&BTreeMap::from(clients));
        assert_eq!(score.attackers, [(0, 0), (0, 1), (1, 1)]);
        assert_eq!((score.benign, &*score.let_through), ((1, 1), &[4][..]));
        let [(_, precision), (_, recall)] = score.parts();
        assert_eq!((precision, recall), ((1, 2), (1, 2)));
        assert_eq!(score.missed, [(address(2), 3)]);
        assert_eq!(score.false_alarms, [(address(3), String::new())]);
        assert_eq!(score.absent, 1);
    }

    #[test]
    fn every_line_of_another_form_is_named() {
        for (text, fault) in [
            ("address,label\n", "line 1: has no column ip"),
            (
                "ip,label\nx,attack\n192.0.2.2,grey\n192.0.2.1,bad\n",
                "line 2: \"x\" is not an address; line 4: \"bad\" is none of attack, benign and grey",
            ),
        ] {
            assert_eq!(Truth::parse(text).unwrap_err(), fault);
        }
    }
}
