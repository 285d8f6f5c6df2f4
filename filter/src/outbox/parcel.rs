//! What goes into one call: a batch of records, or half of one exchange.

use ase_core::transaction::RecordId;

use super::Halves;
use crate::site::Site;

/// What a record costs beside its bytes when it waits as a call of its own.
const CALL_OVERHEAD_BYTES: usize = 128;

/// Where a call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `ase.batch_path`.
    Batch,
    /// `ase.request_path`.
    Request,
    /// `ase.response_path`.
    Response,
}

/// A call about to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Where it goes.
    pub endpoint: Endpoint,
    /// The correlation id; a batch has none.
    pub correlation: Option<&'a RecordId>,
    /// The only ASE that can take it, because it has the first half; `None` when any can.
    pub site: Option<Site>,
    /// The body.
    pub body: &'a [u8],
}

/// A call that waits or is under way.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) content: Content,
    pub(super) attempts: u32,
    id: Option<RecordId>,
    site: Option<Site>,
    body: Vec<u8>,
}

#[derive(Debug)]
pub(super) enum Content {
    Batch { records: u32 },
    Request { then_response: Option<Vec<u8>> },
    Response,
}

impl Parcel {
    pub(super) fn of_batch(body: Vec<u8>, records: u32) -> Self {
        Self {
            content: Content::Batch { records },
            attempts: 0,
            id: None,
            site: None,
            body,
        }
    }

    pub(super) fn of_halves(id: &RecordId, halves: Halves) -> Self {
        let (content, site, body) = match halves {
            Halves::RequestThenResponse(request, response) => (
                Content::Request {
                    then_response: response,
                },
                None,
                request,
            ),
            Halves::Response(response, site) => (Content::Response, Some(site), response),
        };
        Self {
            content,
            attempts: 0,
            id: Some(id.clone()),
            site,
            body,
        }
    }

    pub(super) fn call(&self) -> Call<'_> {
        let endpoint = match self.content {
            Content::Batch { .. } => Endpoint::Batch,
            Content::Request { .. } => Endpoint::Request,
            Content::Response => Endpoint::Response,
        };
        Call {
            endpoint,
            correlation: self.id.as_ref(),
            site: self.site,
            body: &self.body,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        let more = match &self.content {
            Content::Batch { .. } => 0,
            Content::Request { then_response } => {
                CALL_OVERHEAD_BYTES + then_response.as_ref().map_or(0, Vec::len)
            }
            Content::Response => CALL_OVERHEAD_BYTES,
        };
        self.body.len() + more
    }

    pub(super) fn records(&self) -> u32 {
        match self.content {
            Content::Batch { records } => records,
            Content::Request { .. } | Content::Response => 1,
        }
    }

    /// The call that follows this one, which the ASE at `site` took; else the parcel, of which nothing is left to send.
    pub(super) fn delivered(self, site: Site, response_is_wanted: bool) -> Result<Self, Self> {
        match self.content {
            Content::Request {
                then_response: Some(body),
            } if response_is_wanted => Ok(Self {
                content: Content::Response,
                attempts: 0,
                id: self.id,
                site: Some(site),
                body,
            }),
            content @ (Content::Batch { .. } | Content::Request { .. } | Content::Response) => {
                Err(Self { content, ..self })
            }
        }
    }

    pub(super) fn into_body(self) -> Vec<u8> {
        self.body
    }
}
