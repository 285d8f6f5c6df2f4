//! The section `metrics`: who may read `/metrics`.

use std::net::SocketAddr;

use ase_core::fault::Fields;

/// Who may read the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Whoever reaches the management port.
    Open,
    /// Whoever shows the management headers.
    Secret,
}

/// Reads the section. Without it the metrics are open where only this machine can reach them.
pub(super) fn read(fields: &mut Fields<'_, '_>, admin: Option<SocketAddr>) -> Access {
    let mut section = fields.object("metrics");
    let loopback = admin.is_none_or(|address| address.ip().is_loopback());
    let default = if loopback {
        Access::Open
    } else {
        Access::Secret
    };
    let choices = [
        ("auto", default),
        ("open", Access::Open),
        ("secret", Access::Secret),
    ];
    let access = section.choice("access", &choices, default);
    section.finish();
    access
}
