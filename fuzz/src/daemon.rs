//! The bodies of the fuzz targets for what the daemon reads itself. Apart from the others: with them a fuzzer builds the whole daemon.

use ase_core::credential::{CredentialKey, KeyId, KeyRing};
use ase_service::management::bodies;

use crate::Target;

/// Every target of the daemon by its name.
pub const TARGETS: [(&str, Target); 4] = [
    ("import_plain", import_plain),
    ("import_json", import_json),
    ("import_csv", import_csv),
    ("management", management),
];

/// An import as plain text.
pub fn import_plain(bytes: &[u8]) {
    imported_again("plain", bytes);
}

/// An import as JSON.
pub fn import_json(bytes: &[u8]) {
    imported_again("json", bytes);
}

/// An import as CSV.
pub fn import_csv(bytes: &[u8]) {
    imported_again("csv", bytes);
}

/// What was imported is exported, and imported again as the same: as JSON and CSV whole, as plain text without scope, time and reason.
fn imported_again(format: &str, bytes: &[u8]) {
    let keys = KeyRing::new(key(), None);
    let import = |format: &str, body: &[u8]| {
        let Some(read) = bodies::import(format, body, &keys) else {
            panic!("{format} is no format");
        };
        read
    };
    let read = import(format, bytes);
    for format in ["plain", "json", "csv"] {
        let Some(text) = bodies::export(format, &read.entries) else {
            panic!("{format} is no format");
        };
        let again = import(format, text.as_bytes());
        assert_eq!(again.faults, 0, "{text:?} was exported");
        if format == "plain" {
            let (left, right) = (read.entries.iter(), again.entries.iter());
            assert!(
                left.map(|(id, _)| id).eq(right.map(|(id, _)| id)),
                "{text:?}"
            );
        } else {
            assert_eq!(read.entries, again.entries, "{text:?}");
        }
    }
}

/// The body of a management call; the first byte says of which.
pub fn management(bytes: &[u8]) {
    let Some((first, body)) = bytes.split_first() else {
        return;
    };
    let number = usize::from(*first) % bodies::CHANGES;
    if let Err(faults) = bodies::change(number, body, &key()) {
        assert!(
            !faults.is_empty() && faults.iter().all(|fault| !fault.is_empty()),
            "refused without a fault"
        );
    }
}

fn key() -> CredentialKey {
    CredentialKey::from_bytes(KeyId(1), [7; 32])
}
