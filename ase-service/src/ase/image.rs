//! What a gateway in `local` mode is told of the policy image: by `GET /ase/image`, and in the receipts of its batches.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Ase;
use super::answer::Answer;
use crate::counters::{Counter, ImageEvent};
use crate::policy_image::{Fetched, Have, News, Wanted};

/// Says in a receipt that the gateway's image is up to date. To say nothing is no confirmation: an ASE that does not know of images says nothing.
const CURRENT: &str = "current";
/// Says in a receipt that the gateway must fetch: its image is no longer the one that ASE adds to.
const STALE: &str = "stale";
/// Longest that a gateway waits for an image that is being built; most take some milliseconds.
const PATIENCE: Duration = Duration::from_secs(1);

impl Ase {
    /// Answers `GET /ase/image`. Nothing is built before the first of these.
    pub async fn image(self: &Arc<Self>, query: Option<&str>) -> Answer {
        let wanted = match Wanted::of(query) {
            Ok(wanted) => wanted,
            Err(fault) => {
                self.counters.count(Counter::Image(ImageEvent::Refused));
                return Answer::malformed(&[fault]);
            }
        };
        let mut built = self.images.built(wanted.width);
        let mut fetched = self.fetch(wanted).await;
        if fetched == Fetched::NotReady
            && let Some(built) = &mut built
            && matches!(
                tokio::time::timeout(PATIENCE, built.changed()).await,
                Ok(Ok(()))
            )
        {
            fetched = self.fetch(wanted).await;
        }
        let (event, answer) = match fetched {
            Fetched::Whole(image) => (ImageEvent::FetchedWhole, Answer::Image(image)),
            Fetched::Overlay(overlay) => {
                (ImageEvent::FetchedOverlay, Answer::ImageOverlay(overlay))
            }
            Fetched::Unchanged => (ImageEvent::FetchedUnchanged, Answer::ImageUnchanged),
            Fetched::Replaced(overlay) => {
                (ImageEvent::FetchedReplaced, Answer::ImageReplaced(overlay))
            }
            Fetched::NotReady => (ImageEvent::NotReady, Answer::ImageNotReady),
        };
        self.counters.count(Counter::Image(event));
        answer
    }

    /// The report on a batch, with what was listed since the policy image that the gateway holds.
    pub(super) async fn receipt(
        self: &Arc<Self>,
        mut report: Vec<u8>,
        have: Option<Have>,
    ) -> Answer {
        let Some(have) = have else {
            return Answer::Batch(report);
        };
        let ase = Arc::clone(self);
        // Whoever changes a list at the moment may take a while.
        let news = tokio::task::spawn_blocking(move || ase.images.news(have)).await;
        let (event, news) = match news {
            Ok(News::Overlay(overlay)) => {
                (Some(ImageEvent::ReceiptOverlay), STANDARD.encode(overlay))
            }
            Ok(News::OtherBuild) => (Some(ImageEvent::ReceiptStale), STALE.to_owned()),
            Ok(News::Nothing) => (None, CURRENT.to_owned()),
            Err(error) => {
                tracing::error!(%error, "a receipt could not say what was listed since");
                (Some(ImageEvent::ReceiptStale), STALE.to_owned())
            }
        };
        if let Some(event) = event {
            self.counters.count(Counter::Image(event));
        }
        if report.pop() == Some(b'}') {
            report.extend_from_slice(b",\"image\":\"");
            report.extend_from_slice(news.as_bytes());
            report.extend_from_slice(b"\"}");
        }
        Answer::Batch(report)
    }

    async fn fetch(self: &Arc<Self>, wanted: Wanted) -> Fetched {
        let ase = Arc::clone(self);
        let fetching = tokio::task::spawn_blocking(move || ase.images.fetch(wanted)).await;
        fetching.unwrap_or_else(|error| {
            tracing::error!(%error, "a policy image could not be fetched");
            Fetched::NotReady
        })
    }
}
