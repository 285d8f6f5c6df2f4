//! That no entry falls between an image and its overlay, whatever is built meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ase_core::address::{ClientAddress, Network};
use ase_core::api_id::ApiId;
use ase_core::decision::Snapshot;
use ase_core::headers::Headers;
use ase_core::identifier_list::{Entry, ListedIdentifier, Source, Sources};
use ase_core::identity::Credentials;
use ase_core::policy_image::{AskReason, Judgement, LocalRequest, PolicyImage};
use ase_core::registry::{ApiDefinition, Registry};

use super::*;
use crate::clock;
use crate::state::{ListName, SharedState, State};

/// Longest wait for what a loaded machine does late.
const PATIENCE: Duration = Duration::from_secs(60);

struct World {
    lists: Arc<Lists>,
    images: Images,
    counters: Arc<Counters>,
    _folder: tempfile::TempDir,
}

/// A gateway, as far as its image goes.
struct Gateway<'w> {
    images: &'w Images,
    image: Option<PolicyImage>,
}

fn registry() -> Registry {
    let document = br#"{"api_metadata": {"hostname": "*", "url": "/"}}"#;
    let id = ApiId::parse("all").unwrap();
    let (api, _) = ApiDefinition::from_json(id, document).unwrap();
    Registry::compile([api]).unwrap()
}

fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let mut state = State::open(folder.path()).unwrap();
    let keys = Arc::new(ArcSwap::from_pointee(state.key_ring().unwrap()));
    let published = Arc::new(ArcSwap::from_pointee(Snapshot {
        registry: Arc::new(registry()),
        ..Snapshot::default()
    }));
    let lists = Arc::new(Lists::open(SharedState::new(state), published).unwrap());
    let counters = Arc::new(Counters::default());
    let images = Images::start(Arc::clone(&lists), keys, Arc::clone(&counters)).unwrap();
    World {
        lists,
        images,
        counters,
        _folder: folder,
    }
}

fn client(number: u32) -> ClientAddress {
    ClientAddress::from(std::net::IpAddr::V4(number.into()))
}

fn entry(number: u32) -> (ListedIdentifier, Entry) {
    let entry = Entry::everywhere(Source::Engine, "", clock::now());
    let network = Network::of(client(number));
    (ListedIdentifier::Network(network), entry)
}

impl World {
    fn add(&self, numbers: impl Iterator<Item = u32>) {
        let entries = numbers.map(entry).collect();
        self.lists.add_all(ListName::Deny, entries).unwrap();
    }

    fn builds(&self) -> u64 {
        let built = crate::counters::ImageEvent::Built;
        self.counters.get(crate::counters::Counter::Image(built))
    }
}

impl Gateway<'_> {
    /// Asks once, as `GET /ase/image` does; says what it was told.
    fn ask(&mut self) -> &'static str {
        let have = self.image.as_ref().map(|image| Have {
            build: image.build(),
            revision: image.revision(),
        });
        let width = FingerprintBits::Eight;
        match self.images.fetch(Wanted { have, width }) {
            Fetched::Whole(bytes) => {
                self.image = Some(PolicyImage::parse(bytes).unwrap());
                "whole"
            }
            Fetched::Overlay(overlay) => {
                self.image.as_mut().unwrap().extend(&overlay).unwrap();
                "overlay"
            }
            Fetched::Unchanged => "unchanged",
            Fetched::NotReady => "not ready",
        }
    }

    /// Asks until it is told something else than "not ready".
    fn ask_until_told(&mut self) -> &'static str {
        let began = Instant::now();
        loop {
            match self.ask() {
                "not ready" => thread::sleep(Duration::from_millis(1)),
                told => return told,
            }
            assert!(began.elapsed() < PATIENCE, "no image");
        }
    }

    fn asks_about(&self, number: u32) -> bool {
        let local = LocalRequest {
            client: Some(client(number)),
            headers: &Headers::default(),
            url: b"/",
            host: Some(b"h"),
            credentials: &Credentials::default(),
            username: None,
        };
        match self.image.as_ref().unwrap().judge(&local, &[]) {
            Judgement::Pass => false,
            Judgement::Ask(reason) => reason == AskReason::ListedAddress,
        }
    }
}

/// Ends the other threads, after a panic too.
struct Ends<'e>(&'e AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn gateway(images: &Images) -> Gateway<'_> {
    Gateway {
        images,
        image: None,
    }
}

#[test]
fn an_entry_that_was_acknowledged_is_in_every_later_answer_while_images_are_built_and_replaced() {
    let world = world();
    world.add(1_000_000..1_005_000);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let ends = Ends(&done);
        // Another registry makes an image useless soon after its build, so that builds are under way most of the time.
        scope.spawn(|| {
            let mut seen = 0;
            while !done.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(5));
                if world.builds() > seen {
                    seen = world.builds();
                    world.lists.set_registry(Arc::new(registry()));
                }
            }
        });
        let asking = scope.spawn(|| {
            let mut late = gateway(&world.images);
            while !done.load(Ordering::Relaxed) {
                late.ask();
            }
        });
        let mut follower = gateway(&world.images);
        let (mut overlays, mut wholes) = (0, 0);
        let began = Instant::now();
        let mut number = 0;
        while overlays < 30 || wholes < 10 || world.builds() < 10 {
            world.add(number..number + 3);
            match follower.ask_until_told() {
                "overlay" => overlays += 1,
                "whole" => wholes += 1,
                told => panic!("{told} right after an addition"),
            }
            for added in number.saturating_sub(300)..number + 3 {
                assert!(follower.asks_about(added), "{added}");
            }
            number += 3;
            assert!(
                began.elapsed() < PATIENCE,
                "{overlays} {wholes} {}",
                world.builds()
            );
        }
        assert!((0..number).all(|added| follower.asks_about(added)));
        assert!(!follower.asks_about(5_000_000));
        drop(ends);
        asking.join().unwrap();
    });
}

#[test]
fn more_changes_than_are_kept_make_another_build() {
    let world = world();
    let mut follower = gateway(&world.images);
    assert_eq!(follower.ask_until_told(), "whole");
    world.add(0..20_000);
    assert_eq!(follower.ask(), "not ready");
    assert_eq!(follower.ask_until_told(), "whole");
    assert_eq!(world.builds(), 2);
    assert!((0..20_000).all(|number| follower.asks_about(number)));
}

#[test]
fn a_long_overlay_and_a_list_that_shrinks_are_worth_another_build_and_serve_until_then() {
    let world = world();
    let mut follower = gateway(&world.images);
    assert_eq!(follower.ask_until_told(), "whole");
    world.add(0..9_000);
    assert_eq!(follower.ask(), "overlay");
    let replaced = |follower: &mut Gateway<'_>| {
        let began = Instant::now();
        while follower.ask() != "whole" {
            assert!(began.elapsed() < PATIENCE, "never replaced");
            thread::sleep(Duration::from_millis(1));
        }
    };
    replaced(&mut follower);
    assert_eq!(follower.image.as_ref().map(PolicyImage::revision), Some(0));
    world.lists.clear(ListName::Deny, Sources::All).unwrap();
    assert!(follower.asks_about(7));
    replaced(&mut follower);
    assert!(!follower.asks_about(7));
    assert_eq!(follower.ask(), "unchanged");
    assert_eq!(world.builds(), 3);
}
