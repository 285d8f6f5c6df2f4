//! One call: which it is, whether its gateway may make it, and its body; then ASE answers.
//!
//! Nothing is read of a call that shows no valid token, and nothing is done for one that there is no room for.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ase_core::transaction::VerdictLabel;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue, ORIGIN};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, Version};
use tokio::runtime::Handle;

use super::activity::Activity;
use super::body::{self, BodyFault, Clock};
use super::delivery;
use super::room::Room;
use crate::ase::answer::Answer;
use crate::ase::{Ase, Call, Delivery};
use crate::call_headers::CallHeaders;
use crate::clock;
use crate::counters::{Counter, ImageEvent, PortEvent};
use crate::leniency::Tone;
use crate::policy_image::Have;
use crate::telemetry::trace::{Ended, Operation, Parent};
use crate::tokens::Gateway;

/// A question over this is read apart from the others; ordinary ones have a few hundred bytes.
pub(super) const LARGE_QUESTION_BYTES: usize = 64 * 1024;

/// What a body may be used for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target {
    Request,
    Response,
    Batch,
    Image,
}

/// What is known of a call before its body.
pub(super) struct Asked {
    gateway: Gateway,
    correlation_id: Option<Vec<u8>>,
    delivery: Delivery,
    parent: Option<Parent>,
}

/// What the calls of one connection share.
pub(super) struct Caller {
    pub(super) ase: Arc<Ase>,
    pub(super) room: Arc<Room>,
    pub(super) activity: Arc<Activity>,
}

/// Answers one call. The future is moved for every call, so what is rare in it stands in boxes.
pub(super) async fn answer(
    caller: Arc<Caller>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let under_way = caller.activity.begin();
    let (head, body) = request.into_parts();
    let tone = if is_old_call(&head) {
        let Ase {
            leniency, tokens, ..
        } = &*caller.ase;
        leniency.tone(tokens, &head.headers)
    } else {
        Tone::Strict
    };
    let answer = route(&caller, &head, body).await;
    // What is left of such a call would be taken for the next one.
    let leaves = answer == Answer::TimedOut && head.version != Version::HTTP_2;
    let mut response = tone.respond(answer, &caller.ase.counters);
    if leaves {
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    drop(under_way);
    Ok(response)
}

fn is_old_call(head: &Parts) -> bool {
    head.method == Method::POST
        && matches!(head.uri.path(), "/ase/request" | "/ase/response")
        && delivery(head.uri.query()) == Delivery::PerCall
}

async fn route(caller: &Caller, head: &Parts, body: Incoming) -> Answer {
    if head.headers.len() > caller.ase.limits.transport.headers {
        count(caller, PortEvent::HeadersTooLarge);
        return Answer::HeadersTooLarge;
    }
    let target = match (head.uri.path(), &head.method) {
        ("/ase/request", &Method::POST) => Target::Request,
        ("/ase/response", &Method::POST) => Target::Response,
        ("/ase/batch", &Method::POST) => Target::Batch,
        ("/ase/image", &Method::GET) => Target::Image,
        ("/ase", &Method::GET | &Method::HEAD) => return Answer::Alive,
        (path, _) => {
            caller.ase.counters.count(Counter::UnknownCalls);
            caller.activity.hurry();
            return match path {
                "/ase/request" | "/ase/response" | "/ase/batch" => Answer::MethodNotAllowed("POST"),
                "/ase/image" => Answer::MethodNotAllowed("GET"),
                "/ase" => Answer::MethodNotAllowed("GET, HEAD"),
                _ => Answer::NotFound,
            };
        }
    };
    take(caller, head, body, target).await
}

async fn take(caller: &Caller, head: &Parts, body: Incoming, target: Target) -> Answer {
    let ase = &caller.ase;
    let Some(gateway) = ase.tokens.check(&head.headers) else {
        count_unauthorized(ase, target);
        caller.activity.hurry();
        return Answer::Unauthorized;
    };
    let Some(_room) = caller.room.for_call() else {
        count_shed(caller, target);
        caller.activity.hurry();
        Box::pin(body::pass_over(body, ase.limits.body_bytes)).await;
        return Answer::Overloaded;
    };
    let limit = match target {
        Target::Request | Target::Response | Target::Image => ase.limits.body_bytes,
        Target::Batch => ase.limits.batch_bytes,
    };
    let clock = match head.version {
        Version::HTTP_2 => Clock::Own(ase.limits.transport.body_timeout),
        _ => Clock::Looks(&caller.activity),
    };
    let body = match body::read((&head.headers, body), limit, clock).await {
        Ok(body) => body,
        Err(fault) => return refuse_body(caller, target, fault),
    };
    let asked = Asked::of(ase, (target, head.uri.query()), gateway, &head.headers);
    match target {
        Target::Request => ask(ase, asked, &body).await,
        Target::Response => ase.response(&asked.begin(), &body),
        Target::Batch if head.headers.contains_key(ORIGIN) => {
            // Only our filter sends batches, and it is no page in a browser.
            ase.counters.count(Counter::BatchesRefused);
            Answer::Malformed("\na batch does not come from a browser".to_owned())
        }
        Target::Batch => {
            let parent = asked.parent;
            let call = asked.begin();
            let have = Have::of_batch(head.uri.query());
            let answer = ase.batch(&call, have, body).await;
            let took = call.at.elapsed();
            ase.telemetry.batch_time.record(took);
            trace(ase, parent, &call, Operation::Batch, took);
            answer
        }
        Target::Image => ase.image(head.uri.query()).await,
    }
}

impl Asked {
    /// What the head of a call says beside its token.
    pub(super) fn of(
        ase: &Ase,
        (target, query): (Target, Option<&str>),
        gateway: Gateway,
        headers: &(impl CallHeaders + ?Sized),
    ) -> Self {
        let delivery = delivery(query);
        // Nothing of this is looked at unless spans are kept.
        let tracing = ase.telemetry.tracer.is_some();
        Self {
            gateway,
            correlation_id: match (target, delivery) {
                // Its record brings its own.
                (Target::Request, Delivery::Batch) => None,
                (Target::Image, _) => None,
                (Target::Request | Target::Response | Target::Batch, _) => correlation_id(headers),
            },
            delivery,
            parent: tracing.then(|| Parent::of_call(headers)).flatten(),
        }
    }

    /// How an answer is to be put, if it is a call of the old protocol.
    pub(super) fn tone(&self, ase: &Ase, headers: &(impl CallHeaders + ?Sized)) -> Tone {
        match self.delivery {
            Delivery::PerCall => ase.leniency.tone(&ase.tokens, headers),
            Delivery::Batch => Tone::Strict,
        }
    }

    /// Its body is there.
    pub(super) fn begin(self) -> Call {
        Call {
            gateway: self.gateway,
            correlation_id: self.correlation_id,
            delivery: self.delivery,
            at: Instant::now(),
            now: clock::now(),
        }
    }
}

/// Answers a question.
pub(super) async fn ask(ase: &Arc<Ase>, asked: Asked, body: &[u8]) -> Answer {
    let parent = asked.parent;
    let call = asked.begin();
    let answer = if body.len() > LARGE_QUESTION_BYTES {
        let body = Bytes::copy_from_slice(body);
        Box::pin(ask_apart(ase, call.clone(), body)).await
    } else {
        ase.request(&call, body).await
    };
    let took = call.at.elapsed();
    ase.telemetry.question_time.record(took);
    if ase.telemetry.tracer.is_some() {
        let parent = parent.or_else(|| Parent::of_question(body));
        let operation = Operation::Question(answer.verdict());
        trace(ase, parent, &call, operation, took);
    }
    answer
}

fn trace(ase: &Ase, parent: Option<Parent>, call: &Call, operation: Operation, took: Duration) {
    if let Some(tracer) = &ase.telemetry.tracer {
        let (gateway, started) = (call.gateway.as_str(), call.now);
        let ended = Ended {
            operation,
            gateway,
            started,
            took,
        };
        tracer.ended(parent, &ended);
    }
}

/// A large question keeps a core busy for milliseconds; the calls of the same thread must not wait behind it.
async fn ask_apart(ase: &Arc<Ase>, call: Call, body: Bytes) -> Answer {
    let (asked, runtime) = (Arc::clone(ase), Handle::current());
    let asking = tokio::task::spawn_blocking(move || runtime.block_on(asked.request(&call, &body)));
    match asking.await {
        Ok(answer) => answer,
        Err(error) => {
            tracing::error!(%error, "a question could not be read to its end");
            Answer::Overloaded
        }
    }
}

fn correlation_id(headers: &(impl CallHeaders + ?Sized)) -> Option<Vec<u8>> {
    let value = headers.first("x-correlationid")?.trim_ascii();
    (!value.is_empty()).then(|| value.to_vec())
}

fn count(caller: &Caller, event: PortEvent) {
    caller.ase.counters.count(Counter::DataPort(event));
}

pub(super) fn refuse_body(caller: &Caller, target: Target, fault: BodyFault) -> Answer {
    count_refused(&caller.ase, target);
    match fault {
        BodyFault::TooLarge => {
            count(caller, PortEvent::BodyTooLarge);
            caller.activity.hurry();
            Answer::TooLarge
        }
        BodyFault::TooSlow => {
            count(caller, PortEvent::BodyTooSlow);
            caller.activity.hurry();
            Answer::TimedOut
        }
        BodyFault::BrokenOff => Answer::Malformed(String::new()),
    }
}

pub(super) fn count_shed(caller: &Caller, target: Target) {
    count(caller, PortEvent::CallsShed);
    let counters = &caller.ase.counters;
    match target {
        Target::Request => counters.count(Counter::Verdict(VerdictLabel::Overloaded)),
        Target::Response => {}
        Target::Batch => counters.count(Counter::BatchesOverloaded),
        Target::Image => counters.count(Counter::Image(ImageEvent::NotReady)),
    }
}

fn count_unauthorized(ase: &Ase, target: Target) {
    match target {
        Target::Request => {
            ase.counters.count(Counter::RequestsFailed);
            ase.counters.count(Counter::RequestAuthentication);
            ase.counters.count(Counter::Verdict(VerdictLabel::Rejected));
        }
        Target::Response => {
            ase.counters.count(Counter::ResponsesFailed);
            ase.counters.count(Counter::ResponseAuthentication);
        }
        Target::Batch => ase.counters.count(Counter::BatchAuthentication),
        Target::Image => ase
            .counters
            .count(Counter::Image(ImageEvent::Authentication)),
    }
}

fn count_refused(ase: &Ase, target: Target) {
    match target {
        Target::Request => {
            ase.counters.count(Counter::RequestsFailed);
            ase.counters.count(Counter::RequestUnknown);
            ase.counters.count(Counter::Verdict(VerdictLabel::Rejected));
        }
        Target::Response => {
            ase.counters.count(Counter::ResponsesFailed);
            ase.counters.count(Counter::ResponseUnknown);
        }
        Target::Batch => ase.counters.count(Counter::BatchesRefused),
        Target::Image => ase.counters.count(Counter::Image(ImageEvent::Refused)),
    }
}
