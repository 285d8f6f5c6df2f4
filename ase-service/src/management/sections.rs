//! A list in order, by sections for where its entries come from: `{"manual":[…],"decoy":[…]}`, as it is when the call comes.

use std::sync::Arc;

use ase_core::decision::Snapshot;
use ase_core::identifier_list::{ListedIdentifier, Rest, Sources};
use ase_core::time::UnixMillis;

use super::documents::{PIECE, Pieces};
use super::lists::entry_json;
use crate::lists::list_of;
use crate::state::ListName;

/// The entries that have not expired, as one JSON object.
pub(super) struct Sections {
    snapshot: Arc<Snapshot>,
    list: ListName,
    /// Entries that have expired by then are left out.
    now: UnixMillis,
    head: Head,
    sections: Vec<(&'static str, Sources)>,
    /// What is still to be written, by number of its section; none before the first piece.
    rest: Option<std::vec::IntoIter<(usize, ListedIdentifier)>>,
    /// How many sections have begun, and whether the last of them is empty so far.
    begun: usize,
    empty: bool,
}

/// What the object begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// Its first section.
    Bare,
    /// `"status":"success"`.
    Success,
}

impl Sections {
    /// Of one list; an entry stands in each section whose sources include its own.
    pub(super) fn new(
        (snapshot, list): (Arc<Snapshot>, ListName),
        (head, sections): (Head, Vec<(&'static str, Sources)>),
        now: UnixMillis,
    ) -> Self {
        Self {
            snapshot,
            list,
            now,
            head,
            sections,
            rest: None,
            begun: 0,
            empty: true,
        }
    }

    /// Who stands in which section. Names alone are gathered: entries of a million clients take ten times as much.
    fn in_order(&self) -> Vec<(usize, ListedIdentifier)> {
        let mut all = Vec::new();
        for (identifier, entry) in list_of(&self.snapshot, self.list).iter() {
            if entry.is_expired(self.now) {
                continue;
            }
            let sections = self.sections.iter().enumerate();
            let holding = sections.filter(|(_, (_, sources))| sources.include(entry.source));
            all.extend(holding.map(|(number, _)| (number, identifier)));
        }
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Ends and begins sections until so many have begun.
    fn begin_sections(&mut self, out: &mut String, wanted: usize) {
        while self.begun < wanted {
            let Some((name, _)) = self.sections.get(self.begun) else {
                return;
            };
            if self.begun > 0 {
                out.push_str("],");
            }
            out.push('"');
            out.push_str(name);
            out.push_str("\":[");
            self.begun += 1;
            self.empty = true;
        }
    }

    fn write_entries(&mut self, out: &mut String, number: usize, identifier: &ListedIdentifier) {
        self.begin_sections(out, number + 1);
        let Some((_, sources)) = self.sections.get(number) else {
            return;
        };
        for entry in list_of(&self.snapshot, self.list).entries_of(identifier) {
            if entry.is_expired(self.now) || !sources.include(entry.source) {
                continue;
            }
            if !self.empty {
                out.push(',');
            }
            self.empty = false;
            out.push_str(&entry_json(identifier, &entry.to_entry()).to_string());
        }
    }
}

impl Pieces for Sections {
    fn media_type(&self) -> &'static str {
        "application/json"
    }

    fn next(&mut self) -> (String, Rest) {
        let mut text = String::new();
        let mut rest = self.rest.take().unwrap_or_else(|| {
            text.push_str(match self.head {
                Head::Bare => "{",
                Head::Success => "{\"status\":\"success\",",
            });
            self.in_order().into_iter()
        });
        for (number, identifier) in rest.by_ref() {
            self.write_entries(&mut text, number, &identifier);
            if text.len() >= PIECE {
                self.rest = Some(rest);
                return (text, Rest::More);
            }
        }
        self.begin_sections(&mut text, self.sections.len());
        text.push_str("]}\n");
        (text, Rest::Done)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use ase_core::address::ClientAddress;
    use ase_core::identifier_list::{Entry, Rule, Source};
    use serde_json::Value;

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_000);

    fn listed(bits: u32) -> ListedIdentifier {
        let address = ClientAddress::from(IpAddr::V4(Ipv4Addr::from_bits(bits)));
        ListedIdentifier::Network(address.prefixed(32))
    }

    fn told(
        snapshot: Snapshot,
        head: Head,
        sections: Vec<(&'static str, Sources)>,
    ) -> (Value, usize) {
        let list = (Arc::new(snapshot), ListName::Deny);
        let mut sections = Sections::new(list, (head, sections), NOW);
        let (mut whole, mut pieces) = (String::new(), 0);
        loop {
            let (text, rest) = sections.next();
            assert!(text.len() < 2 * PIECE);
            whole.push_str(&text);
            pieces += 1;
            if rest == Rest::Done {
                return (serde_json::from_str(&whole).unwrap(), pieces);
            }
        }
    }

    fn values(entries: &Value) -> Vec<&str> {
        let entries = entries.as_array().unwrap().iter();
        entries
            .map(|entry| entry["value"].as_str().unwrap())
            .collect()
    }

    #[test]
    fn a_long_list_comes_whole_and_in_order_in_pieces_of_bounded_size() {
        let mut snapshot = Snapshot::default();
        for bits in 0..3_000 {
            let entry = Entry::everywhere(Source::Manual, "a reason", NOW);
            snapshot.attack.insert(listed(bits), entry);
        }
        let (told, pieces) = told(snapshot, Head::Bare, vec![("entries", Sources::All)]);
        let addresses = (0..3_000).map(|bits| Ipv4Addr::from_bits(bits).to_string());
        assert_eq!(values(&told["entries"]), addresses.collect::<Vec<_>>());
        assert!(pieces > 5, "{pieces} pieces");
    }

    #[test]
    fn entries_stand_under_where_they_come_from_and_expired_ones_nowhere() {
        let decoy = Source::RealTime(Rule::Decoy);
        let mut snapshot = Snapshot::default();
        for (bits, source, expires) in [
            (2, Source::Engine, None),
            (1, Source::Manual, None),
            (1, Source::Engine, Some(UnixMillis(1_001))),
            (3, Source::Engine, Some(NOW)),
            (4, Source::File, None),
        ] {
            let entry = Entry::everywhere(source, "", NOW);
            snapshot
                .attack
                .insert(listed(bits), Entry { expires, ..entry });
        }
        let sections = [
            ("manual", Source::Manual),
            ("decoy", decoy),
            ("abs_generated", Source::Engine),
            ("token_missing", Source::RealTime(Rule::Token)),
        ];
        let sections = sections.map(|(name, source)| (name, Sources::Only(source)));
        let (told, _) = told(snapshot, Head::Success, sections.to_vec());
        assert_eq!(told["status"], "success");
        assert_eq!(values(&told["manual"]), ["0.0.0.1"]);
        assert_eq!(values(&told["abs_generated"]), ["0.0.0.1", "0.0.0.2"]);
        assert_eq!(
            (
                values(&told["decoy"]).len(),
                values(&told["token_missing"]).len()
            ),
            (0, 0)
        );
        assert_eq!(told.as_object().unwrap().len(), 5);
    }

    #[test]
    fn an_empty_list_is_a_document_too() {
        let (told, pieces) = told(
            Snapshot::default(),
            Head::Bare,
            vec![("entries", Sources::All)],
        );
        assert_eq!((told, pieces), (serde_json::json!({"entries": []}), 1));
    }
}
