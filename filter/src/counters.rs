//! The names of everything that the filter counts (`docs/filter-configuration.md`, Counters).

use ase_core::transaction::FailureClass;

use crate::capability::Capability;
use crate::config::OffReason;
use crate::exchange::{PermitReason, ReplyReason};
use crate::local::{Asked, ImageFailure};
use crate::outbox::DropReason;

/// The histogram of how long requests waited for a verdict, in microseconds.
pub const ASK_US: &str = "ase_ask_us";

/// The gauge of records that wait for ASE or are on their way.
pub const RECORDS_WAITING: &str = "ase_records_waiting";

/// The gauges of the image: how long ago ASE confirmed it, how long it is, and how many entries it has beside those of its build.
pub const IMAGE_AGE_MS: &str = "ase_image_age_ms";
/// See [`IMAGE_AGE_MS`].
pub const IMAGE_BYTES: &str = "ase_image_bytes";
/// See [`IMAGE_AGE_MS`].
pub const IMAGE_REVISION: &str = "ase_image_revision";

/// One counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// Requests that passed because ASE said so.
    PermitVerdict,
    /// Requests that passed unasked.
    PermitAsync,
    /// Requests that passed unasked: the gateway's image rules a block out.
    PermitLocal,
    /// Requests that passed because ASE does not know the API.
    PermitUnregistered,
    /// Requests that passed because no verdict could be had.
    PermitFailOpen,
    /// Requests that passed in the shadow of a block: ASE denied them.
    ShadowDenied,
    /// Requests that passed in the shadow of a block: ASE does not know the API.
    ShadowUnregistered,
    /// Requests that passed in the shadow of a refusal: no verdict could be had.
    ShadowFailedClosed,
    /// Requests that were not looked at because their route is switched off.
    NotAskedRoute,
    /// Requests that were not looked at because their client is not among the enabled share.
    NotAskedShare,
    /// Requests that ASE denied.
    DenyListed,
    /// Requests that were blocked because ASE does not know the API.
    DenyUnregistered,
    /// Requests that were refused because no verdict could be had.
    DenyFailedClosed,
    /// Clients that left before the verdict.
    Undecided,
    /// Questions that the other ASE was asked because the first could not be reached.
    FailedOver,
    /// Failures to get a verdict.
    Failure(FailureClass),
    /// Failures to deliver records.
    DeliveryFailure(FailureClass),
    /// Records that were taken into the queue.
    RecordsQueued,
    /// Records that ASE took.
    RecordsDelivered,
    /// Records that were lost.
    RecordsDropped(DropReason),
    /// Exchanges that the host answered before the filter saw a request.
    Uninspected,
    /// Exchanges that went on as another one by an internal redirect of the host.
    Redirected,
    /// Requests in `local` mode that the image did not clear.
    LocalAsked(Asked),
    /// Images that came into use.
    ImageTaken,
    /// Why there is no newer image.
    ImageFailure(ImageFailure),
    /// Calls that the host refused.
    HostRefused(Capability),
}

impl Counter {
    /// Every counter.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mut all = vec![
            Self::PermitVerdict,
            Self::PermitAsync,
            Self::PermitLocal,
            Self::ImageTaken,
            Self::PermitUnregistered,
            Self::PermitFailOpen,
            Self::ShadowDenied,
            Self::ShadowUnregistered,
            Self::ShadowFailedClosed,
            Self::NotAskedRoute,
            Self::NotAskedShare,
            Self::DenyListed,
            Self::DenyUnregistered,
            Self::DenyFailedClosed,
            Self::Undecided,
            Self::FailedOver,
            Self::RecordsQueued,
            Self::RecordsDelivered,
            Self::Uninspected,
            Self::Redirected,
        ];
        for class in FailureClass::ALL {
            all.push(Self::Failure(class));
            all.push(Self::DeliveryFailure(class));
        }
        all.extend(DropReason::ALL.map(Self::RecordsDropped));
        all.extend(Asked::ALL.map(Self::LocalAsked));
        for failure in ImageFailure::all() {
            all.push(Self::ImageFailure(failure));
        }
        all.extend(Capability::ALL.map(Self::HostRefused));
        all
    }

    /// The counter of permits for this reason.
    #[must_use]
    pub fn of_permit(reason: PermitReason) -> Self {
        match reason {
            PermitReason::Verdict => Self::PermitVerdict,
            PermitReason::Async => Self::PermitAsync,
            PermitReason::Local => Self::PermitLocal,
            PermitReason::Unregistered => Self::PermitUnregistered,
            PermitReason::FailOpen(_) => Self::PermitFailOpen,
            PermitReason::Shadow(ReplyReason::Denied) => Self::ShadowDenied,
            PermitReason::Shadow(ReplyReason::Unregistered) => Self::ShadowUnregistered,
            PermitReason::Shadow(ReplyReason::Failed(_)) => Self::ShadowFailedClosed,
            PermitReason::NotAsked(OffReason::Route) => Self::NotAskedRoute,
            PermitReason::NotAsked(OffReason::Share) => Self::NotAskedShare,
        }
    }

    /// The counter of replies for this reason.
    #[must_use]
    pub fn of_reply(reason: ReplyReason) -> Self {
        match reason {
            ReplyReason::Denied => Self::DenyListed,
            ReplyReason::Unregistered => Self::DenyUnregistered,
            ReplyReason::Failed(_) => Self::DenyFailedClosed,
        }
    }

    /// Its name as the host is told.
    #[must_use]
    pub fn name(self) -> String {
        let (group, of) = match self {
            Self::PermitVerdict => ("ase_permit_verdict", ""),
            Self::PermitAsync => ("ase_permit_async", ""),
            Self::PermitLocal => ("ase_permit_local", ""),
            Self::LocalAsked(reason) => ("ase_local_asked_", reason.as_str()),
            Self::ImageTaken => ("ase_images_taken", ""),
            Self::ImageFailure(failure) => ("ase_image_failure_", failure.as_str()),
            Self::PermitUnregistered => ("ase_permit_unregistered", ""),
            Self::PermitFailOpen => ("ase_permit_fail_open", ""),
            Self::ShadowDenied => ("ase_shadow_denied", ""),
            Self::ShadowUnregistered => ("ase_shadow_unregistered_blocked", ""),
            Self::ShadowFailedClosed => ("ase_shadow_failed_closed", ""),
            Self::NotAskedRoute => ("ase_not_asked_route", ""),
            Self::NotAskedShare => ("ase_not_asked_share", ""),
            Self::DenyListed => ("ase_deny_listed", ""),
            Self::DenyUnregistered => ("ase_deny_unregistered", ""),
            Self::DenyFailedClosed => ("ase_deny_failed_closed", ""),
            Self::Undecided => ("ase_undecided", ""),
            Self::FailedOver => ("ase_failed_over", ""),
            Self::Failure(class) => ("ase_failure_", class.as_str()),
            Self::DeliveryFailure(class) => ("ase_delivery_failure_", class.as_str()),
            Self::RecordsQueued => ("ase_records_queued", ""),
            Self::RecordsDelivered => ("ase_records_delivered", ""),
            Self::RecordsDropped(reason) => ("ase_records_dropped_", reason.as_str()),
            Self::Uninspected => ("ase_uninspected", ""),
            Self::Redirected => ("ase_redirected", ""),
            Self::HostRefused(call) => ("ase_host_refused_", call.name()),
        };
        [group, of].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_is_in_the_document_under_its_own_name() {
        let document = include_str!("../../docs/filter-configuration.md");
        let mut names: Vec<String> = Counter::all().into_iter().map(Counter::name).collect();
        let others = [
            ASK_US,
            RECORDS_WAITING,
            IMAGE_AGE_MS,
            IMAGE_BYTES,
            IMAGE_REVISION,
        ];
        names.extend(others.map(str::to_owned));
        for name in &names {
            let groups = [
                ("ase_failure_", "class"),
                ("ase_delivery_failure_", "class"),
                ("ase_local_asked_", "reason"),
                ("ase_image_failure_", "class"),
                ("ase_host_refused_", "call"),
            ];
            let group = groups.iter().find(|(prefix, _)| name.starts_with(prefix));
            let documented = match group {
                Some((prefix, part)) => format!("`{prefix}<{part}>`"),
                None => format!("`{name}`"),
            };
            assert!(
                document.contains(&documented),
                "{documented} is not documented"
            );
        }
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
