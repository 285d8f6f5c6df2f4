//! The section `access_log_rotation`. A bound of 0 means that there is none.

use std::time::Duration;

use ase_core::fault::Fields;

use crate::access_log::rotation::{Compression, Rotation};

const DAY: u64 = 86_400;

/// Reads the section; its defaults are those of [`Rotation`].
pub(super) fn read(fields: &mut Fields<'_, '_>) -> Rotation {
    let default = Rotation::default();
    let mut section = fields.object("access_log_rotation");
    let mut bound = |key: &str, most: u64, default: Option<u64>| {
        let found = section.integer(key, 0..=most, default.unwrap_or(0));
        (found > 0).then_some(found)
    };
    let max_bytes = bound("max_bytes", u64::MAX, default.max_bytes);
    let every = bound("every_s", 366 * DAY, default.every.map(|t| t.as_secs()));
    let days = default.keep_for.map(|time| time.as_secs() / DAY);
    let keep_days = bound("keep_days", 100_000, days);
    let keep_bytes = bound("keep_bytes", u64::MAX, default.keep_bytes);
    let choices = [("gzip", Compression::Gzip), ("none", Compression::None)];
    let compression = section.choice("compression", &choices, default.compression);
    section.finish();
    Rotation {
        max_bytes,
        every: every.map(Duration::from_secs),
        compression,
        keep_for: keep_days.map(|days| Duration::from_secs(days.saturating_mul(DAY))),
        keep_bytes,
    }
}
