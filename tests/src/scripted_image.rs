//! A policy image as the scripted ASE serves it: made by `core`'s own builder, extended and replaced by the test.

use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use ase_core::address::ClientAddress;
use ase_core::api_id::ApiId;
use ase_core::credential::{CredentialKey, KeyId, KeyRing};
use ase_core::decision::Snapshot;
use ase_core::identifier_list::{Entry, ListedIdentifier, Source};
use ase_core::policy_image::{self, FingerprintBits, PolicyImage, Settings};
use ase_core::registry::{ApiDefinition, Registry};
use ase_core::time::UnixMillis;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// An image, and what it is built from next time.
pub struct ScriptedImage {
    snapshot: Snapshot,
    width: FingerprintBits,
    image: PolicyImage,
}

impl ScriptedImage {
    /// The image of one API and of these clients on the deny list. `width` holds whatever a gateway asks for.
    ///
    /// # Errors
    /// When the definition is wrong.
    pub fn of(
        api: &str,
        clients: impl Iterator<Item = ClientAddress>,
        width: FingerprintBits,
    ) -> Result<Self> {
        let id = ApiId::parse("api").map_err(|fault| anyhow!("{fault}"))?;
        let (api, _) =
            ApiDefinition::from_json(id, api.as_bytes()).map_err(|fault| anyhow!("{fault}"))?;
        let registry = Registry::compile([api]).map_err(|fault| anyhow!("{fault:?}"))?;
        let mut snapshot = Snapshot {
            registry: Arc::new(registry),
            ..Snapshot::default()
        };
        for client in clients {
            snapshot.attack.insert(listed(client), entry());
        }
        let image = built(&snapshot, width, 1)?;
        Ok(Self {
            snapshot,
            width,
            image,
        })
    }

    /// Lists one client more, as the next revision.
    ///
    /// # Errors
    /// When the overlay is full.
    pub fn list(&mut self, client: ClientAddress) -> Result<()> {
        self.snapshot.attack.insert(listed(client), entry());
        Ok(self.image.add(&listed(client))?)
    }

    /// Builds anew.
    ///
    /// # Errors
    /// When there can be no such image.
    pub fn rebuild(&mut self) -> Result<()> {
        self.image = built(&self.snapshot, self.width, self.image.build() + 1)?;
        Ok(())
    }

    /// The size of the whole image.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.image.as_bytes().len()
    }

    /// What the receipt of a batch to this target says of it, where the batch names an image.
    pub(crate) fn news(&self, target: &str) -> Result<Option<String>> {
        let query = target.split_once('?').map_or("", |(_, query)| query);
        let named = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("image="));
        let Some((build, revision)) = named.map(have_of).transpose()? else {
            return Ok(None);
        };
        Ok(Some(if build != self.image.build() {
            "stale".to_owned()
        } else if revision == self.image.revision() {
            "current".to_owned()
        } else {
            let mut overlay = Vec::new();
            self.image.write_overlay(revision, &mut overlay);
            STANDARD.encode(overlay)
        }))
    }

    /// The answer to a call for it.
    pub(crate) fn reply(&self, target: &str) -> Result<Vec<u8>> {
        let query = target.split_once('?').map_or("", |(_, query)| query);
        let have = query.split('&').find_map(|pair| pair.strip_prefix("have="));
        let (kind, body) = match have.map(have_of).transpose()? {
            Some((build, revision)) if build == self.image.build() => {
                if revision == self.image.revision() {
                    return Ok(b"HTTP/1.1 204 Scripted\r\nserver: ASE\r\n\r\n".to_vec());
                }
                let mut overlay = Vec::new();
                self.image.write_overlay(revision, &mut overlay);
                ("application/vnd.ase.image-overlay", overlay)
            }
            Some(_) | None => ("application/vnd.ase.image", self.image.whole()),
        };
        let length = body.len();
        let head = format!(
            "HTTP/1.1 200 Scripted\r\nserver: ASE\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n"
        );
        Ok([head.into_bytes(), body].concat())
    }
}

impl std::fmt::Debug for ScriptedImage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScriptedImage")
            .field("bytes", &self.bytes())
            .finish_non_exhaustive()
    }
}

fn have_of(have: &str) -> Result<(u64, u32)> {
    let (build, revision) = have.split_once('.').context("have without a revision")?;
    Ok((u64::from_str_radix(build, 16)?, revision.parse()?))
}

fn listed(client: ClientAddress) -> ListedIdentifier {
    let prefix = if client.ip().is_ipv4() { 32 } else { 64 };
    ListedIdentifier::Network(client.prefixed(prefix))
}

fn entry() -> Entry {
    Entry::everywhere(Source::Engine, "", UnixMillis(0))
}

fn built(snapshot: &Snapshot, width: FingerprintBits, build: u64) -> Result<PolicyImage> {
    let keys = KeyRing::new(CredentialKey::from_bytes(KeyId(1), [2; 32]), None);
    let settings = Settings::new(&keys, width, build, [9; 16]);
    Ok(PolicyImage::parse(policy_image::build(
        snapshot, &settings,
    )?)?)
}
