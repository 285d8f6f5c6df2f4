//! The plugin configuration: JSON in, a [`Config`] that cannot be wrong out (`docs/filter-configuration.md`).
//!
//! Every fault is reported at once with its path. Nothing here is checked again later. Secrets are never part of a message.

use std::borrow::Cow;
use std::num::NonZeroU8;
use std::time::Duration;

use ase_core::fault::{FaultCollector, Faults};
use ase_core::identity::CredentialNames;
use ase_core::transaction::FailureClass;

use crate::breaker::BreakerLimits;
use crate::exchange::AnswerMark;
use crate::host_profile::HostProfile;
use crate::local::LocalLimits;
use crate::outbox::OutboxLimits;
use crate::site::Site;

mod failure_policy;
mod failure_reply;
mod local;
mod policy;
mod read;
mod report;
mod routes;
mod text;
mod user_info;

pub use failure_policy::{FailureAction, FailurePolicy};
pub use failure_reply::FailureReplies;
pub use policy::{NotEnabled, OffReason, Policy, Treatment, UnregisteredAction};
pub use report::{CredentialForm, HeaderRules, Keys, Report, TlsFact};
pub use user_info::{ClaimedJwt, UserInfo, VerifiedClaims};

use routes::Routes;

/// The whole configuration.
#[derive(Clone, Debug)]
pub struct Config {
    host: HostProfile,
    policy: Policy,
    routes: Routes,
    /// The property of the route's metadata, its parts separated by zero bytes.
    route_metadata: Option<Vec<u8>>,
    ase: Ase,
    client_address: ClientAddressSource,
    credentials: CredentialNames,
    user_info: UserInfo,
    report: Report,
    block: Reply,
    block_details: String,
    failure_replies: FailureReplies,
    fail_open_header: Option<String>,
    decision_property: bool,
    breaker: BreakerLimits,
    delivery: Delivery,
    local: LocalLimits,
}

/// How ASE is called.
#[derive(Clone, Debug)]
pub struct Ase {
    /// The one that is asked.
    pub primary: Peer,
    /// The one that is asked while the primary rests.
    pub secondary: Option<Peer>,
    /// Path of the request half; for the path of a question see [`Config::question_path`].
    pub request_path: String,
    /// Path of the response half in `per_call` delivery.
    pub response_path: String,
    /// Path of batches.
    pub batch_path: String,
    /// Path of the policy image.
    pub image_path: String,
    /// Sent as `ase-token`.
    pub token: Option<SidebandToken>,
    /// The header that carries the record id, in lower case.
    pub correlation_header: String,
    /// What ASE's answers have and the host's own have not.
    pub answer_mark: AnswerMark,
    /// Headers of a question that have the host try again.
    pub retry_headers: Vec<(&'static str, String)>,
}

/// How the host knows one ASE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Name of the host's cluster.
    pub cluster: String,
    /// `:authority` of the calls.
    pub authority: String,
}

/// The secret that ASE knows this gateway by.
#[derive(Clone)]
pub struct SidebandToken(String);

/// Where the client's address is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAddressSource {
    /// The host's `source.address`.
    Envoy,
    /// The entry of `x-forwarded-for` in this place from the right.
    Xff(NonZeroU8),
}

/// A reply of the filter's own.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The HTTP status, 400 to 599.
    pub status: u16,
    /// The body.
    pub body: String,
    /// In the form that the host takes, see [`crate::pairs::write`].
    pub headers: Vec<u8>,
}

/// How exchanges are reported.
#[derive(Clone, Copy, Debug)]
pub struct Delivery {
    /// The calls that carry the reports.
    pub kind: DeliveryKind,
    /// Time between two looks at the outbox, 1 ms to 1 min.
    pub tick: Duration,
    /// Longest wait for the answer to a call, 1 ms to 1 min.
    pub timeout: Duration,
    /// An exchange that is open for so long is reported before its end; `None` for none.
    pub open_after: Option<Duration>,
    /// Bounds of the outbox.
    pub limits: OutboxLimits,
}

/// The calls that carry the reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryKind {
    /// Whole transactions, many in one call.
    Batch,
    /// One call for the request, one for the response.
    PerCall,
}

impl Config {
    /// Reads the plugin configuration. Nothing at all, or only blanks, means every default.
    ///
    /// # Errors
    /// Every fault.
    pub fn parse(document: &[u8]) -> Result<Self, Faults> {
        let mut collector = FaultCollector::default();
        let document = if document.trim_ascii().is_empty() {
            b"{}"
        } else {
            document
        };
        let config = collector
            .json(document)
            .map(|value| read::config(&value, &mut collector));
        collector.into_complete(config)
    }

    /// The host that the filter runs in.
    #[must_use]
    pub fn host(&self) -> HostProfile {
        self.host
    }

    /// How a request is treated, before its route's metadata has its say. `url` is read only where there are rules.
    #[must_use]
    pub fn policy(&self, authority: &[u8], url: &[u8]) -> Policy {
        let of_rule = || self.routes.find(authority, &ase_core::text::of(url));
        let rule = (!self.routes.is_empty()).then(of_rule).flatten();
        rule.unwrap_or(self.policy)
    }

    /// The property that holds the settings of a request's route; `None` when routes are not asked for any.
    #[must_use]
    pub fn route_metadata(&self) -> Option<&[u8]> {
        self.route_metadata.as_deref()
    }

    /// Whether any request may have to wait for ASE.
    #[must_use]
    pub fn may_ask(&self) -> bool {
        self.policy.treatment.asks() || self.route_metadata.is_some() || self.routes.any_asks()
    }

    /// Whether some requests are judged by an image from the start; others may be by their route's metadata.
    #[must_use]
    pub fn wants_image(&self) -> bool {
        self.policy.treatment == Treatment::Local || self.routes.any_local()
    }

    /// How ASE is called.
    #[must_use]
    pub fn ase(&self) -> &Ase {
        &self.ase
    }

    /// Path of a question. Its query says where the whole transaction will follow in a batch: only the gateway writes the path, while a header could
    /// come from a client, through a policy that lets client headers ride along.
    #[must_use]
    pub fn question_path(&self) -> Cow<'_, str> {
        let path = &self.ase.request_path;
        match self.delivery.kind {
            DeliveryKind::Batch => {
                let separator = if path.contains('?') { '&' } else { '?' };
                Cow::Owned(format!("{path}{separator}delivery=batch"))
            }
            DeliveryKind::PerCall => Cow::Borrowed(path),
        }
    }

    /// Where the client's address is read.
    #[must_use]
    pub fn client_address(&self) -> ClientAddressSource {
        self.client_address
    }

    /// Which names hold credentials.
    #[must_use]
    pub fn credentials(&self) -> &CredentialNames {
        &self.credentials
    }

    /// Where the names of the user and of the client application are found.
    #[must_use]
    pub fn user_info(&self) -> &UserInfo {
        &self.user_info
    }

    /// What ASE is told.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// What a blocked client gets.
    #[must_use]
    pub fn block(&self) -> &Reply {
        &self.block
    }

    /// The response-code details of a block.
    #[must_use]
    pub fn block_details(&self) -> &str {
        &self.block_details
    }

    /// What a client gets when this class is closed.
    #[must_use]
    pub fn failure_reply(&self, class: FailureClass) -> &Reply {
        self.failure_replies.of(class)
    }

    /// The request header that tells upstream why a request passed without a verdict, in lower case.
    #[must_use]
    pub fn fail_open_header(&self) -> Option<&str> {
        self.fail_open_header.as_deref()
    }

    /// Whether the decision on a request is told to the host as a property.
    #[must_use]
    pub fn decision_property(&self) -> bool {
        self.decision_property
    }

    /// When a failing ASE is left alone.
    #[must_use]
    pub fn breaker(&self) -> BreakerLimits {
        self.breaker
    }

    /// How the image of `local` mode is kept.
    #[must_use]
    pub fn local(&self) -> &LocalLimits {
        &self.local
    }

    /// How exchanges are reported.
    #[must_use]
    pub fn delivery(&self) -> &Delivery {
        &self.delivery
    }
}

impl Ase {
    /// How the host knows this one; the primary where there is only one.
    #[must_use]
    pub fn peer(&self, site: Site) -> &Peer {
        match (site, &self.secondary) {
            (Site::Secondary, Some(secondary)) => secondary,
            (Site::Secondary, None) | (Site::Primary, _) => &self.primary,
        }
    }
}

impl SidebandToken {
    /// The secret, for the header that carries it and nothing else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for SidebandToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests;
