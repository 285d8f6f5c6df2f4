//! Imports and exports by themselves.

use ase_core::address::ClientAddress;
use ase_core::credential::{CredentialKey, CredentialKind, KeyId};
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

fn keys() -> KeyRing {
    KeyRing::new(CredentialKey::from_bytes(KeyId(1), [7; 32]), None)
}

fn import(format: Format, body: &[u8]) -> Imported {
    let keys = keys();
    let reader = Reader::new(&keys, Ipv6Width::default(), UnixMillis(1_000));
    // That everybody is refused is shown elsewhere.
    reader.with(Force::Used).read(format, body)
}

fn export(format: Format, entries: &[(ListedIdentifier, Entry)]) -> String {
    let mut out = format.head().to_owned();
    let mut first = First::Yes;
    for (identifier, entry) in entries {
        format.write(&mut out, (identifier, &entry.as_ref()), first);
        first = First::No;
    }
    out + format.foot()
}

fn entries() -> impl Strategy<Value = (ListedIdentifier, Entry)> {
    let network = (any::<u32>(), 0_u8..=32).prop_map(|(bits, prefix)| {
        let address = ClientAddress::from(std::net::IpAddr::V4(bits.into()));
        ListedIdentifier::Network(address.prefixed(prefix))
    });
    let v6 = (any::<u128>(), 1_u8..=128).prop_map(|(bits, prefix)| {
        let address = ClientAddress::from(std::net::IpAddr::V6(bits.into()));
        ListedIdentifier::Network(address.prefixed(prefix))
    });
    let credential =
        (select(CredentialKind::ALL.to_vec()), any::<u64>()).prop_map(|(kind, value)| {
            let id = keys().current().id_of(kind, "n", &value.to_be_bytes());
            ListedIdentifier::Credential { kind, id }
        });
    let scopes = ["all", "api:shop", "group:g"].map(|text| Scope::parse(text).unwrap());
    let rest = (
        select(scopes.to_vec()),
        proptest::option::of(0_u64..4_000_000_000_000),
        select(vec![
            "",
            "plain",
            "with, comma",
            "with \"quotes\"",
            "\u{fc}ml\u{e4}ut \u{1f980}",
            " blanks ",
        ]),
        0_u64..4_000_000_000_000,
    );
    (prop_oneof![network, v6, credential], rest).prop_map(
        |(identifier, (scope, expires, reason, added))| {
            let entry = Entry {
                scope,
                expires: expires.map(UnixMillis),
                source: Source::Manual,
                reason: reason.into(),
                added: UnixMillis(added),
            };
            (identifier, entry)
        },
    )
}

proptest! {
    #[test]
    fn what_is_exported_is_imported(entries in prop::collection::vec(entries(), 0..20)) {
        for format in [Format::Json, Format::Csv] {
            let text = export(format, &entries);
            let imported = import(format, text.as_bytes());
            prop_assert_eq!(&imported.faults, &Vec::<String>::new(), "{}", text);
            prop_assert_eq!(&imported.entries, &entries, "{}", text);
        }
        let imported = import(Format::Plain, export(Format::Plain, &entries).as_bytes());
        let names = |all: &[(ListedIdentifier, Entry)]| all.iter().map(|(name, _)| *name).collect::<Vec<_>>();
        prop_assert_eq!(imported.faults.len(), 0);
        prop_assert_eq!(names(&imported.entries), names(&entries));
    }

    #[test]
    fn any_bytes_are_entries_or_faults(bytes: Vec<u8>, text in "[\\[\\]{}\",:a-z0-9\\r\\n#/. ]{0,200}") {
        for input in [&bytes, text.as_bytes()] {
            for (_, format) in Format::NAMES {
                let imported = import(format, input);
                prop_assert!(imported.entries.len() + imported.faults.len() <= input.len() * 4 + 10);
            }
        }
    }
}

#[test]
fn every_bad_line_or_element_is_named_with_its_number_and_takes_nothing_else_down() {
    let plain = "# a list\n203.0.113.7 12 seen\nnowhere\n\ncookie SID abc\ntoken\n203.0.113.1/24\n";
    let csv = "type,value,scope\r\nip,203.0.113.7,all\r\nip,\"203.0.113.8\",api:\r\nip,203.0.113.9\r\ncookie,\"k\n\"x,all\r\ntoken,abc,\r\n";
    let json = r#"{"entries":[{"type":"ip","value":"203.0.113.7"},7,{"type":"ip","value":"203.0.113.8","ttl":5},{"type":"token","value":"abc","expires":null}]}"#;
    for (format, text, good, places) in [
        (
            Format::Plain,
            plain,
            2,
            &["line 3.value: ", "line 6: a credential", "line 7.value: "][..],
        ),
        (
            Format::Csv,
            csv,
            2,
            &["line 3.scope: ", "line 4: has 2", "line 5: a closing"],
        ),
        (
            Format::Json,
            json,
            2,
            &["element 2: ", "element 3.ttl: unknown key"],
        ),
    ] {
        let imported = import(format, text.as_bytes());
        assert_eq!(
            imported.entries.len(),
            good,
            "{format:?} {:?}",
            imported.faults
        );
        assert_eq!(imported.faults.len(), places.len(), "{:?}", imported.faults);
        for (fault, place) in imported.faults.iter().zip(places) {
            assert!(fault.starts_with(place), "{fault} / {place}");
        }
    }
}

#[test]
fn a_broken_document_is_named_without_quoting_it() {
    for (format, body, expect) in [
        (
            Format::Json,
            &b"[{\"type\":\"token\",\"value\":\"secret"[..],
            "line 1, column ",
        ),
        (Format::Json, b"\"secret\"", "line 1, column 8: an array"),
        (Format::Json, b"{\"a\":1}", "entries: is required"),
        (Format::Csv, b"", "line 1: a header"),
        (
            Format::Csv,
            b"type,wert\n",
            "line 1: there is no column \"wert\"",
        ),
        (Format::Plain, b"203.0.113.7\n\xff", "line 2: is not UTF-8"),
    ] {
        let imported = import(format, body);
        assert_eq!(imported.faults.len(), 1, "{:?}", imported.faults);
        let fault = imported.faults.first().unwrap();
        assert!(fault.starts_with(expect), "{fault}");
        assert!(!fault.contains("secret"), "{fault}");
    }
}
