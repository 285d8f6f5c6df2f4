//! The JSON of the sideband protocol (`docs/wire.md`): written by the gateway, read by ASE.
//!
//! Reading is as lenient as deployed gateway policies need: numbers as strings and strings as numbers, either shape of
//! `user_info`, several headers in one object, an `ASEPayload` wrapper, ISO-8859-1 bodies. It never panics.

use crate::address::{ClientAddress, PeerAddress};
use crate::identity::{Credential, HashedCredential, Place, Provenance};
use crate::json;
use crate::metadata::{
    RequestFault, RequestMetadata, ResponseFault, ResponseMetadata, SourceIp, TlsFacts,
};
use crate::text;

mod late;
pub(crate) mod quick;
mod raw;

pub use late::add_names;

pub(crate) use raw::{Object, RawRequest, RawResponse};

/// A request as the gateway has it, about to be written.
#[derive(Clone, Debug)]
pub struct RequestHead<'a> {
    /// The client's address; left out when the gateway could not tell.
    pub source_ip: Option<ClientAddress>,
    /// The client's port, where known.
    pub source_port: Option<u16>,
    /// The method.
    pub method: &'a [u8],
    /// Path and query; the authority for CONNECT.
    pub url: &'a [u8],
    /// The host that the client asked for; written as the first header. Left out when the request named none.
    pub host: Option<&'a [u8]>,
    /// `1.1`, `2`, ...; left out when unknown.
    pub http_version: Option<&'a [u8]>,
    /// What is known of the client's TLS connection, where that is to be told.
    pub tls: Option<&'a TlsFacts<'a>>,
    /// The user name for `user_info`, where configured.
    pub username: Option<&'a [u8]>,
    /// The client id for `user_info`, where configured.
    pub client_id: Option<&'a [u8]>,
}

/// A credential as a gateway tells it.
#[derive(Clone, Debug)]
pub enum Identifier<'c> {
    /// By its value.
    Value(&'c Credential<'c>),
    /// By its id.
    Id(HashedCredential<'c>),
}

/// Appends the request metadata of `docs/wire.md`. `headers` are those that are told, without pseudo headers and `host`.
pub fn write_request<'h>(
    out: &mut Vec<u8>,
    head: &RequestHead<'_>,
    headers: impl Iterator<Item = (&'h [u8], impl AsRef<[u8]>)>,
    identifiers: impl Iterator<Item = Identifier<'h>>,
) {
    json::object(out, |o| {
        if let Some(address) = head.source_ip {
            o.plain("source_ip", |text| address.write(text));
        }
        if let Some(port) = head.source_port {
            o.number("source_port", u64::from(port));
        }
        o.text("method", head.method);
        o.text("url", head.url);
        if let Some(version) = head.http_version {
            o.text("http_version", version);
        }
        o.array("headers", |a| {
            if let Some(host) = head.host {
                a.object(|h| h.text("host", host));
            }
            for (name, value) in headers {
                a.object(|h| h.text_under(name, value.as_ref()));
            }
        });
        if let Some(tls) = head.tls.filter(|tls| tls.known().next().is_some()) {
            o.object("tls", |t| {
                for (name, fact) in tls.known() {
                    t.text(name, fact.as_bytes());
                }
            });
        }
        if head.username.is_some() || head.client_id.is_some() {
            o.array("user_info", |a| a.object(|u| write_user_info(u, head)));
        }
        let mut identifiers = identifiers.peekable();
        if identifiers.peek().is_some() {
            o.array("client_identifiers", |a| {
                for identifier in identifiers {
                    a.object(|c| write_identifier(c, &identifier));
                }
            });
        }
    });
}

/// Appends the response metadata of `docs/wire.md`. `code` is the HTTP status.
pub fn write_response<'h>(
    out: &mut Vec<u8>,
    code: u16,
    headers: impl Iterator<Item = (&'h [u8], impl AsRef<[u8]>)>,
) {
    json::object(out, |o| {
        o.number("response_code", u64::from(code));
        o.array("headers", |a| {
            for (name, value) in headers {
                a.object(|h| h.text_under(name, value.as_ref()));
            }
        });
    });
}

/// Reads request metadata. `body` is the text of the call's body (see [`text::of`]).
///
/// # Errors
/// [`RequestFault::BodyAbsent`] or [`RequestFault::BodyMalformed`]; what is missing inside is found by [`crate::metadata::RequestReport::of`].
pub fn read_request(body: &str) -> Result<RequestMetadata<'_>, RequestFault> {
    if body.trim_ascii().is_empty() {
        return Err(RequestFault::BodyAbsent);
    }
    match quick::request(body) {
        Some(metadata) => Ok(metadata),
        None => read_any_request(body),
    }
}

fn read_any_request(body: &str) -> Result<RequestMetadata<'_>, RequestFault> {
    serde_json::from_str::<Object<RawRequest<'_>>>(body)
        .map(|Object(raw)| raw.into_metadata())
        .map_err(|_| RequestFault::BodyMalformed)
}

/// Reads response metadata. `body` is the text of the call's body (see [`text::of`]).
///
/// # Errors
/// [`ResponseFault::BodyAbsent`], [`ResponseFault::BodyMalformed`] or [`ResponseFault::CodeAbsent`].
pub fn read_response(body: &str) -> Result<ResponseMetadata<'_>, ResponseFault> {
    if body.trim_ascii().is_empty() {
        return Err(ResponseFault::BodyAbsent);
    }
    match quick::response(body) {
        Some(metadata) => Ok(metadata),
        None => read_any_response(body),
    }
}

fn read_any_response(body: &str) -> Result<ResponseMetadata<'_>, ResponseFault> {
    let Object(raw) = serde_json::from_str::<Object<RawResponse<'_>>>(body)
        .map_err(|_| ResponseFault::BodyMalformed)?;
    raw.into_metadata().ok_or(ResponseFault::CodeAbsent)
}

fn write_user_info(o: &mut json::Object<'_>, head: &RequestHead<'_>) {
    if let Some(username) = head.username {
        o.text("username", username);
    }
    if let Some(client_id) = head.client_id {
        o.text("client_id", client_id);
    }
}

fn write_identifier(o: &mut json::Object<'_>, identifier: &Identifier<'_>) {
    match identifier {
        Identifier::Value(credential) => write_credential(o, credential),
        Identifier::Id(hashed) => write_hashed(o, hashed),
    }
}

fn write_credential(o: &mut json::Object<'_>, credential: &Credential<'_>) {
    o.text("type", credential.kind.as_str().as_bytes());
    o.text("name", credential.name.as_bytes());
    o.text("in", credential.place.as_str().as_bytes());
    o.text("value", credential.value.as_bytes());
    o.text("provenance", credential.provenance.as_str().as_bytes());
}

fn write_hashed(o: &mut json::Object<'_>, credential: &HashedCredential<'_>) {
    o.text("type", credential.kind.as_str().as_bytes());
    o.text("name", credential.name.as_bytes());
    o.text("in", credential.place.as_str().as_bytes());
    o.text("id", credential.id.to_string().as_bytes());
    o.text("provenance", credential.provenance.as_str().as_bytes());
}

impl Place {
    /// Its name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Query => "query",
            Self::Cookie => "cookie",
            Self::Body => "body",
        }
    }

    /// The place of this name on the wire.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Header, Self::Query, Self::Cookie, Self::Body]
            .into_iter()
            .find(|place| place.as_str() == name)
    }
}

impl Provenance {
    /// Its name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Claimed => "claimed",
            Self::Observed => "observed",
            Self::Verified => "verified",
        }
    }

    /// The provenance of this name on the wire.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Claimed, Self::Observed, Self::Verified]
            .into_iter()
            .find(|provenance| provenance.as_str() == name)
    }
}

/// Some policies send the port as well.
fn source_ip(text: &str) -> SourceIp<'static> {
    let address = ClientAddress::parse(text);
    match address.or_else(|_| PeerAddress::parse(text.trim_ascii()).map(|peer| peer.address)) {
        Ok(address) => SourceIp::Known(address),
        Err(_) => SourceIp::Invalid(text.chars().take(64).collect::<String>().into()),
    }
}

/// The text of a call's body, for [`read_request`] and [`read_response`].
#[must_use]
pub fn body_text(body: &[u8]) -> std::borrow::Cow<'_, str> {
    text::of(body)
}

#[cfg(test)]
mod tests;
