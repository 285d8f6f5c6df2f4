//! The settings of the management port beside its address.

use ase_core::fault::Fields;

/// How the management port is guarded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ManagementSettings {
    /// Names under which callers may address the port, beside addresses and `localhost`.
    pub hosts: Vec<String>,
}

impl ManagementSettings {
    pub(super) fn read(fields: &mut Fields<'_, '_>) -> Self {
        Self {
            hosts: fields.list("admin_hosts", |item| item.custom(host_name)),
        }
    }
}

fn host_name(text: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if (1..=253).contains(&text.len()) && text.bytes().all(allowed) {
        Ok(text.to_owned())
    } else {
        Err(format!("{text:?} is not a host name without a port"))
    }
}
