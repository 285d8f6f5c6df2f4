//! What a client gets that is refused for want of a verdict: one reply, with other parts for single failure classes.

use ase_core::fault::Fields;
use ase_core::transaction::FailureClass;

use super::Reply;
use super::read::reply_header;
use crate::pairs;

/// The reply of each class.
#[derive(Clone, Debug)]
pub struct FailureReplies {
    default: Reply,
    /// Those that differ.
    classes: Vec<(FailureClass, Reply)>,
}

/// A reply in parts, each of which a class may replace.
#[derive(Clone, Debug)]
struct Parts {
    status: u16,
    body: String,
    headers: Vec<(String, String)>,
    /// 0 sends no `retry-after`.
    retry_after_s: u32,
}

impl FailureReplies {
    pub(super) fn read(mut fields: Fields<'_, '_>) -> Self {
        let default = Parts {
            status: 503,
            body: "Service Unavailable\n".to_owned(),
            headers: Vec::new(),
            retry_after_s: 0,
        }
        .read(&mut fields);
        let mut classes = Vec::new();
        let mut by_class = fields.object("classes");
        for class in FailureClass::ALL {
            if let Some(mut item) = by_class.item(class.as_str()) {
                let mut fields = item.fields();
                classes.push((class, default.read(&mut fields).into_reply()));
                fields.finish();
            }
        }
        by_class.finish();
        fields.finish();
        Self {
            default: default.into_reply(),
            classes,
        }
    }

    /// The reply of `class`.
    #[must_use]
    pub fn of(&self, class: FailureClass) -> &Reply {
        let own = self.classes.iter().find(|(known, _)| *known == class);
        own.map_or(&self.default, |(_, reply)| reply)
    }
}

impl Parts {
    /// These parts, where the document gives no others.
    fn read(&self, fields: &mut Fields<'_, '_>) -> Self {
        Self {
            status: fields.integer("status", 400..=599_u16, self.status),
            body: fields.text("body").unwrap_or_else(|| self.body.clone()),
            headers: fields
                .list_if_present("headers", reply_header)
                .unwrap_or_else(|| self.headers.clone()),
            retry_after_s: fields.integer("retry_after_s", 0..=86_400_u32, self.retry_after_s),
        }
    }

    fn into_reply(self) -> Reply {
        let mut headers = self.headers;
        if self.retry_after_s > 0 {
            headers.push(("retry-after".to_owned(), self.retry_after_s.to_string()));
        }
        Reply {
            status: self.status,
            body: self.body,
            headers: pairs::write(&headers),
        }
    }
}
