//! What the sideband protocol says about a request and about its response, as domain types.
//!
//! [`RequestMetadata`] is what a gateway sent, however incomplete; [`RequestReport`] is made from it once and cannot be
//! malformed. JSON is in [`crate::wire`].

use std::borrow::Cow;

use thiserror::Error;

use crate::address::ClientAddress;
use crate::headers::Headers;
use crate::host::HostName;
use crate::identity::{Credential, HashedCredential};
use crate::path::NormalPath;

/// A request as a gateway described it; parts may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestMetadata<'a> {
    /// The client's address.
    pub source_ip: SourceIp<'a>,
    /// The client's port, where known.
    pub source_port: Option<u16>,
    /// The method; never empty.
    pub method: Option<Cow<'a, str>>,
    /// The request target, query included; never empty.
    pub url: Option<Cow<'a, str>>,
    /// `1.1`, `HTTP/1.1`, `2`, ... as sent.
    pub http_version: Option<Cow<'a, str>>,
    /// The headers that the gateway chose to send.
    pub headers: Headers<'a>,
    /// What the gateway knows of the client's TLS connection.
    pub tls: TlsFacts<'a>,
    /// User names that the gateway names.
    pub usernames: Vec<Cow<'a, str>>,
    /// OAuth2 client ids that the gateway names.
    pub client_ids: Vec<Cow<'a, str>>,
    /// Credentials that the gateway found by its own configuration.
    pub credentials: Vec<Credential<'a>>,
    /// Credentials that the gateway has made ids of itself.
    pub hashed: Vec<HashedCredential<'a>>,
}

/// What is known of a client's TLS connection; nothing where there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFacts<'a> {
    /// `TLSv1.3`, ... as the gateway calls it.
    pub version: Option<Cow<'a, str>>,
    /// The server name that the client asked for (SNI).
    pub server_name: Option<Cow<'a, str>>,
    /// Subject of the client's certificate.
    pub client_subject: Option<Cow<'a, str>>,
    /// Its URI alternative name.
    pub client_san: Option<Cow<'a, str>>,
    /// Its SHA-256, in hexadecimal.
    pub client_sha256: Option<Cow<'a, str>>,
}

impl TlsFacts<'_> {
    /// The facts that are known, under their names on the wire and in the log.
    pub fn known(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let all = [
            ("version", &self.version),
            ("sni", &self.server_name),
            ("client_subject", &self.client_subject),
            ("client_san", &self.client_san),
            ("client_sha256", &self.client_sha256),
        ];
        all.into_iter()
            .filter_map(|(name, fact)| Some((name, fact.as_deref()?)))
    }
}

/// The client address of a report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SourceIp<'a> {
    /// Not in the report.
    #[default]
    Absent,
    /// In the report, and not an address.
    Invalid(Cow<'a, str>),
    /// An address.
    Known(ClientAddress),
}

/// A response as a gateway described it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseMetadata<'a> {
    /// The HTTP status.
    pub code: u16,
    /// The reason phrase.
    pub status: Option<Cow<'a, str>>,
    /// As [`RequestMetadata::http_version`].
    pub http_version: Option<Cow<'a, str>>,
    /// The headers that the gateway chose to send.
    pub headers: Headers<'a>,
}

/// A request that ASE can decide on: every required part is there and valid.
#[derive(Clone, Debug)]
pub struct RequestReport<'m> {
    /// All that the gateway sent.
    pub metadata: &'m RequestMetadata<'m>,
    /// The client's address.
    pub client: ClientAddress,
    /// The method.
    pub method: &'m str,
    /// The request target as sent.
    pub url: &'m str,
    /// Every host that a server may read from the host headers; none when no header names one, which matches only
    /// definitions for any host.
    pub hosts: Vec<HostName>,
    /// Every path that a server may read from the url, the usual reading first.
    pub paths: Vec<NormalPath>,
}

/// What is wrong with a request report. Displayed under the names of the original's error counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Error)]
pub enum RequestFault {
    /// No body at all.
    #[error("request body absent")]
    BodyAbsent,
    /// Not JSON, or not of the documented shape.
    #[error("request body malformed")]
    BodyMalformed,
    /// No `source_ip`.
    #[error("request source ip absent")]
    SourceIpAbsent,
    /// `source_ip` is not an address.
    #[error("request source ip invalid")]
    SourceIpInvalid,
    /// No `method`.
    #[error("request method absent")]
    MethodAbsent,
    /// No `url`.
    #[error("request url absent")]
    UrlAbsent,
    /// No `host` among the headers.
    #[error("request host header absent")]
    HostAbsent,
}

/// What is wrong with a response report. Displayed under the names of the original's error counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Error)]
pub enum ResponseFault {
    /// No body at all.
    #[error("response body absent")]
    BodyAbsent,
    /// Not JSON, or not of the documented shape.
    #[error("response body malformed")]
    BodyMalformed,
    /// No `response_code`, or not a number from 100 to 999.
    #[error("response code absent")]
    CodeAbsent,
    /// No request with this correlation id is known.
    #[error("response correlation id not found")]
    CorrelationIdNotFound,
}

impl<'m> RequestReport<'m> {
    /// Checks what a gateway sent.
    ///
    /// # Errors
    /// Every fault, in the order of the fields.
    pub fn of(metadata: &'m RequestMetadata<'m>) -> Result<Self, Vec<RequestFault>> {
        let mut faults = Vec::new();
        let client = match &metadata.source_ip {
            SourceIp::Known(address) => Some(*address),
            SourceIp::Absent => refuse(&mut faults, RequestFault::SourceIpAbsent),
            SourceIp::Invalid(_) => refuse(&mut faults, RequestFault::SourceIpInvalid),
        };
        let method = metadata.method.as_deref();
        let method = method.or_else(|| refuse(&mut faults, RequestFault::MethodAbsent));
        let url = metadata.url.as_deref();
        let url = url.or_else(|| refuse(&mut faults, RequestFault::UrlAbsent));
        if metadata.headers.first(b"host").is_none() {
            faults.push(RequestFault::HostAbsent);
        }
        let (Some(client), Some(method), Some(url), []) = (client, method, url, &*faults) else {
            return Err(faults);
        };
        Ok(Self {
            metadata,
            client,
            method,
            url,
            hosts: HostName::readings(metadata.headers.values_of(b"host").map(|host| &**host)),
            paths: NormalPath::readings(url),
        })
    }
}

fn refuse<T>(faults: &mut Vec<RequestFault>, fault: RequestFault) -> Option<T> {
    faults.push(fault);
    None
}
