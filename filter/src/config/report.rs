//! What ASE is told of a message: which headers, and in what form the credentials.

use std::rc::Rc;

use ase_core::credential::{CredentialId, CredentialKey, CredentialKind, KeyId};
use ase_core::fault::{Fields, Item};
use ase_core::identity::is_header;
use thiserror::Error;

use super::text;

/// What ASE is told.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Of a request's headers.
    pub request_headers: HeaderRules,
    /// Of a response's headers.
    pub response_headers: HeaderRules,
    /// Of credentials.
    pub credentials: CredentialForm,
    /// Of the client's TLS connection.
    pub tls: Vec<TlsFact>,
}

/// A fact about the client's TLS connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsFact {
    /// The protocol's version.
    Version,
    /// The server name that the client asked for.
    ServerName,
    /// Subject, URI alternative name and SHA-256 of the client's certificate.
    ClientCertificate,
}

/// Which headers are told. One on both lists is not.
#[derive(Clone, Debug, Default)]
pub struct HeaderRules {
    /// Only these; every header when absent, none when empty.
    allow: Option<Vec<NamePattern>>,
    deny: Vec<NamePattern>,
}

/// In what form credentials are told.
#[derive(Clone, Debug, Default)]
pub enum CredentialForm {
    /// As they stand in the message, so that ASE can make ids of them.
    #[default]
    Values,
    /// As ids under these keys, and nowhere else.
    Ids(Keys),
    /// Not at all; a user name is told where it is asked for.
    Removed,
}

/// The keys that ids are made with: the same as ASE's.
#[derive(Clone, Debug)]
pub struct Keys(Rc<[CredentialKey]>);

/// A header name, or the start of some.
#[derive(Clone, Debug)]
struct NamePattern {
    text: String,
    /// Further letters may follow.
    is_start: bool,
}

/// What is wrong with a credential key. Its secret is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
enum KeyFault {
    #[error("is not the id of a key: use k0 to k255")]
    Id,
    #[error("must be 64 hexadecimal digits, as `ase key show --for-gateway` prints them")]
    Secret,
}

impl Report {
    pub(super) fn read(mut fields: Fields<'_, '_>) -> Self {
        let report = Self {
            request_headers: HeaderRules::read(fields.object("request_headers"), &["host"]),
            response_headers: HeaderRules::read(fields.object("response_headers"), &[]),
            credentials: CredentialForm::read(&mut fields),
            tls: fields.list("tls", |item| {
                item.choice(&[
                    ("version", TlsFact::Version),
                    ("sni", TlsFact::ServerName),
                    ("client_certificate", TlsFact::ClientCertificate),
                ])
            }),
        };
        fields.finish();
        report
    }
}

impl HeaderRules {
    /// `needed` are names that ASE cannot do without.
    fn read(mut fields: Fields<'_, '_>, needed: &[&str]) -> Self {
        let allow = fields.list_if_present("allow", pattern);
        let deny = fields.list("deny", pattern);
        let denies = |name: &&&str| {
            deny.iter()
                .any(|known| !known.is_start && known.text == **name)
        };
        if let Some(name) = needed.iter().find(denies) {
            fields.fault(
                "deny",
                format_args!("\"{name}\" is always told: ASE decides by it"),
            );
        }
        fields.finish();
        Self { allow, deny }
    }

    /// Whether ASE is told of headers of this name.
    #[must_use]
    pub fn tell(&self, name: &[u8]) -> bool {
        let in_list = |list: &Vec<NamePattern>| list.iter().any(|pattern| pattern.matches(name));
        self.allow.as_ref().is_none_or(in_list) && !in_list(&self.deny)
    }
}

impl NamePattern {
    fn matches(&self, name: &[u8]) -> bool {
        let compared = if self.is_start {
            name.get(..self.text.len())
        } else {
            Some(name)
        };
        compared.is_some_and(|name| is_header(name, &self.text))
    }
}

fn pattern(item: &mut Item<'_, '_>) -> Option<NamePattern> {
    item.custom(|text| {
        if text == "*" {
            return Ok(NamePattern {
                text: String::new(),
                is_start: true,
            });
        }
        let start = text.strip_suffix('*');
        Ok::<_, text::TextFault>(NamePattern {
            text: text::header_name(start.unwrap_or(text))?,
            is_start: start.is_some(),
        })
    })
}

impl CredentialForm {
    /// The keys that ids are made with, where there are any.
    #[must_use]
    pub fn keys(&self) -> &[CredentialKey] {
        match self {
            Self::Ids(keys) => keys.all(),
            Self::Values | Self::Removed => &[],
        }
    }

    fn read(fields: &mut Fields<'_, '_>) -> Self {
        #[derive(Clone, Copy)]
        enum Form {
            Values,
            Ids,
            Removed,
        }
        let forms = [
            ("values", Form::Values),
            ("ids", Form::Ids),
            ("removed", Form::Removed),
        ];
        let form = fields.choice("credentials", &forms, Form::Values);
        if !matches!(form, Form::Ids) {
            fields.refuse(
                "credential_keys",
                "means something only beside \"credentials\": \"ids\"",
            );
        }
        match form {
            Form::Values => Self::Values,
            Form::Ids => Self::Ids(Keys::read(fields)),
            Form::Removed => Self::Removed,
        }
    }
}

impl Keys {
    /// Each of them.
    #[must_use]
    pub fn all(&self) -> &[CredentialKey] {
        &self.0
    }

    fn read(fields: &mut Fields<'_, '_>) -> Self {
        let keys = fields
            .required_item("credential_keys")
            .and_then(|mut item| item.list(key));
        match keys.as_ref().map(Vec::len) {
            Some(1..=2) | None => {}
            Some(_) => fields.fault(
                "credential_keys",
                "must have one key, or two during a rotation",
            ),
        }
        Self(Rc::from(keys.unwrap_or_default()))
    }

    /// The ids of a credential, one under each key.
    pub fn ids_of(
        &self,
        kind: CredentialKind,
        name: &str,
        value: &str,
    ) -> impl Iterator<Item = CredentialId> {
        self.0
            .iter()
            .map(move |key| key.id_of(kind, name, value.as_bytes()))
    }
}

fn key(item: &mut Item<'_, '_>) -> Option<CredentialKey> {
    let mut fields = item.fields();
    let id = fields.required_custom("id", key_id);
    let secret = fields.required_custom("secret", key_secret);
    fields.finish();
    Some(CredentialKey::from_bytes(id?, secret?))
}

fn key_id(text: &str) -> Result<KeyId, KeyFault> {
    let number = text
        .strip_prefix('k')
        .and_then(|digits| digits.parse().ok());
    let id: Option<u8> = number.filter(|number| format!("k{number}") == text);
    id.map(KeyId).ok_or(KeyFault::Id)
}

fn key_secret(text: &str) -> Result<[u8; 32], KeyFault> {
    let mut secret = [0; 32];
    if text.len() != 2 * secret.len() {
        return Err(KeyFault::Secret);
    }
    for (byte, digits) in secret.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digit = |at: usize| char::from(*digits.get(at)?).to_digit(16);
        let value = digit(0).zip(digit(1)).map(|(high, low)| high << 4 | low);
        *byte = value
            .and_then(|value| u8::try_from(value).ok())
            .ok_or(KeyFault::Secret)?;
    }
    Ok(secret)
}

#[cfg(test)]
mod tests;
