//! That no entry falls between an image and its overlay, whatever is built meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ase_core::address::{ClientAddress, Network};
use ase_core::api_id::ApiId;
use ase_core::credential::{CredentialKey, KeyId};
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
    keys: Arc<ArcSwap<KeyRing>>,
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

/// A world whose images are built.
fn world() -> World {
    let (world, builder) = idle_world();
    thread::spawn(move || while builder.build_next().is_ok() {});
    world
}

/// A world, and the builder that builds when the test says so.
fn idle_world() -> (World, Builder) {
    let folder = tempfile::tempdir().unwrap();
    let mut state = State::open(folder.path()).unwrap();
    let keys = Arc::new(ArcSwap::from_pointee(state.key_ring().unwrap()));
    let published = Arc::new(ArcSwap::from_pointee(Snapshot {
        registry: Arc::new(registry()),
        ..Snapshot::default()
    }));
    let lists = Arc::new(Lists::open(SharedState::new(state), published).unwrap());
    let counters = Arc::new(Counters::default());
    let (images, builder) =
        Images::with_builder(Arc::clone(&lists), Arc::clone(&keys), Arc::clone(&counters));
    let world = World {
        lists,
        keys,
        images,
        counters,
        _folder: folder,
    };
    (world, builder)
}

fn other_keys() -> KeyRing {
    KeyRing::new(CredentialKey::from_bytes(KeyId(200), [1; 32]), None)
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
        let (have, width) = (self.have(), FingerprintBits::Eight);
        match self.images.fetch(Wanted { have, width }) {
            Fetched::Whole(bytes) => {
                self.image = Some(PolicyImage::parse(bytes.to_vec()).unwrap());
                "whole"
            }
            Fetched::Replaced(overlay) => {
                self.image.as_mut().unwrap().extend(&overlay).unwrap();
                "replaced"
            }
            Fetched::Overlay(overlay) => {
                self.image.as_mut().unwrap().extend(&overlay).unwrap();
                "overlay"
            }
            Fetched::Unchanged => "unchanged",
            Fetched::NotReady => "not ready",
        }
    }

    fn have(&self) -> Option<Have> {
        self.image.as_ref().map(|image| Have {
            build: image.build(),
            revision: image.revision(),
        })
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
        // Another registry replaces an image soon after its build, so that builds are under way most of the time.
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
                "overlay" | "replaced" => overlays += 1,
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

#[test]
fn until_there_is_an_image_of_new_definitions_or_keys_the_holders_of_the_old_one_get_what_is_listed_and_no_confirmation()
 {
    let (world, builder) = idle_world();
    let mut follower = gateway(&world.images);
    assert_eq!(follower.ask(), "not ready");
    builder.build_next().unwrap();
    assert_eq!(follower.ask(), "whole");
    let definitions = || world.lists.set_registry(Arc::new(registry()));
    let keys = || world.keys.store(Arc::new(other_keys()));
    for (number, replace) in [(10, &definitions as &dyn Fn()), (20, &keys)] {
        world.add(number..=number);
        replace();
        world.add(number + 1..=number + 1);
        assert_eq!(follower.ask(), "replaced");
        assert!(follower.asks_about(number) && follower.asks_about(number + 1));
        assert_eq!(follower.ask(), "replaced");
        assert_eq!(
            world.images.news(follower.have().unwrap()),
            News::OtherBuild
        );
        let mut newcomer = gateway(&world.images);
        assert_eq!(newcomer.ask(), "not ready");
        builder.build_next().unwrap();
        assert_eq!(follower.ask(), "whole");
        assert_eq!(world.images.news(follower.have().unwrap()), News::Nothing);
        assert_eq!(newcomer.ask(), "whole");
        assert!(newcomer.asks_about(number + 1));
    }
    assert_eq!(world.builds(), 3);
}

#[test]
fn all_who_read_an_image_at_the_moment_share_one_copy() {
    let (world, builder) = idle_world();
    let mut follower = gateway(&world.images);
    assert_eq!(follower.ask(), "not ready");
    builder.build_next().unwrap();
    let whole = || {
        let (have, width) = (None, FingerprintBits::Eight);
        let Fetched::Whole(whole) = world.images.fetch(Wanted { have, width }) else {
            panic!("there is an image");
        };
        whole
    };
    let (one, other) = (whole(), whole());
    assert_eq!(one.as_ptr(), other.as_ptr());
    world.add(0..1);
    assert!(whole().len() > one.len());
}

#[test]
fn the_figures_of_an_image_are_told_while_it_is_brought_up_to_date() {
    let (world, builder) = idle_world();
    assert_eq!(world.images.held(), []);
    let mut follower = gateway(&world.images);
    follower.ask();
    builder.build_next().unwrap();
    world.add(0..2);
    follower.ask();
    let owner = world.images.owner.as_ref().unwrap();
    let busy = owner.shared.eight.lock();
    let held = world.images.held();
    drop(busy);
    let told: Vec<_> = held.iter().map(|held| (held.bits, held.records)).collect();
    assert_eq!(told, [("8", 2)]);
}
