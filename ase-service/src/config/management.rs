//! The settings of the management port beside its address.

use std::path::Path;

use ase_core::fault::Fields;

use super::{Exposure, Overrides};
use crate::secret::Secret;
use crate::tls::TlsFiles;

/// How the management port is guarded.
#[derive(Clone, Debug)]
pub struct ManagementSettings {
    /// Names under which callers may address the port, beside addresses and `localhost`.
    pub hosts: Vec<String>,
    /// How callers' secrets are kept from listeners on the way.
    pub tls: AdminTls,
    /// Whether the data port may be without tokens: it is on loopback, or the operator has said so.
    pub exposure: Exposure,
    /// The management secret of the first start; without one it is made.
    pub first_secret: Option<Secret>,
}

/// TLS of the management port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminTls {
    /// Plain HTTP.
    Off,
    /// With a certificate that the first start makes.
    SelfSigned,
    /// With the operator's certificate and key.
    Files(TlsFiles),
}

impl ManagementSettings {
    pub(super) fn read(
        fields: &mut Fields<'_, '_>,
        exposure: Exposure,
        (overrides, folder): (&Overrides, &Path),
    ) -> Self {
        let first_secret = first_secret(fields, overrides);
        Self {
            hosts: fields.list("admin_hosts", |item| item.custom(host_name)),
            tls: admin_tls(fields, folder),
            exposure,
            first_secret,
        }
    }
}

fn admin_tls(fields: &mut Fields<'_, '_>, folder: &Path) -> AdminTls {
    let Some(mut item) = fields.item("admin_tls") else {
        return AdminTls::Off;
    };
    if item.value().as_str().is_some() {
        let choices = [("self_signed", AdminTls::SelfSigned)];
        return item.choice(&choices).unwrap_or(AdminTls::Off);
    }
    let mut files = item.fields();
    let (cert, key) = (files.required_text("cert"), files.required_text("key"));
    files.finish();
    match (cert, key) {
        (Some(cert), Some(key)) => AdminTls::Files(TlsFiles {
            cert: folder.join(cert),
            key: folder.join(key),
            client_ca: None,
        }),
        (_, _) => AdminTls::Off,
    }
}

fn first_secret(fields: &mut Fields<'_, '_>, overrides: &Overrides) -> Option<Secret> {
    let (source, text) = match (&overrides.admin_secret_file, &overrides.admin_secret) {
        (Some(file), _) => match std::fs::read_to_string(file) {
            Ok(text) => ("--admin-secret-file", text),
            Err(error) => {
                let path = file.display();
                fields.fault(
                    "--admin-secret-file",
                    format_args!("{path} cannot be read: {error}"),
                );
                return None;
            }
        },
        (None, Some(secret)) => ("ASE_ADMIN_SECRET", secret.reveal().to_owned()),
        (None, None) => return None,
    };
    match Secret::for_management(text.trim()) {
        Ok(secret) => Some(secret),
        Err(rule) => {
            fields.fault(source, rule);
            None
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
