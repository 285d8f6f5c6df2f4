//! The state file: what is written comes back, from older schemas and from copies too.

use ase_core::address::Network;
use ase_core::credential::{CredentialKind, KeyId};
use ase_core::identifier_list::{Entry, ListedIdentifier, Rule, Scope, Source, Sources};
use rusqlite::params;

use super::*;

fn open(folder: &Path) -> State {
    State::open(folder).unwrap()
}

fn entry(source: Source) -> Entry {
    Entry {
        scope: Scope::parse("api:shop").unwrap(),
        expires: Some(UnixMillis(5_000)),
        source,
        reason: "stuffing".into(),
        added: UnixMillis(1_000),
    }
}

fn network(text: &str) -> ListedIdentifier {
    ListedIdentifier::Network(Network::parse(text).unwrap())
}

fn entries(state: &State) -> Vec<(ListedIdentifier, Entry)> {
    let mut all = Vec::new();
    state
        .each_entry(|stored| all.push((stored.identifier, stored.entry)))
        .unwrap();
    all
}

#[test]
fn a_file_of_the_first_schema_keeps_its_entries_and_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let old = Connection::open(folder.path().join(FILE)).unwrap();
    old.execute_batch(
        "CREATE TABLE credential_key (id INTEGER PRIMARY KEY, secret BLOB NOT NULL);
        CREATE TABLE entry (list TEXT NOT NULL, identifier TEXT NOT NULL, scope TEXT NOT NULL, source TEXT NOT NULL,
            reason TEXT NOT NULL, added_ms INTEGER NOT NULL, expires_ms INTEGER,
            PRIMARY KEY (list, identifier, scope, source)) WITHOUT ROWID;
        INSERT INTO entry VALUES ('deny', '203.0.113.7', 'api:shop', 'manual', 'stuffing', 1000, 5000);
        PRAGMA user_version = 1;",
    )
    .unwrap();
    old.execute(
        "INSERT INTO credential_key VALUES (1, ?1)",
        params![[9_u8; 32]],
    )
    .unwrap();
    drop(old);
    let mut state = open(folder.path());
    assert_eq!(
        entries(&state),
        [(network("203.0.113.7"), entry(Source::Manual))]
    );
    assert_eq!(state.key_secrets().unwrap(), [(KeyId(1), [9; 32])]);
    assert_eq!(state.version().unwrap().revision, 0);
}

#[test]
fn a_file_of_a_newer_schema_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    let newer = Connection::open(folder.path().join(FILE)).unwrap();
    newer.pragma_update(None, "user_version", 99).unwrap();
    drop(newer);
    let error = State::open(folder.path()).unwrap_err();
    assert!(error.to_string().contains("schema 99 is newer"), "{error}");
}

#[test]
fn every_change_is_a_revision_and_the_epoch_stays_until_a_restore() {
    let folder = tempfile::tempdir().unwrap();
    let mut state = open(folder.path());
    let first = state.version().unwrap();
    let two = ["203.0.113.7", "203.0.113.8"].map(|text| (network(text), entry(Source::Engine)));
    state.put(ListName::Deny, &two).unwrap();
    let place = (entry(Source::Engine).scope, Source::Engine);
    state
        .delete(ListName::Deny, &network("203.0.113.7"), &[place])
        .unwrap();
    state.clear(ListName::Deny, Sources::All).unwrap();
    let copy = folder.path().join("copy.db");
    state.back_up(&copy).unwrap();
    drop(state);
    let mut state = open(folder.path());
    let then = state.version().unwrap();
    assert_eq!((then.epoch, then.revision), (first.epoch, 4));
    state.restore(&copy).unwrap();
    assert_ne!(state.version().unwrap().epoch, first.epoch);
}

#[test]
fn sources_are_cleared_apart() {
    let folder = tempfile::tempdir().unwrap();
    let mut state = open(folder.path());
    let all = [
        Source::Manual,
        Source::RealTime(Rule::Decoy),
        Source::RealTime(Rule::Spike),
        Source::Engine,
    ]
    .map(|source| (network("203.0.113.7"), entry(source)));
    state.put(ListName::Deny, &all).unwrap();
    state.clear(ListName::Allow, Sources::All).unwrap();
    state.clear(ListName::Deny, Sources::RealTime).unwrap();
    let left: Vec<_> = entries(&state)
        .iter()
        .map(|(_, entry)| entry.source)
        .collect();
    assert_eq!(left, [Source::Engine, Source::Manual]);
}

#[test]
fn a_restored_copy_brings_everything_back_and_a_damaged_one_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut state = open(folder.path());
    let listed = [(network("203.0.113.7"), entry(Source::Manual))];
    state.put(ListName::Allow, &listed).unwrap();
    let token = StoredToken {
        name: "edge".to_owned(),
        digest: TokenDigest::of(b"0123456789abcdef"),
        created: UnixMillis(7),
    };
    assert!(state.add_token(&token).unwrap());
    assert!(!state.add_token(&token).unwrap(), "the name is taken");
    let secrets = state.key_secrets().unwrap();
    let copy = folder.path().join("copy.db");
    state.back_up(&copy).unwrap();
    assert!(state.back_up(&copy).is_err(), "a file is never overwritten");
    state.clear(ListName::Allow, Sources::All).unwrap();
    assert!(state.delete_token("edge").unwrap());
    let damaged = folder.path().join("damaged.db");
    std::fs::write(&damaged, b"not a database at all, but long enough").unwrap();
    assert!(state.restore(&damaged).is_err());
    assert!(state.restore(&folder.path().join("absent.db")).is_err());
    assert!(entries(&state).is_empty());
    state.restore(&copy).unwrap();
    drop(state);
    let mut state = open(folder.path());
    assert_eq!(entries(&state), listed);
    assert_eq!(state.tokens().unwrap(), [token]);
    assert_eq!(state.key_secrets().unwrap(), secrets);
}

#[test]
fn a_rotation_keeps_the_key_before_and_refuses_to_end_one_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let mut state = open(folder.path());
    let kind = CredentialKind::Token;
    let first = state.key_ring().unwrap().current().id_of(kind, "", b"v");
    let identifier = ListedIdentifier::Credential { kind, id: first };
    let listed = [(identifier, entry(Source::Manual))];
    state.put(ListName::Deny, &listed).unwrap();
    let ring = state.rotate_key(Orphans::Keep).unwrap();
    let ids = ring.ids_of(kind, "", b"v");
    assert_eq!((ids.current.key(), ids.previous), (KeyId(2), Some(first)));
    let error = state.rotate_key(Orphans::Keep).unwrap_err();
    assert!(error.to_string().starts_with("1 list entries"), "{error}");
    let ring = state.rotate_key(Orphans::Abandon).unwrap();
    let ids = ring.ids_of(kind, "", b"v");
    assert_eq!(
        ids.into_iter().map(|id| id.key().0).collect::<Vec<_>>(),
        [3, 2]
    );
    drop(state);
    let again = open(folder.path()).key_ring().unwrap();
    assert_eq!(again.ids_of(kind, "", b"v"), ids);
}

#[test]
fn key_numbers_come_round_without_meeting_a_valid_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut state = open(folder.path());
    let mut before = state.key_ring().unwrap().current().id();
    for _ in 0..300 {
        let ring = state.rotate_key(Orphans::Keep).unwrap();
        let previous = ring.previous().map(|key| key.id());
        assert_eq!(previous, Some(before));
        before = ring.current().id();
        assert_ne!(previous, Some(before));
    }
}

#[test]
fn switches_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut state = open(folder.path());
    let switch = |state: &str| StoredSwitch {
        name: "enable_firewall".to_owned(),
        state: state.to_owned(),
    };
    state.settle(&[switch("on")], &[]).unwrap();
    state.settle(&[switch("off")], &[]).unwrap();
    assert_eq!(state.switches().unwrap(), [switch("off")]);
    state.settle(&[], &["enable_firewall".to_owned()]).unwrap();
    assert_eq!(state.switches().unwrap(), []);
}
