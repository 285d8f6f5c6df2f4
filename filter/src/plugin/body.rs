//! The body of a token request, looked at while the host shows it; never held for that.

use super::Action;
use super::shared::{About, Shared};
use crate::host::{self, Buffer, Level};
use crate::token_request::{Body, TokenRequest};

/// Whether the host has shown all of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    All,
    NotAll,
}

/// Looks at the `size` bytes that the host shows, which gather in its buffer where the request is held.
pub(super) fn look_at(
    request: &mut TokenRequest,
    shared: &Shared,
    size: usize,
    shown: Shown,
    action: Action,
) {
    while let Some((start, length)) = request.wanted(size) {
        match host::buffer_part(Buffer::RequestBody, start, length) {
            Ok(piece) if !piece.is_empty() => request.read(&piece),
            // Less than it said is no ground to ask again.
            Ok(_) => request.give_up(),
            Err(_) => {
                request.give_up();
                shared.notice(About::BodyUnreadable, Level::Warn, || {
                    "the host refuses proxy_get_buffer_bytes: the names in the bodies of token requests are not in their records".to_owned()
                });
            }
        }
    }
    let body = if action == Action::Continue {
        Body::Passes
    } else {
        Body::Gathers
    };
    request.shown(size, body);
    if shown == Shown::All {
        request.end();
    }
}
