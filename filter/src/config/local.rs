//! How the image of `local` mode is kept.

use std::time::Duration;

use ase_core::fault::Fields;
use ase_core::policy_image::FingerprintBits;

use super::{Ase, Delivery};
use crate::local::{LONGEST_AGE_MS, LocalLimits};

/// A VM that fetches may be silent for so many calls before another one does.
const LEASE_POLLS: u32 = 10;
/// Shortest lease: a busy worker is not a dead one.
const MIN_LEASE: Duration = Duration::from_millis(500);

/// Whether any request is judged by an image, so that it matters how old one gets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Some,
    None,
}

/// Reads the key `local`.
pub(super) fn read(
    mut fields: Fields<'_, '_>,
    ase: &Ase,
    delivery: &Delivery,
    usage: Use,
) -> LocalLimits {
    let max_age = super::read::millis(fields.integer("max_age_ms", 100..=LONGEST_AGE_MS, 60_000));
    let poll_ticks = fields.integer("poll_ticks", 1..=10_000_u32, 2);
    let largest = fields.integer("max_image_bytes", 4096..=268_435_456_u32, 8_388_608);
    let width = match fields.integer("fingerprint_bits", 8..=16_u8, 8) {
        8 => FingerprintBits::Eight,
        16 => FingerprintBits::Sixteen,
        _ => {
            fields.fault("fingerprint_bits", "must be 8 or 16");
            FingerprintBits::Eight
        }
    };
    let poll = delivery.tick.saturating_mul(poll_ticks);
    if usage == Use::Some && poll.saturating_mul(2) > max_age {
        fields.fault(
            "max_age_ms",
            "must be twice as long as local.poll_ticks ticks of delivery.tick_ms, or longer: else no image is ever fresh",
        );
    }
    fields.finish();
    let patience = delivery.timeout.as_millis() / delivery.tick.as_millis().max(1);
    LocalLimits {
        max_age,
        poll_ticks,
        quiet: quiet(delivery.tick, poll_ticks),
        max_image_bytes: usize::try_from(largest).unwrap_or(usize::MAX),
        width,
        lease: poll.saturating_mul(LEASE_POLLS).max(MIN_LEASE),
        patience_ticks: u32::try_from(patience)
            .unwrap_or(u32::MAX)
            .saturating_mul(2)
            .saturating_add(2),
        key: key(ase, width),
    }
}

/// A call can be put off by one tick as long as it then goes out `poll_ticks` after the last confirmation. A quarter of a tick more lets a confirmation be on its way between two ticks.
fn quiet(tick: Duration, poll_ticks: u32) -> Duration {
    tick.saturating_mul(poll_ticks.saturating_sub(1))
        .saturating_add(tick / 4)
}

/// FNV-1a over all that makes an image another one: two configurations in one VM may speak to two ASEs. Not the token, which changes more often than the gateway is
/// started anew: what is in the host's shared data stays there.
fn key(ase: &Ase, width: FingerprintBits) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut mix = |text: &str| {
        for byte in text.bytes().chain([0]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    for peer in [Some(&ase.primary), ase.secondary.as_ref()]
        .into_iter()
        .flatten()
    {
        mix(&peer.cluster);
        mix(&peer.authority);
    }
    mix(&ase.image_path);
    mix(match width {
        FingerprintBits::Eight => "8",
        FingerprintBits::Sixteen => "16",
    });
    format!("ase_image_{hash:016x}")
}
