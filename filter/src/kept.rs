//! What is kept of an exchange until its record is written: what the host has shown, as it came.
//!
//! Putting it into words waits until many records can be written in a row, since code that runs between two requests runs with cold caches
//! (`docs/decisions/0014-records-written-later.md`). A question is written at once: the request waits for its answer.

use ase_core::headers::Headers;
use ase_core::metadata::TlsFacts;

use crate::config::Config;
use crate::head::{self, SeenRequest, Verified};
use crate::pairs;
use crate::token_request::TokenRequest;

/// What the host has shown of a request. Properties that it does not tell are `None`.
#[derive(Debug, Default)]
pub struct KeptRequest {
    /// The list of header pairs (see [`crate::pairs`]).
    pub headers: Vec<u8>,
    /// See [`crate::host_profile::HostProfile::target_property`].
    pub target: Option<Vec<u8>>,
    /// The property `source.address`, or what stands for it.
    pub source_address: Option<Vec<u8>>,
    /// The property `request.protocol`.
    pub protocol: Option<Vec<u8>>,
    /// The user name that the host has verified.
    pub username: Option<Vec<u8>>,
    /// The client id that the host has verified.
    pub client_id: Option<Vec<u8>>,
    /// What the host knows of the client's TLS connection, where it is to be told and there is anything.
    pub tls: Option<Box<TlsFacts<'static>>>,
}

/// The request side of an exchange.
#[derive(Debug)]
enum Request {
    /// The host refused to show it.
    Unseen,
    /// As the host showed it.
    Seen(KeptRequest),
    /// The request half of the report, which has been the question as well.
    Written(Vec<u8>),
}

/// Both sides of an exchange, as far as they are known.
#[derive(Debug)]
pub struct Kept {
    request: Request,
    /// The status and the list of header pairs, where the host showed them.
    response: Option<(u16, Vec<u8>)>,
}

impl KeptRequest {
    /// Runs `act` on the request.
    pub fn with<T>(&self, config: &Config, act: impl FnOnce(&SeenRequest<'_>) -> T) -> T {
        let headers = pairs::parse(&self.headers).unwrap_or_default();
        let headers = config.host().request_headers(headers, self.target.clone());
        act(&SeenRequest {
            headers: &headers,
            source_address: self.source_address.as_deref(),
            protocol: self.protocol.as_deref(),
            verified: Verified {
                username: self.username.as_deref(),
                client_id: self.client_id.as_deref(),
            },
            tls: self.tls.as_deref().cloned().unwrap_or_default(),
        })
    }
}

impl Kept {
    /// Of an exchange whose request the host did not show.
    #[must_use]
    pub fn unseen() -> Self {
        Self {
            request: Request::Unseen,
            response: None,
        }
    }

    /// Of an exchange with this request.
    #[must_use]
    pub fn of(request: KeptRequest) -> Self {
        Self {
            request: Request::Seen(request),
            response: None,
        }
    }

    /// The body of the call that asks about the request, written when it is first wanted.
    pub fn question(&mut self, config: &Config) -> &[u8] {
        if let Request::Seen(seen) = &self.request {
            let mut half = Vec::with_capacity(seen.headers.len().saturating_mul(2));
            seen.write(config, &mut half);
            self.request = Request::Written(half);
        }
        match &self.request {
            Request::Written(half) => half,
            Request::Unseen | Request::Seen(_) => b"{}",
        }
    }

    /// Takes the response; `headers` is its list of pairs.
    pub fn response(&mut self, status: u16, headers: Vec<u8>) {
        self.response = Some((status, headers));
    }

    /// About how many bytes of memory it holds.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let request = match &self.request {
            Request::Unseen => 0,
            Request::Seen(seen) => seen.headers.len(),
            Request::Written(half) => half.len(),
        };
        let response = self.response.as_ref();
        request.saturating_add(response.map_or(0, |(_, headers)| headers.len()))
    }

    /// Appends the request half of the record, with the names that a token request has said.
    pub fn write_request(
        &self,
        token_request: Option<&TokenRequest>,
        config: &Config,
        out: &mut Vec<u8>,
    ) {
        match &self.request {
            Request::Unseen => out.extend_from_slice(b"{}"),
            Request::Seen(seen) => seen.write(config, out),
            Request::Written(half) => out.extend_from_slice(half),
        }
        if let Some(request) = token_request {
            head::add_names(out, request, config);
        }
    }

    /// Appends the response half of the record. Whether there is one.
    pub fn write_response(&self, config: &Config, out: &mut Vec<u8>) -> bool {
        let Some((status, buffer)) = &self.response else {
            return false;
        };
        let headers: Headers<'_> = pairs::parse(buffer).unwrap_or_default();
        head::write_response_half(out, *status, &headers, config);
        true
    }
}

impl KeptRequest {
    fn write(&self, config: &Config, out: &mut Vec<u8>) {
        self.with(config, |seen| {
            let client = head::client(config.client_address(), seen);
            head::write_request_half(out, seen, client, config);
        });
    }
}

#[cfg(test)]
mod tests;
