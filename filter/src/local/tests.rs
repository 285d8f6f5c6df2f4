//! Several VMs, an ASE and the host's shared data, stepped by hand: what each clears, whatever gets lost between them.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use ase_core::address::ClientAddress;
use ase_core::api_id::ApiId;
use ase_core::credential::{CredentialKey, KeyId, KeyRing};
use ase_core::decision::Snapshot;
use ase_core::headers::Headers;
use ase_core::identifier_list::{Entry, ListedIdentifier, Source};
use ase_core::identity::Credentials;
use ase_core::policy_image::{self, Settings};
use ase_core::registry::{ApiDefinition, Registry};
use ase_core::time::UnixMillis;
use proptest::prelude::*;

use super::*;

const TICK: Duration = Duration::from_millis(50);
const MAX_AGE: Duration = Duration::from_secs(3);

#[test]
fn a_new_entry_is_asked_about_on_every_worker_within_three_ticks() {
    let mut world = World::of(4);
    world.ticks(8);
    assert_eq!(world.who_clears(7), [true; 4]);
    for client in 1..40 {
        world.ase.list(client);
        world.ticks(3);
        assert_eq!(world.who_clears(client), [false; 4], "client {client}");
    }
    assert_eq!(world.ase.whole_images, 1, "one VM fetches for all");
    assert_eq!(world.who_clears(200), [true; 4]);
}

#[test]
fn a_new_build_reaches_every_worker_and_the_old_one_serves_until_then() {
    let mut world = World::of(3);
    world.ticks(8);
    for round in 1..6 {
        world.ase.list(round);
        world.ase.rebuild();
        world.ticks(1);
        assert_eq!(world.who_clears(200), [true; 3]);
        world.ticks(4);
        assert_eq!(world.builds(), [Some(world.ase.build()); 3]);
        assert_eq!(world.who_clears(round), [false; 3]);
    }
}

#[test]
fn without_ase_the_last_image_serves_until_it_is_too_old() {
    let mut world = World::of(2);
    world.ticks(8);
    world.ase.is_up = false;
    world.ticks(50);
    assert_eq!(world.who_clears(7), [true; 2]);
    world.ticks(20);
    assert_eq!(world.judged(0, 7), Err(Asked::Stale));
    assert_eq!(world.judged(1, 7), Err(Asked::Stale));
    world.ase.is_up = true;
    world.ase.rebuild();
    world.ticks(30);
    assert_eq!(world.who_clears(7), [true; 2]);
}

#[test]
fn another_worker_fetches_when_the_one_that_does_has_gone() {
    let mut world = World::of(3);
    world.ticks(8);
    let gone = world.holder().unwrap();
    world.vms.remove(gone);
    world.ase.list(9);
    world.ticks(40);
    assert_eq!(world.who_clears(9), [false; 2]);
    let (now, limits) = (world.now, limits());
    let holder = world.holder().unwrap();
    let posted = world.vms[holder].farewell(world.seen());
    world.post(posted.unwrap());
    world.vms.remove(holder);
    world.ase.list(10);
    world.ticks(4);
    assert_eq!(world.who_clears(10), [false]);
    assert!(world.now > now.after(limits.lease / 10));
}

#[test]
fn a_host_that_shares_nothing_leaves_each_worker_to_itself() {
    let mut world = World::of(2);
    world.shares = false;
    world.ticks(4);
    assert_eq!(world.who_clears(7), [true; 2]);
    assert_eq!(world.ase.whole_images, 2);
    world.ase.list(7);
    world.ticks(3);
    assert_eq!(world.who_clears(7), [false; 2]);
}

#[test]
fn a_torn_copy_is_not_used_and_is_shared_again() {
    let mut world = World::of(1);
    world.ticks(3);
    let pieces = world
        .shared
        .iter_mut()
        .filter(|(key, _)| **key != limits().key);
    for (_, (piece, _)) in pieces {
        *piece.get_mut(100).unwrap() ^= 1;
    }
    world.vms.push(Local::new(2));
    world.vms.last_mut().unwrap().want();
    world.ticks(1);
    assert_eq!(world.who_clears(7), [true, false]);
    world.ticks(3);
    assert_eq!(world.who_clears(7), [true; 2]);
    assert_eq!(world.torn, 1);
}

#[test]
fn what_is_no_image_or_too_large_takes_the_place_of_none() {
    let mut world = World::of(1);
    world.ticks(4);
    let (vm, limits) = (world.vms.first_mut().unwrap(), limits());
    vm.make_room(10, &limits).unwrap();
    vm.receive(&[7; 1000]);
    assert_eq!(vm.received(world.now, &limits), Err(ImageFailure::Refused));
    assert_eq!(
        vm.make_room(limits.max_image_bytes + 1, &limits),
        Err(ImageFailure::TooLarge)
    );
    assert_eq!(vm.extend(b"nonsense"), Err(ImageFailure::Refused));
    assert_eq!(vm.have(), None, "the next call is for a whole image");
    assert_eq!(world.who_clears(7), [true]);
}

#[test]
fn a_clock_that_is_set_back_or_lost_makes_the_image_stale_and_not_eternal() {
    let mut world = World::of(1);
    world.ticks(6);
    let (request, limits) = (Request::of(7), limits());
    let vm = world.vms.first_mut().unwrap();
    let earlier = Moment::from_nanos(5);
    assert_eq!(request.judged(vm, earlier, &limits), Err(Asked::Stale));
    vm.without_clock();
    assert_eq!(request.judged(vm, world.now, &limits), Err(Asked::Stale));
    world.ticks(4);
    assert_eq!(world.who_clears(7), [true]);
}

#[test]
fn images_that_grow_a_little_reuse_two_buffers() {
    let mut world = World::of(1);
    world.ticks(6);
    let (vm, limits) = (world.vms.first_mut().unwrap(), limits());
    let size = vm.image().unwrap().as_bytes().len();
    let mut places = Vec::new();
    for _ in 0..4 {
        vm.make_room(size + size / 20, &limits).unwrap();
        places.push(vm.spare.as_ptr());
        let bytes = vm.image().unwrap().as_bytes().to_vec();
        vm.receive(&bytes);
        vm.received(world.now, &limits).unwrap();
    }
    assert_eq!(
        (places.first(), places.get(1)),
        (places.get(2), places.get(3))
    );
}

#[test]
fn a_copy_without_what_was_listed_since_clears_nothing() {
    let mut world = World::of(1);
    world.ticks(4);
    world.ase.list(9);
    world.ticks(3);
    world.ase.is_up = false;
    let board = world.shared.get_mut(&limits().key).unwrap();
    *board.0.last_mut().unwrap() ^= 1;
    world.vms.push(Local::new(2));
    world.vms.last_mut().unwrap().want();
    world.ticks(1);
    assert_eq!(world.judged(0, 7), Ok(()));
    assert_eq!(world.judged(1, 7), Err(Asked::Stale));
    assert_eq!(world.judged(1, 9), Err(Asked::Stale));
    world.ase.is_up = true;
    world.ticks(40);
    assert_eq!(world.who_clears(7), [true; 2]);
    assert_eq!(world.who_clears(9), [false; 2]);
}

#[derive(Clone, Debug)]
enum Event {
    Tick(u8),
    Lists(u8),
    Rebuilds,
    Up(bool),
    Answer(Way),
    Spoil(u8, u8),
    Vanish,
}

/// What becomes of the next answers.
#[derive(Clone, Copy, Debug)]
enum Way {
    Arrives,
    Lost,
    Late,
    Spoiled,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (1..5_u8).prop_map(Event::Tick),
        3 => (1..60_u8).prop_map(Event::Lists),
        1 => Just(Event::Rebuilds),
        1 => any::<bool>().prop_map(Event::Up),
        2 => prop_oneof![Just(Way::Arrives), Just(Way::Lost), Just(Way::Late), Just(Way::Spoiled)].prop_map(Event::Answer),
        1 => any::<(u8, u8)>().prop_map(|(key, byte)| Event::Spoil(key, byte)),
        1 => Just(Event::Vanish),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn nobody_who_is_listed_for_longer_than_an_image_may_be_old_is_ever_cleared(events in prop::collection::vec(event(), 1..60)) {
        let mut world = World::of(3);
        for event in events {
            match event {
                Event::Tick(ticks) => world.ticks(u32::from(ticks) * 5),
                Event::Lists(client) => world.ase.list_at(client, world.now),
                Event::Rebuilds => world.ase.rebuild(),
                Event::Up(is_up) => world.ase.is_up = is_up,
                Event::Answer(way) => world.way = way,
                Event::Spoil(key, place) => world.spoil(key, place),
                Event::Vanish => {
                    let vm = world.vms.remove(0);
                    world.vms.push(Local::new(vm.me + 10));
                    world.vms.last_mut().unwrap().want();
                }
            }
            for (client, since) in world.ase.listed.clone() {
                let known = world.now.since(since) > MAX_AGE;
                let cleared = world.who_clears(client);
                prop_assert!(!(known && cleared.contains(&true)), "client {} is cleared: {:?}", client, cleared);
            }
        }
        world.way = Way::Arrives;
        world.ase.is_up = true;
        world.ticks(150);
        prop_assert_eq!(world.who_clears(250), vec![true; 3]);
        prop_assert_eq!(world.builds(), vec![Some(world.ase.build()); 3]);
    }
}

fn limits() -> LocalLimits {
    LocalLimits {
        max_age: MAX_AGE,
        poll_ticks: 2,
        max_image_bytes: 1 << 20,
        width: FingerprintBits::Eight,
        lease: Duration::from_secs(1),
        patience_ticks: 20,
        key: "ase_image_test".to_owned(),
    }
}

struct Ase {
    snapshot: Snapshot,
    image: PolicyImage,
    listed: Vec<(u8, Moment)>,
    is_up: bool,
    whole_images: u32,
}

impl Ase {
    fn new() -> Self {
        let document = br#"{"api_metadata": {"hostname": "*", "url": "/"}}"#;
        let id = ApiId::parse("all").unwrap();
        let (api, _) = ApiDefinition::from_json(id, document).unwrap();
        let snapshot = Snapshot {
            registry: Arc::new(Registry::compile([api]).unwrap()),
            ..Snapshot::default()
        };
        let image = built(&snapshot, 1);
        Self {
            snapshot,
            image,
            listed: Vec::new(),
            is_up: true,
            whole_images: 0,
        }
    }

    fn build(&self) -> u64 {
        self.image.build()
    }

    fn list(&mut self, client: u8) {
        self.list_at(client, Moment::default());
    }

    fn list_at(&mut self, client: u8, now: Moment) {
        let entry = Entry::everywhere(Source::Engine, "", UnixMillis(0));
        let identifier = ListedIdentifier::Network(address(client).prefixed(32));
        self.image.add(&identifier).unwrap();
        self.snapshot.attack.insert(identifier, entry);
        self.listed.push((client, now));
    }

    fn rebuild(&mut self) {
        self.image = built(&self.snapshot, self.image.build() + 1);
    }

    /// `None` for nothing new.
    fn answer(&mut self, have: Option<(u64, u32)>) -> Option<(bool, Vec<u8>)> {
        match have {
            Some((build, revision)) if build == self.image.build() => {
                let mut overlay = Vec::new();
                self.image.write_overlay(revision, &mut overlay);
                (revision < self.image.revision()).then_some((false, overlay))
            }
            Some(_) | None => {
                self.whole_images += 1;
                Some((true, self.image.whole()))
            }
        }
    }
}

fn built(snapshot: &Snapshot, build: u64) -> PolicyImage {
    let keys = KeyRing::new(CredentialKey::from_bytes(KeyId(1), [2; 32]), None);
    let settings = Settings::new(&keys, FingerprintBits::Eight, build, [9; 16]);
    PolicyImage::parse(policy_image::build(snapshot, &settings).unwrap()).unwrap()
}

fn address(client: u8) -> ClientAddress {
    ClientAddress::from(IpAddr::from(Ipv4Addr::new(203, 0, 113, client)))
}

struct Request(ClientAddress);

impl Request {
    fn of(client: u8) -> Self {
        Self(address(client))
    }

    fn judged(&self, vm: &Local, now: Moment, limits: &LocalLimits) -> Result<(), Asked> {
        let request = LocalRequest {
            client: Some(self.0),
            headers: &Headers::default(),
            url: b"/x",
            host: Some(b"api.example.com"),
            credentials: &Credentials::default(),
            username: None,
        };
        vm.judge(&request, &[], now, limits)
    }
}

/// An answer under way.
struct Late {
    to: u64,
    token: CalloutToken,
    answer: Option<(bool, Vec<u8>)>,
}

struct World {
    vms: Vec<Local>,
    ase: Ase,
    shared: BTreeMap<String, (Vec<u8>, u32)>,
    shares: bool,
    now: Moment,
    way: Way,
    late: Vec<Late>,
    calls: u32,
    torn: u32,
}

impl World {
    fn of(vms: u64) -> Self {
        let mut vms: Vec<Local> = (1..=vms).map(Local::new).collect();
        vms.iter_mut().for_each(Local::want);
        Self {
            vms,
            ase: Ase::new(),
            shared: BTreeMap::new(),
            shares: true,
            now: Moment::from_nanos(1_700_000_000_000_000_000),
            way: Way::Arrives,
            late: Vec::new(),
            calls: 0,
            torn: 0,
        }
    }

    fn seen(&self) -> Seen<'_> {
        match self.shared.get(&limits().key) {
            _ if !self.shares => Seen::Alone,
            Some((board, _)) => Seen::Board(board),
            None => Seen::Nothing,
        }
    }

    fn post(&mut self, board: Vec<u8>) {
        self.shared.insert(limits().key, (board, 0));
    }

    fn ticks(&mut self, ticks: u32) {
        for _ in 0..ticks {
            self.now = self.now.after(TICK);
            for vm in 0..self.vms.len() {
                self.tick(vm);
            }
            for Late { to, token, answer } in std::mem::take(&mut self.late) {
                if let Some(vm) = self.vms.iter().position(|vm| vm.me == to) {
                    self.deliver(vm, token, answer);
                }
            }
        }
    }

    fn tick(&mut self, vm: usize) {
        let limits = limits();
        let mut local = std::mem::replace(&mut self.vms[vm], Local::new(99));
        let wish = local.tick(self.seen(), self.now, &limits);
        while let Some(piece) = local.wanted_piece() {
            let key = format!("{}_{}", piece.row, piece.number);
            let bytes = self.shared.get(&key).map(|(bytes, _)| bytes.as_slice());
            if local.piece(bytes).is_err() {
                self.torn += 1;
                if let Some(board) = local.disowned(self.seen()) {
                    self.post(board);
                }
            }
        }
        if let Some(board) = wish.post {
            self.post(board);
        }
        if wish.publish {
            self.publish(&local);
        }
        if wish.fetch && self.ase.is_up {
            self.calls += 1;
            let token = CalloutToken(self.calls);
            let mut answer = self.ase.answer(local.have());
            local.sent(token, Site::Primary, self.now, &limits);
            if let (Way::Spoiled, Some((_, bytes))) = (self.way, &mut answer) {
                bytes.truncate(bytes.len() / 2);
            }
            let me = local.me;
            self.vms[vm] = local;
            match self.way {
                Way::Arrives | Way::Spoiled => self.deliver(vm, token, answer),
                Way::Late => self.late.push(Late {
                    to: me,
                    token,
                    answer,
                }),
                Way::Lost => {}
            }
            return;
        } else if wish.fetch {
            local.failed(&limits);
        }
        self.vms[vm] = local;
    }

    fn deliver(&mut self, vm: usize, token: CalloutToken, answer: Option<(bool, Vec<u8>)>) {
        let limits = limits();
        let mut local = std::mem::replace(&mut self.vms[vm], Local::new(99));
        if let Some((_, sent)) = local.answered(token) {
            let taken = match answer {
                None => Ok(()),
                Some((false, overlay)) => local.extend(&overlay).map(drop),
                Some((true, image)) => local.make_room(image.len(), &limits).and_then(|()| {
                    local.receive(&image);
                    local.received(sent, &limits)?;
                    self.publish(&local);
                    Ok(())
                }),
            };
            match taken {
                Ok(()) => {
                    local.confirm(sent, &limits);
                    if let Some(board) = local.news(self.seen()) {
                        self.post(board);
                    }
                }
                Err(_) => local.failed(&limits),
            }
        }
        self.vms[vm] = local;
    }

    fn publish(&mut self, local: &Local) {
        if let (true, Some((row, board))) = (self.shares, local.publication(self.seen())) {
            let pieces = local.image().unwrap().as_bytes().chunks(PIECE_BYTES);
            for (number, piece) in pieces.enumerate() {
                self.shared
                    .insert(format!("{row}_{number}"), (piece.to_vec(), 0));
            }
            self.post(board);
        }
    }

    fn spoil(&mut self, key: u8, place: u8) {
        let keys = self.shared.len().max(1);
        let datum = self.shared.values_mut().nth(usize::from(key) % keys);
        if let Some(byte) = datum.and_then(|(bytes, _)| bytes.get_mut(usize::from(place))) {
            // A host keeps what it is given; other plugins may write anywhere, but none forges a time or a lease.
            if !(8..52).contains(&place) {
                *byte ^= 0x55;
            }
        }
    }

    fn judged(&self, vm: usize, client: u8) -> Result<(), Asked> {
        Request::of(client).judged(&self.vms[vm], self.now, &limits())
    }

    fn who_clears(&self, client: u8) -> Vec<bool> {
        let all = 0..self.vms.len();
        all.map(|vm| self.judged(vm, client).is_ok()).collect()
    }

    fn builds(&self) -> Vec<Option<u64>> {
        let image = |vm: &Local| vm.image().map(PolicyImage::build);
        self.vms.iter().map(image).collect()
    }

    fn holder(&self) -> Option<usize> {
        let Seen::Board(bytes) = self.seen() else {
            return None;
        };
        let owner = Board::read(bytes)?.owner;
        self.vms.iter().position(|vm| vm.me == owner)
    }
}
