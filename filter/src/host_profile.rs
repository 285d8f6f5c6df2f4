//! What hosts of the filter do differently: every difference is here, and nowhere else.
//!
//! `Envoy` is as measured (1.40.0). `Nginx` is `ngx_wasm_module`, which Kong has built in, as its documents and its source say (early 2025); this filter has
//! not been run there. What differs:
//!
//! | | Envoy | nginx |
//! |---|---|---|
//! | a call that the host does not offer | returns a status | traps: the request ends with 500, and what waited in that instance is lost. So it is never made |
//! | not offered | | `proxy_get_log_level`, `proxy_done`, `proxy_close_stream`; `proxy_continue_stream` outside a stream; steps of a gauge; shared data, which it keeps only where its own configuration makes room |
//! | `:path`, `:authority` | as the client wrote them | decoded and merged; the server's own name. The client's words are `request.path` and the header `host` |
//! | `source.address` | with the port | without; `source.port` is text |
//! | `ase.cluster` | a cluster | `host:port` |
//! | a call that fails | an answer that the host made, without its own mark | no headers, and one word in `:dispatch_status` |
//! | calls | from any hook | not from a response hook nor `on_log`, where they trap: the filter makes none there on any host. Records go on the tick alone |
//! | a stream that ends while ASE is asked | its answer comes all the same, for nobody | the call is cancelled |
//! | details of a local reply | in the access log | the reason phrase, for the client to see: none are given |
//! | body of a local reply | as given | with a line feed added |
//! | a property for the decision | filter state | a variable of the configuration (`set $ase_decision -;`) |
//! | whose a response is | its mark, and its details | `$upstream_header_time` |
//!
//! Pure: it asks the host nothing itself.

use std::borrow::Cow;
use std::ops::Deref;

use ase_core::fault::Fields;
use ase_core::headers::{Header, Headers};
use ase_core::json::Value;
use ase_core::transaction::FailureClass;

use crate::exchange::{AnswerMark, ResponseOrigin};

/// The host that the filter runs in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HostProfile {
    /// Envoy, and what is made of it.
    #[default]
    Envoy,
    /// nginx with `ngx_wasm_module`, and Kong.
    Nginx,
}

/// What not every host offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostCall {
    /// `proxy_get_log_level`.
    LogLevel,
    /// `proxy_done`, and being told that a root context ends.
    Done,
    /// `proxy_close_stream`.
    CloseStream,
    /// `proxy_continue_stream` outside a stream, to learn whether it is allowed.
    ContinueNowhere,
    /// A call that names no cluster, to learn whether calls are allowed.
    CallNobody,
    /// A call from the hook that brings the answer to one of the root context's own.
    CallFromAnswer,
    /// Gauges that each instance adds its part to.
    GaugeSteps,
    /// `proxy_get_shared_data` and `proxy_set_shared_data`.
    SharedData,
}

impl HostProfile {
    /// By their names in the configuration.
    pub const CHOICES: &[(&str, Self)] = &[("envoy", Self::Envoy), ("nginx", Self::Nginx)];

    /// Whether the host takes this call.
    #[must_use]
    pub fn offers(self, call: HostCall) -> bool {
        match (self, call) {
            (Self::Envoy, _) => true,
            (
                Self::Nginx,
                HostCall::LogLevel
                | HostCall::Done
                | HostCall::CloseStream
                | HostCall::ContinueNowhere
                | HostCall::CallNobody
                | HostCall::CallFromAnswer
                | HostCall::GaugeSteps
                | HostCall::SharedData,
            ) => false,
        }
    }

    /// Makes settings that the host cannot carry out faults.
    pub fn refuse_what_is_missing(self, root: &mut Fields<'_, '_>) {
        if self == Self::Envoy {
            return;
        }
        root.refuse(
            "route_metadata",
            "this host has no metadata of routes: use \"routes\"",
        );
        root.object("user_info").refuse(
            "verified_jwt",
            "this host shows no claims that it has verified",
        );
        let mut report = root.object("report");
        let told = report.item("tls");
        let facts = told.as_ref().and_then(|item| item.value().as_array());
        let is_certificate = |fact: &Value| fact.as_str() == Some("client_certificate");
        if facts.is_some_and(|facts| facts.iter().any(is_certificate)) {
            report.fault("tls", "this host shows no client_certificate");
        }
        let mut ase = root.object("ase");
        ase.refuse("retry", "this host repeats no call by itself");
        // The default names a cluster, and this host has none.
        let _named = ase.required_item("cluster");
    }

    /// What ASE's answers have unless the configuration says otherwise.
    #[must_use]
    pub fn answer_mark(self) -> AnswerMark {
        let (header, value) = match self {
            Self::Envoy => ("x-envoy-upstream-service-time", None),
            Self::Nginx => ("server", Some("ASE")),
        };
        AnswerMark {
            header: header.to_owned(),
            value: value.map(str::to_owned),
        }
    }

    /// The property that holds the request target as the client wrote it, where `:path` does not.
    #[must_use]
    pub fn target_property(self) -> Option<&'static [u8]> {
        match self {
            Self::Envoy => None,
            Self::Nginx => Some(b"request\0path"),
        }
    }

    /// A request's headers with pseudo headers that say what the client wrote; `target` is the value of [`Self::target_property`].
    #[must_use]
    pub fn request_headers<'h>(self, headers: Headers<'h>, target: Option<Vec<u8>>) -> Headers<'h> {
        if self == Self::Envoy || headers.is_empty() {
            return headers;
        }
        let host = headers.first(b"host").cloned();
        let mut seen = Headers::default();
        for Header { name, value } in headers.iter() {
            let word = match &**name {
                b":path" => target.clone().map(Cow::Owned),
                b":authority" => host.clone(),
                _ => None,
            };
            seen.push(name.clone(), word.unwrap_or_else(|| value.clone()));
        }
        seen
    }

    /// The property that holds the client's port, where `source.address` does not.
    #[must_use]
    pub fn source_port_property(self) -> Option<&'static [u8]> {
        match self {
            Self::Envoy => None,
            Self::Nginx => Some(b"source\0port"),
        }
    }

    /// An address and a port as `ip:port`; `port` is the value of [`Self::source_port_property`].
    #[must_use]
    pub fn peer(self, address: Vec<u8>, port: Option<&[u8]>) -> Vec<u8> {
        // An address that nginx took from a header has none.
        match (self, port.filter(|port| !port.is_empty())) {
            (Self::Nginx, Some(port)) if address.contains(&b':') => {
                [b"[", &*address, b"]:", port].concat()
            }
            (Self::Nginx, Some(port)) => [&*address, b":", port].concat(),
            (Self::Envoy | Self::Nginx, _) => address,
        }
    }

    /// Where the reason for a call that failed is told, when it has no headers.
    #[must_use]
    pub fn failure_header(self) -> Option<&'static str> {
        match self {
            Self::Envoy => None,
            Self::Nginx => Some(":dispatch_status"),
        }
    }

    /// The class of a call that failed, by the value of [`Self::failure_header`].
    #[must_use]
    pub fn failure(self, word: Option<&[u8]>) -> FailureClass {
        match (self, word) {
            (Self::Envoy, _) => FailureClass::ResetAfterHeaders,
            (Self::Nginx, Some(b"timeout")) => FailureClass::Timeout,
            (Self::Nginx, Some(b"reader failure")) => FailureClass::BadReply,
            (Self::Nginx, _) => FailureClass::Unreachable,
        }
    }

    /// Who made a response, by what `property` says. Below 400 it is not worth a host call.
    pub fn origin<B: Deref<Target = [u8]>>(
        self,
        status: Option<u16>,
        headers: &Headers<'_>,
        property: impl FnOnce(&'static [u8]) -> Option<B>,
    ) -> ResponseOrigin {
        if status.is_none_or(|status| status < 400) {
            return ResponseOrigin::Upstream;
        }
        let of_upstream = match self {
            // Envoy adds the header to each response that came from upstream, and names every reply of its own in the details.
            Self::Envoy => {
                headers.first(b"x-envoy-upstream-service-time").is_some()
                    || property(b"response\0code_details")
                        .is_none_or(|details| details.is_empty() || *details == *b"via_upstream")
            }
            // A time for each try, `-` for one that brought no response; absent where upstream was not asked.
            Self::Nginx => property(b"ngx\0upstream_header_time")
                .and_then(|times| times.last().copied())
                .is_some_and(|last| last.is_ascii_digit()),
        };
        if of_upstream {
            ResponseOrigin::Upstream
        } else {
            ResponseOrigin::Gateway
        }
    }

    /// Details and body of a local reply.
    #[must_use]
    pub fn local_reply<'r>(self, details: &'r str, body: &'r [u8]) -> (&'r str, &'r [u8]) {
        match self {
            Self::Envoy => (details, body),
            Self::Nginx => ("", body.strip_suffix(b"\n").unwrap_or(body)),
        }
    }

    /// The property that says of an exchange, when it is over, that the host has followed a redirect by itself.
    #[must_use]
    pub fn redirect_property(self) -> Option<&'static [u8]> {
        match self {
            Self::Envoy => Some(b"response\0code_details"),
            Self::Nginx => None,
        }
    }

    /// The property that is told the decision on a request.
    #[must_use]
    pub fn decision_property(self) -> &'static str {
        match self {
            Self::Envoy => "ase_decision",
            Self::Nginx => "ngx\0ase_decision",
        }
    }
}

#[cfg(test)]
mod tests;
