//! The table of management calls: each with what serves it and what the OpenAPI document says of it.
//!
//! Router and document are made from the same table, so neither knows a call that the other does not.

use std::sync::Arc;

use axum::handler::Handler;
use axum::routing::{MethodFilter, MethodRouter, on};

use super::Management;
use super::openapi::Schema;

/// One call.
pub(super) struct Route {
    pub(super) method: Verb,
    pub(super) path: String,
    /// Unique among all calls.
    pub(super) name: &'static str,
    pub(super) summary: &'static str,
    pub(super) access: Access,
    pub(super) query: Vec<Parameter>,
    pub(super) body: Option<(Schema, Presence)>,
    pub(super) answer: (u16, Schema),
    pub(super) serve: MethodRouter<Arc<Management>>,
}

/// The methods in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    Post,
    Put,
    Delete,
}

/// Who may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Anybody who reaches the port.
    Open,
    /// Who shows the secret.
    Secret,
}

/// A query parameter.
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) meaning: &'static str,
    pub(super) presence: Presence,
}

/// Whether a parameter may be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    Required,
    Optional,
}

impl Verb {
    /// The key of an operation in the document.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Post => "post",
            Self::Put => "put",
            Self::Delete => "delete",
        }
    }

    fn filter(self) -> MethodFilter {
        match self {
            Self::Get => MethodFilter::GET,
            Self::Post => MethodFilter::POST,
            Self::Put => MethodFilter::PUT,
            Self::Delete => MethodFilter::DELETE,
        }
    }
}

impl Route {
    /// A call behind the secret that is answered 200 with `answer`.
    pub(super) fn new<H, T>(
        method: Verb,
        path: impl Into<String>,
        (name, summary): (&'static str, &'static str),
        answer: Schema,
        handler: H,
    ) -> Self
    where
        H: Handler<T, Arc<Management>>,
        T: 'static,
    {
        Self {
            method,
            path: path.into(),
            name,
            summary,
            access: Access::Secret,
            query: Vec::new(),
            body: None,
            answer: (200, answer),
            serve: on(method.filter(), handler),
        }
    }

    pub(super) fn open(mut self) -> Self {
        self.access = Access::Open;
        self
    }

    pub(super) fn created(mut self) -> Self {
        self.answer.0 = 201;
        self
    }

    pub(super) fn body(mut self, body: Schema) -> Self {
        self.body = Some((body, Presence::Required));
        self
    }

    /// A body that may be left out.
    pub(super) fn optional_body(mut self, body: Schema) -> Self {
        self.body = Some((body, Presence::Optional));
        self
    }

    pub(super) fn query(
        mut self,
        name: &'static str,
        presence: Presence,
        meaning: &'static str,
    ) -> Self {
        self.query.push(Parameter {
            name,
            meaning,
            presence,
        });
        self
    }
}
