//! What is kept of an exchange until its record is written: what the host has shown, as it came.
//!
//! Putting it into words waits until many records can be written in a row, since code that runs between two requests runs with cold caches
//! (`docs/decisions/0014-records-written-later.md`). A question is written at once: the request waits for its answer.

use ase_core::headers::Headers;
use ase_core::metadata::TlsFacts;
use ase_core::transaction::Course;
use ase_core::transaction::wire::{Record, Write};

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
    /// The request, with its headers as [`Self::headers`] has them.
    #[must_use]
    pub fn seen<'s>(&'s self, headers: &'s Headers<'s>) -> SeenRequest<'s> {
        SeenRequest {
            headers,
            source_address: self.source_address.as_deref(),
            protocol: self.protocol.as_deref(),
            verified: Verified {
                username: self.username.as_deref(),
                client_id: self.client_id.as_deref(),
            },
            tls: self.tls.as_deref(),
        }
    }

    fn write(&self, config: &Config, out: &mut Vec<u8>) {
        let headers = pairs::parse(&self.headers).unwrap_or_default();
        let headers = config.host().request_headers(headers, self.target.clone());
        let seen = self.seen(&headers);
        let client = head::client(config.client_address(), &seen);
        head::write_request_half(out, &seen, client, config);
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

    /// Of an exchange whose request is asked about by this, the request half of the report.
    #[must_use]
    pub fn asked(question: Vec<u8>) -> Self {
        Self {
            request: Request::Written(question),
            response: None,
        }
    }

    /// The body of the call that asks about the request.
    #[must_use]
    pub fn question(&self) -> &[u8] {
        match &self.request {
            Request::Written(question) => question,
            // Never asked about.
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

    /// Hands the record of the exchange to `take`: its course, what was said in it, and the names that a token request has said.
    pub fn record(
        &self,
        course: &Course,
        token_request: Option<&TokenRequest>,
        config: &Config,
        take: impl FnOnce(&Record<'_>),
    ) {
        let request = |out: &mut Vec<u8>| match token_request {
            None => self.write_request(config, out),
            Some(names) => {
                let mut half = Vec::new();
                self.write_request(config, &mut half);
                head::add_names(&mut half, names, config);
                out.append(&mut half);
            }
        };
        let response = self.response.as_ref().map(|(status, buffer)| {
            move |out: &mut Vec<u8>| {
                let headers = pairs::parse(buffer).unwrap_or_default();
                head::write_response_half(out, *status, &headers, config);
            }
        });
        take(&Record {
            course,
            request: &request,
            response: response.as_ref().map(|write| write as &Write<'_>),
        });
    }

    fn write_request(&self, config: &Config, out: &mut Vec<u8>) {
        match &self.request {
            Request::Unseen => out.extend_from_slice(b"{}"),
            Request::Seen(seen) => seen.write(config, out),
            Request::Written(half) => out.extend_from_slice(half),
        }
    }
}

#[cfg(test)]
mod tests;
