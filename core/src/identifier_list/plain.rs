//! A list as plain text: one address or network a line.

use thiserror::Error;

use crate::address::{Network, NetworkError};

/// What a plain attack list holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlainList {
    /// The networks of the good lines, in order; a network that stands twice is here twice.
    pub networks: Vec<Network>,
    /// The bad lines, in order.
    pub faults: Vec<LineFault>,
}

/// A line of a plain attack list that names no network.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}: {fault}")]
pub struct LineFault {
    /// The number of the line, 1 first.
    pub line: usize,
    /// What is wrong with it.
    pub fault: NetworkError,
}

/// Reads a plain attack list: one address or network a line, in the first column; further columns (after blanks or tabs), blank lines and what follows a `#` are ignored.
///
/// A bad line is a fault and takes nothing else down.
#[must_use]
pub fn parse_plain(text: &str) -> PlainList {
    let mut list = PlainList::default();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (number, line) in (1_usize..).zip(text.lines()) {
        let content = line.split('#').next().unwrap_or_default();
        let Some(column) = content.split_ascii_whitespace().next() else {
            continue;
        };
        match Network::parse(column) {
            Ok(network) => list.networks.push(network),
            Err(fault) => list.faults.push(LineFault {
                line: number,
                fault,
            }),
        }
    }
    list
}
