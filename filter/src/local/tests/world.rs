//! The stage of these tests: VMs, an ASE and the host's shared data.

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

use super::*;
use crate::outbox::News;

pub(super) const TICK: Duration = Duration::from_millis(50);
pub(super) const MAX_AGE: Duration = Duration::from_secs(3);

/// What becomes of the next answers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    Arrives,
    Lost,
    /// So many ticks later, 0 for the end of this one.
    Late(u32),
    Spoiled,
}

pub(super) fn limits() -> LocalLimits {
    LocalLimits {
        max_age: MAX_AGE,
        poll_ticks: 2,
        quiet: TICK + TICK / 4,
        max_image_bytes: 1 << 20,
        width: FingerprintBits::Eight,
        lease: Duration::from_secs(1),
        patience_ticks: 20,
        key: "ase_image_test".to_owned(),
    }
}

pub(super) struct Ase {
    snapshot: Snapshot,
    pub(super) image: PolicyImage,
    pub(super) listed: Vec<(u8, Moment)>,
    pub(super) is_up: bool,
    pub(super) whole_images: u32,
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

    pub(super) fn build(&self) -> u64 {
        self.image.build()
    }

    pub(super) fn list(&mut self, client: u8) {
        self.list_at(client, Moment::default());
    }

    pub(super) fn list_at(&mut self, client: u8, now: Moment) {
        let entry = Entry::everywhere(Source::Engine, "", UnixMillis(0));
        let identifier = ListedIdentifier::Network(address(client).prefixed(32));
        self.image.add(&identifier).unwrap();
        self.snapshot.attack.insert(identifier, entry);
        self.listed.push((client, now));
    }

    pub(super) fn rebuild(&mut self) {
        self.image = built(&self.snapshot, self.image.build() + 1);
    }

    /// What the receipt of a batch that names this image says of it.
    fn receipt(&self, (build, revision): (u64, u32)) -> News {
        if build != self.image.build() {
            return News::Stale;
        }
        if revision == self.image.revision() {
            return News::Current;
        }
        let mut overlay = Vec::new();
        self.image.write_overlay(revision, &mut overlay);
        News::Overlay(overlay)
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

pub(super) struct Request(ClientAddress);

impl Request {
    pub(super) fn of(client: u8) -> Self {
        Self(address(client))
    }

    pub(super) fn judged(
        &self,
        vm: &Local,
        now: Moment,
        limits: &LocalLimits,
    ) -> Result<(), Asked> {
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
    ticks: u32,
    to: u64,
    token: CalloutToken,
    answer: Option<(bool, Vec<u8>)>,
}

pub(super) struct World {
    pub(super) vms: Vec<Local>,
    pub(super) ase: Ase,
    pub(super) shared: BTreeMap<String, Vec<u8>>,
    pub(super) shares: bool,
    pub(super) now: Moment,
    pub(super) way: Way,
    pub(super) limits: LocalLimits,
    late: Vec<Late>,
    /// Who has records to send at each tick.
    pub(super) busy: Vec<usize>,
    /// Who does nothing for so many ticks more.
    pub(super) stalled: BTreeMap<u64, u32>,
    pub(super) calls: u32,
    /// How often a receipt was told to the others.
    pub(super) posts: u32,
    pub(super) torn: u32,
}

impl World {
    pub(super) fn of(vms: u64) -> Self {
        let mut vms: Vec<Local> = (1..=vms).map(Local::new).collect();
        vms.iter_mut().for_each(Local::want);
        Self {
            vms,
            ase: Ase::new(),
            shared: BTreeMap::new(),
            shares: true,
            now: Moment::from_nanos(1_700_000_000_000_000_000),
            way: Way::Arrives,
            limits: limits(),
            late: Vec::new(),
            busy: Vec::new(),
            stalled: BTreeMap::new(),
            calls: 0,
            posts: 0,
            torn: 0,
        }
    }

    pub(super) fn seen(&self) -> Seen<'_> {
        match self.shared.get(&limits().key) {
            _ if !self.shares => Seen::Alone,
            Some(board) => Seen::Board(board),
            None => Seen::Nothing,
        }
    }

    pub(super) fn post(&mut self, board: Vec<u8>) {
        self.shared.insert(limits().key, board);
    }

    pub(super) fn ticks(&mut self, ticks: u32) {
        for _ in 0..ticks {
            self.now = self.now.after(TICK);
            let slept: Vec<u64> = self.stalled.keys().copied().collect();
            self.stalled.retain(|_, left| {
                *left = left.saturating_sub(1);
                *left > 0
            });
            // Whoever has just woken finds its answers before it ticks.
            self.deliver_late(|to| slept.contains(&to));
            for vm in 0..self.vms.len() {
                if !self.stalled.contains_key(&self.vms[vm].me) {
                    self.tick(vm);
                    if self.busy.contains(&vm) && self.ase.is_up {
                        self.batch(vm);
                    }
                }
            }
            self.deliver_late(|_| true);
            for late in &mut self.late {
                late.ticks = late.ticks.saturating_sub(1);
            }
        }
    }

    fn deliver_late(&mut self, listens: impl Fn(u64) -> bool) {
        let (due, rest): (Vec<Late>, _) =
            std::mem::take(&mut self.late)
                .into_iter()
                .partition(|late| {
                    late.ticks == 0 && listens(late.to) && !self.stalled.contains_key(&late.to)
                });
        self.late = rest;
        for Late {
            to, token, answer, ..
        } in due
        {
            if let Some(vm) = self.vms.iter().position(|vm| vm.me == to) {
                self.deliver(vm, token, answer);
            }
        }
    }

    /// Does nothing for so many ticks; answers wait for it.
    pub(super) fn stall(&mut self, vm: usize, ticks: u32) {
        self.stalled.insert(self.vms[vm].me, ticks + 1);
    }

    fn tick(&mut self, vm: usize) {
        let limits = self.limits.clone();
        let mut local = std::mem::replace(&mut self.vms[vm], Local::new(99));
        let wish = local.tick(self.seen(), self.now, &limits);
        while let Some(piece) = local.wanted_piece() {
            let key = format!("{}_{}", piece.row, piece.number);
            let bytes = self.shared.get(&key).map(Vec::as_slice);
            if local.piece(bytes).is_err() {
                self.torn += 1;
                if let Some(board) = local.disowned(self.seen(), self.now) {
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
                Way::Late(ticks) => self.late.push(Late {
                    ticks,
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
        let limits = self.limits.clone();
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
                    if let Some(board) = local.news(self.seen(), self.now) {
                        self.post(board);
                    }
                }
                Err(_) => local.failed(&limits),
            }
        }
        self.vms[vm] = local;
    }

    /// A batch goes out, and its receipt comes at once.
    fn batch(&mut self, vm: usize) {
        let Some(named) = self.vms[vm].named(self.now) else {
            return;
        };
        let news = self.ase.receipt(named.image);
        if self.vms[vm].heard(&news, named).unwrap()
            && let Some(board) = self.vms[vm].news(self.seen(), self.now)
        {
            self.posts += 1;
            self.post(board);
        }
    }

    /// Shares the image of this one.
    pub(super) fn publish_of(&mut self, vm: usize) {
        let local = std::mem::replace(&mut self.vms[vm], Local::new(99));
        self.publish(&local);
        self.vms[vm] = local;
    }

    fn publish(&mut self, local: &Local) {
        if let (true, Some((row, board))) = (self.shares, local.publication(self.seen(), self.now))
        {
            let pieces = local.image().unwrap().as_bytes().chunks(PIECE_BYTES);
            for (number, piece) in pieces.enumerate() {
                self.shared
                    .insert(format!("{row}_{number}"), piece.to_vec());
            }
            self.post(board);
        }
    }

    pub(super) fn spoil(&mut self, key: u8, place: u8) {
        let keys = self.shared.len().max(1);
        let datum = self.shared.values_mut().nth(usize::from(key) % keys);
        if let Some(byte) = datum.and_then(|bytes| bytes.get_mut(usize::from(place))) {
            // A host keeps what it is given; other plugins may write anywhere, but none forges a time or a lease.
            if !(8..60).contains(&place) {
                *byte ^= 0x55;
            }
        }
    }

    pub(super) fn judged(&self, vm: usize, client: u8) -> Result<(), Asked> {
        Request::of(client).judged(&self.vms[vm], self.now, &limits())
    }

    pub(super) fn who_clears(&self, client: u8) -> Vec<bool> {
        let all = 0..self.vms.len();
        all.map(|vm| self.judged(vm, client).is_ok()).collect()
    }

    pub(super) fn builds(&self) -> Vec<Option<u64>> {
        let image = |vm: &Local| vm.image().map(PolicyImage::build);
        self.vms.iter().map(image).collect()
    }

    pub(super) fn holder(&self) -> Option<usize> {
        let Seen::Board(bytes) = self.seen() else {
            return None;
        };
        let owner = Board::read(bytes)?.owner;
        self.vms.iter().position(|vm| vm.me == owner)
    }
}
