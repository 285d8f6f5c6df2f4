//! Who is answerable for a transaction.
//!
//! A *proven* credential shields the address that it comes from: one user behind a shared address does not block the others.
//! Proven is what the gateway has verified, and a secret that has been answered well over time and from more than one
//! network. Until then the address answers as well, so that a fresh cookie or key per request hides nobody. A user name in
//! an unverified token is never held against anybody, so nobody can frame the one who bears it. What many networks share,
//! such as the public key of a mobile application, stands for no single client: it neither shields nor is listed.

use ase_core::address::{Ipv6Width, Network};
use ase_core::credential::CredentialKind;
use ase_core::identifier_list::ListedIdentifier;
use ase_core::identity::Provenance;

use crate::client::{Client, Standing};
use crate::clients::{Clients, Slot};
use crate::counters::Counters;
use crate::detectors::theft::{self, Spread};
use crate::signs::{Answer, Signs};
use crate::transaction::{Carried, Transaction};

/// Most credentials of one request that are looked at.
pub(crate) const MAX_CREDENTIALS: usize = 4;
/// Well answered requests that prove a secret, together with [`PROOF_SECONDS`] and a second network.
const PROOF_ANSWERS: u16 = 20;
const PROOF_SECONDS: f32 = 10.0 * 60.0;

/// Everybody who is answerable for a transaction.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Blamed {
    /// No credential came with the request that had come before.
    pub(crate) unknown_bearer: bool,
    pub(crate) subjects: [Option<Subject>; MAX_CREDENTIALS + 1],
}

/// One of those.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject {
    pub(crate) slot: Slot,
    pub(crate) role: Role,
}

/// In what way somebody is answerable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// An address without a shield.
    Address,
    /// A credential that stands for one client.
    Proven,
    /// A credential that anybody could have made up: watched, and not listed alone.
    Unproven,
}

/// Finds out who is answerable, making and touching their records. Slots of records that were forgotten for it go to `forgotten`.
pub(crate) fn blame(
    transaction: &Transaction<'_>,
    signs: &Signs,
    clients: &mut Clients,
    width: Ipv6Width,
    counters: &mut Counters,
    forgotten: &mut Vec<Slot>,
) -> Blamed {
    let mut blamed = Blamed {
        unknown_bearer: true,
        ..Blamed::default()
    };
    let mut shielded = false;
    let (looked_at, left_out) = transaction
        .credentials
        .split_at(transaction.credentials.len().min(MAX_CREDENTIALS));
    counters.credentials_left_out += left_out.len() as u64;
    let [address, others @ ..] = &mut blamed.subjects;
    for (place, carried) in others.iter_mut().zip(looked_at) {
        if !counts(carried, signs) {
            continue;
        }
        let identifier = ListedIdentifier::Credential {
            kind: carried.kind,
            id: carried.id,
        };
        let (slot, evicted) = clients.touch(identifier, signs.at, counters);
        forgotten.extend(evicted);
        let Some(client) = clients.get_mut(slot) else {
            continue;
        };
        blamed.unknown_bearer &= client.requests == 0;
        let role = role(client, carried, signs);
        shielded |= role == Role::Proven;
        *place = Some(Subject { slot, role });
    }
    if !shielded {
        let network: Network = transaction.client.network(width);
        let (slot, evicted) = clients.touch(ListedIdentifier::Network(network), signs.at, counters);
        forgotten.extend(evicted);
        let role = Role::Address;
        *address = Some(Subject { slot, role });
    }
    blamed
}

/// Whether a credential is looked at. A user name counts when it is verified, and not where it was refused: an impersonator would get the victim blocked.
fn counts(carried: &Carried, signs: &Signs) -> bool {
    let verified = carried.provenance == Provenance::Verified;
    match carried.kind {
        CredentialKind::Username => verified && signs.answer != Answer::Unauthorized,
        CredentialKind::Cookie | CredentialKind::Token | CredentialKind::ApiKey => true,
    }
}

fn role(client: &mut Client, carried: &Carried, signs: &Signs) -> Role {
    theft::learn(client, signs);
    let spread = client.places.spread(signs.at);
    if carried.provenance == Provenance::Verified {
        client.standing = Standing::Proven;
    } else if signs.answer == Answer::Success {
        prove(client, signs, spread);
    }
    let accepted = signs.answer != Answer::Unauthorized;
    match (client.standing, spread) {
        (Standing::Proven, Spread::One | Spread::Few) if accepted => Role::Proven,
        (Standing::Proven | Standing::Unproven, _) => Role::Unproven,
    }
}

fn prove(client: &mut Client, signs: &Signs, spread: Spread) {
    if client.answered == 0 {
        client.proven_since = signs.at;
    }
    client.answered = client.answered.saturating_add(1);
    let long_enough = signs.at.seconds_since(client.proven_since) >= PROOF_SECONDS;
    if client.answered >= PROOF_ANSWERS && long_enough && spread > Spread::One {
        client.standing = Standing::Proven;
    }
}
