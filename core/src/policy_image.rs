//! The policy image: what a gateway has to know to tell, without a question, that ASE has nothing against a request.
//!
//! ASE [builds](build()) it from its snapshot; a gateway reads it where it lies, in one block of bytes. It answers in one direction
//! only: where [`PolicyImage::judge`] says [`Judgement::Pass`], [`crate::decision::decide`] would block nothing, detect nothing
//! and want nothing; everything else is a question. It never blocks anybody. `docs/decisions/0012-local-mode.md` has the reasons,
//! `docs/wire.md` the bytes.
//!
//! Any bytes are either an image or refused; look-ups in an image that contradicts itself end and say "ask".

use std::net::IpAddr;

use crate::address::{ClientAddress, Network};
use crate::credential::{CredentialKey, CredentialKind};
use crate::headers::Headers;
use crate::host::HostName;
use crate::identifier_list::ListedIdentifier;
use crate::identity::{Credential, Credentials, Kinds};
use crate::jwt::usernames;
use crate::path::NormalPath;
use crate::text;

mod apis;
mod build;
mod fuse;
mod member;
mod overlay;
mod parts;
mod ranges;
mod read;

use apis::{ApiNames, Traits};
pub use build::{BuildError, RANGES_BYTES, Settings, build, reseal, reseal_overlay};
pub use fuse::FingerprintBits;
use member::{MemberKey, Numbers, Probe};
use overlay::Overlay;
pub use overlay::{MAX_OVERLAY_RECORDS, OverlayFault};
use parts::{Parts, RingKey};
pub use read::ImageFault;

/// An image and what was listed since; see the module's text.
#[derive(Clone, Debug)]
pub struct PolicyImage {
    bytes: Vec<u8>,
    parts: Parts,
    overlay: Overlay,
}

/// What a gateway would tell ASE of a request, as far as a decision depends on it.
#[derive(Clone, Copy, Debug)]
pub struct LocalRequest<'r> {
    /// The client's address; nothing can be said of a request without one.
    pub client: Option<ClientAddress>,
    /// All headers; ASE may be told of fewer.
    pub headers: &'r Headers<'r>,
    /// The request target as it came.
    pub url: &'r [u8],
    /// The host that ASE would be told, as it came.
    pub host: Option<&'r [u8]>,
    /// The credentials that the gateway has found by its own configuration, user names among them.
    pub credentials: &'r Credentials<'r>,
    /// The user name that ASE would be told in `user_info`.
    pub username: Option<&'r [u8]>,
}

/// What an image says of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Judgement {
    /// ASE has nothing against it.
    Pass,
    /// Only ASE can tell.
    Ask(AskReason),
}

/// Why ASE has to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AskReason {
    /// No API has such a host and path, by one of the ways to read them.
    UnknownApi,
    /// The API has rules that the gateway cannot evaluate.
    AlwaysAsk,
    /// The client's address may be listed.
    ListedAddress,
    /// A credential of this kind may be listed.
    ListedCredential(CredentialKind),
    /// The request carries a credential of a kind of which some are listed, under a key that the gateway has not.
    NoKey(CredentialKind),
    /// The request lacks an address, a host or a target, or carries more credentials than are looked at.
    Undecidable,
}

impl PolicyImage {
    /// Reads an image and the overlay at its end. The bytes stay as they are and where they are.
    ///
    /// # Errors
    /// When they are not one whole image; then nothing of them is used.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, ImageFault> {
        let parts = Parts::read(&bytes)?;
        let mut overlay = Overlay::default();
        let behind = bytes.get(parts.length..).unwrap_or_default();
        overlay
            .extend(parts.build, behind)
            .map_err(|_| ImageFault::Overlay)?;
        Ok(Self {
            bytes,
            parts,
            overlay,
        })
    }

    /// The bytes that it was read from, for use as a buffer.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The bytes that it was read from: an image with the overlay that it had then.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The image with all of its overlay, as [`Self::parse`] reads it.
    #[must_use]
    pub fn whole(&self) -> Vec<u8> {
        let mut whole = self.base().to_vec();
        self.write_overlay(0, &mut whole);
        whole
    }

    /// The image without any overlay.
    #[must_use]
    pub fn base(&self) -> &[u8] {
        self.bytes.get(..self.parts.length).unwrap_or_default()
    }

    /// Names the build.
    #[must_use]
    pub fn build(&self) -> u64 {
        self.parts.build
    }

    /// How many bits of a hash its filter keeps.
    #[must_use]
    pub fn width(&self) -> FingerprintBits {
        self.parts.width
    }

    /// How many records its overlay has.
    #[must_use]
    pub fn revision(&self) -> u32 {
        self.overlay.revision()
    }

    /// Takes in what was listed since: a document that [`Self::write_overlay`] made. What is known already is passed over.
    ///
    /// # Errors
    /// When it is no such document, or does not go on where this image is; then nothing of it is taken.
    pub fn extend(&mut self, overlay: &[u8]) -> Result<(), OverlayFault> {
        self.overlay.extend(self.parts.build, overlay)
    }

    /// Appends the document of what was listed behind revision `from`.
    pub fn write_overlay(&self, from: u32, out: &mut Vec<u8>) {
        self.overlay.write(self.parts.build, from, out);
    }

    /// Lists one identifier more: the next revision, unless the image asks about it anyway.
    ///
    /// # Errors
    /// When the overlay is full.
    pub fn add(&mut self, identifier: &ListedIdentifier) -> Result<(), OverlayFault> {
        let (probe, key) = self.parts.members.listed(identifier);
        if self.asks_about(identifier, probe, key) {
            return Ok(());
        }
        self.overlay.push(probe, key)
    }

    /// What can be said of a request without ASE. `keys` are the credential keys of the gateway, if it has any.
    #[must_use]
    pub fn judge(&self, request: &LocalRequest<'_>, keys: &[CredentialKey]) -> Judgement {
        match self.pass(request, keys) {
            Ok(()) => Judgement::Pass,
            Err(reason) => Judgement::Ask(reason),
        }
    }

    fn pass(&self, request: &LocalRequest<'_>, keys: &[CredentialKey]) -> Result<(), AskReason> {
        let (Some(client), Some(host), false) =
            (request.client, request.host, request.url.is_empty())
        else {
            return Err(AskReason::Undecidable);
        };
        self.pass_address(client)?;
        // ASE reads what a question says, which is text.
        let (url, host) = (text::of(request.url), text::of(host));
        let hosts = HostName::readings(std::iter::once(host.as_bytes()));
        let mut apis: Vec<Traits> = Vec::with_capacity(1);
        for path in &NormalPath::readings(&url) {
            if hosts.is_empty() {
                self.pass_api(None, path, &mut apis)?;
            }
            for host in &hosts {
                self.pass_api(Some(host), path, &mut apis)?;
            }
        }
        let listed = self.listed_kinds();
        if listed.is_empty() {
            return Ok(());
        }
        self.pass_credentials(request.credentials, &Credentials::default(), listed, keys)?;
        if let Some(username) = request.username {
            let username = text::of(username);
            self.pass_credential(CredentialKind::Username, "", &username, listed, keys)?;
        }
        for names in apis.iter().filter_map(|api| self.parts.apis.names(*api)) {
            self.pass_names(request, &url, names, listed, keys)?;
        }
        Ok(())
    }

    fn pass_address(&self, client: ClientAddress) -> Result<(), AskReason> {
        let (filtered, added) = match client.ip() {
            IpAddr::V4(_) => (&self.parts.v4, &self.overlay.v4),
            IpAddr::V6(_) => (&self.parts.v6, &self.overlay.v6),
        };
        let listed = self.parts.ranges.hold(&self.bytes, &Network::of(client))
            || filtered.union(added).iter().any(|prefix| {
                let key = self.parts.members.network(client, prefix);
                (filtered.has(prefix) && self.in_filter(key))
                    || (added.has(prefix) && self.overlay.holds(key))
            });
        if listed {
            return Err(AskReason::ListedAddress);
        }
        Ok(())
    }

    fn pass_api(
        &self,
        host: Option<&HostName>,
        path: &NormalPath,
        apis: &mut Vec<Traits>,
    ) -> Result<(), AskReason> {
        let found = self.parts.apis.find(&self.bytes, host, path);
        let api = found.ok_or(AskReason::UnknownApi)?;
        if !api.local {
            return Err(AskReason::AlwaysAsk);
        }
        if !apis.contains(&api) {
            apis.push(api);
        }
        Ok(())
    }

    /// What an API's definition finds, as [`crate::decision`] does.
    fn pass_names(
        &self,
        request: &LocalRequest<'_>,
        url: &str,
        names: &ApiNames,
        listed: Kinds,
        keys: &[CredentialKey],
    ) -> Result<(), AskReason> {
        let found =
            Credentials::find_some(request.headers, url.as_bytes(), &names.credentials, listed);
        self.pass_credentials(&found, request.credentials, listed, keys)?;
        let Some(jwt) = &names.jwt else {
            return Ok(());
        };
        if !listed.include(CredentialKind::Username) {
            return Ok(());
        }
        for claimed in usernames(request.headers, url, jwt) {
            let username = &claimed.username;
            self.pass_credential(CredentialKind::Username, "", username, listed, keys)?;
        }
        Ok(())
    }

    /// All but those that have been `looked_up` before: an id costs more than everything else.
    fn pass_credentials(
        &self,
        credentials: &Credentials<'_>,
        looked_up: &Credentials<'_>,
        listed: Kinds,
        keys: &[CredentialKey],
    ) -> Result<(), AskReason> {
        // ASE may be told of fewer, and then keeps others.
        if credentials.left_out() > 0 {
            return Err(AskReason::Undecidable);
        }
        let is_same = |one: &Credential<'_>, other: &Credential<'_>| {
            one.kind == other.kind && one.name == other.name && one.value == other.value
        };
        let mut new = credentials
            .iter()
            .filter(|found| !looked_up.iter().any(|known| is_same(known, found)));
        new.try_for_each(|found| {
            self.pass_credential(found.kind, &found.name, &found.value, listed, keys)
        })
    }

    fn pass_credential(
        &self,
        kind: CredentialKind,
        name: &str,
        value: &str,
        listed: Kinds,
        keys: &[CredentialKey],
    ) -> Result<(), AskReason> {
        if value.is_empty() || !listed.include(kind) {
            return Ok(());
        }
        let under = self.credential_keys(kind);
        if !self.has_keys(&under, keys) {
            return Err(AskReason::NoKey(kind));
        }
        for key in keys.iter().filter(|key| under.has(key.id().0)) {
            let id = key.id_of(kind, name, value.as_bytes());
            let member = self.parts.members.credential(kind, &id);
            if self.in_filter(member) || self.overlay.holds(member) {
                return Err(AskReason::ListedCredential(kind));
            }
        }
        Ok(())
    }

    /// Whether `keys` make every id of a credential that ASE could find on its list. What is listed under a key that ASE has lost
    /// is found only where a gateway has that key.
    fn has_keys(&self, under: &Numbers, keys: &[CredentialKey]) -> bool {
        let ring = &self.parts.ring;
        let held = |ring: &RingKey| {
            keys.iter()
                .any(|key| key.id() == ring.id && key.check() == ring.check)
        };
        let mut needed = ring.iter().filter(|ring| under.has(ring.id.0));
        needed.all(held)
    }

    /// Whether every request of a listed identifier is asked about.
    fn asks_about(&self, identifier: &ListedIdentifier, probe: Probe, key: MemberKey) -> bool {
        let Parts { kinds, v4, v6, .. } = &self.parts;
        let exactly = match identifier {
            ListedIdentifier::Network(network) => self.parts.ranges.hold(&self.bytes, network),
            ListedIdentifier::Credential { .. } => false,
        };
        let is_probed = match probe {
            Probe::V4(prefix) => v4.has(prefix),
            Probe::V6(prefix) => v6.has(prefix),
            Probe::Credential(kind, id) => kinds.of(kind).has(id.0),
        };
        exactly || self.overlay.holds(key) || (is_probed && self.in_filter(key))
    }

    fn listed_kinds(&self) -> Kinds {
        CredentialKind::ALL
            .into_iter()
            .filter(|kind| !self.credential_keys(*kind).is_empty())
            .fold(Kinds::NONE, Kinds::with)
    }

    fn credential_keys(&self, kind: CredentialKind) -> Numbers {
        let added = self.overlay.kinds.of(kind);
        self.parts.kinds.of(kind).union(&added)
    }

    fn in_filter(&self, key: MemberKey) -> bool {
        let fuse = self.parts.fuse.as_ref();
        fuse.is_some_and(|fuse| fuse.holds(&self.bytes, key))
    }
}
