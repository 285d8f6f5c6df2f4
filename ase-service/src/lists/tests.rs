//! That nobody who follows the lists waits for whoever changes them.

use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use super::*;
use crate::state::State;

/// Longest wait for what a loaded machine does late.
const PATIENCE: Duration = Duration::from_secs(10);

fn lists(folder: &Path) -> Lists {
    let state = SharedState::new(State::open(folder).unwrap());
    Lists::open(state, Arc::default()).unwrap()
}

fn put(number: u32) -> What {
    let address = std::net::IpAddr::V4(number.into());
    let identifier = ListedIdentifier::Network(Network::of(address.into()));
    What::Put(
        identifier,
        Entry::everywhere(Source::Manual, "", UnixMillis(0)),
    )
}

/// Runs `change`, which calls what it is given when it is in the middle, and asks for the changes meanwhile.
fn follows(lists: &Lists, change: impl FnOnce(&dyn Fn()) + Send) {
    let before = lists.version();
    let (begun, begins) = channel();
    let (end, ends) = channel::<()>();
    let (answered, answer) = channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            change(&|| {
                begun.send(()).unwrap();
                // Nothing is ever sent; who may end is told by the other half's end.
                let _ended = ends.recv();
            });
        });
        begins.recv().unwrap();
        scope.spawn(move || answered.send(lists.changes_since(before)));
        let followed = answer.recv_timeout(PATIENCE);
        drop(end);
        assert_eq!(followed, Ok(Some((before, Vec::new()))));
    });
}

#[test]
fn whoever_follows_the_lists_waits_neither_for_a_long_change_nor_for_other_definitions() {
    let folder = tempfile::tempdir().unwrap();
    let lists = lists(folder.path());
    let before = lists.version();
    follows(&lists, |in_the_middle| {
        let puts = (0..3).map(put).inspect(|what| {
            if *what == put(1) {
                in_the_middle();
            }
        });
        lists.apply(ListName::Deny, puts);
    });
    let (_, changes) = lists.changes_since(before).unwrap();
    let whats: Vec<_> = changes.into_iter().map(|change| change.what).collect();
    assert_eq!(whats, [put(0), put(1), put(2)]);
    assert_eq!(lists.snapshot().attack.len(), 3);
    follows(&lists, |in_the_middle| {
        let change = |_: &Registry| {
            in_the_middle();
            Err(())
        };
        assert_eq!(lists.change_registry(change), Err(()));
    });
}
