//! From JSON to [`Config`], key by key in the order of the document.

use std::num::NonZeroU8;
use std::time::Duration;

use ase_core::fault::{FaultCollector, Fields, Item};
use ase_core::identity::{CredentialNames, Provenance};
use ase_core::json::Value;

use super::failure_reply::FailureReplies;
use super::policy::{Policy, Treatment};
use super::routes::Routes;
use super::text::TextFault;
use super::{
    Ase, ClientAddressSource, Config, Delivery, DeliveryKind, Peer, Reply, Report, SidebandToken,
    UserInfo, local, text,
};
use crate::breaker::BreakerLimits;
use crate::exchange::AnswerMark;
use crate::host_profile::HostProfile;
use crate::outbox::OutboxLimits;
use crate::pairs;

/// After a fault the result is only a stand-in, which the collector never lets out.
pub(super) fn config(document: &Value, collector: &mut FaultCollector) -> Config {
    let mut root = Fields::of(document, "", collector);
    let host = root.choice("host_profile", HostProfile::CHOICES, HostProfile::default());
    host.refuse_what_is_missing(&mut root);
    let (block, block_details) = block(root.object("block"));
    let user_info = UserInfo::read(root.object("user_info"));
    let mut credentials = credentials(root.object("credentials"));
    // ASE takes `user_info` for verified unless the same name is reported with its provenance, and a header is only a claim.
    if user_info.header_provenance == Provenance::Claimed {
        credentials.username_headers = Vec::from_iter(user_info.username_header.clone());
    }
    let (ase, rest, timeout) = ase(root.object("ase"), host);
    let policy = Policy {
        timeout,
        ..Policy::DEFAULT.read(&mut root)
    };
    let report = Report::read(root.object("report"));
    let delivery = delivery(root.object("delivery"));
    let routes = Routes::read(&mut root, policy);
    let usage = if policy.treatment == Treatment::Local || routes.any_local() {
        local::Use::Some
    } else {
        local::Use::None
    };
    let config = Config {
        host,
        policy,
        routes,
        route_metadata: root.custom("route_metadata", text::metadata_namespace),
        client_address: client_address(root.object("client_address")),
        credentials,
        user_info,
        report,
        block,
        block_details,
        failure_replies: FailureReplies::read(root.object("failure_reply")),
        decision_property: root.flag("decision_property", false),
        fail_open_header: root.custom("fail_open_header", text::request_header_name),
        breaker: breaker(root.object("breaker"), rest),
        local: local::read(root.object("local"), &ase, &delivery, usage),
        delivery,
        ase,
    };
    root.finish();
    config
}

/// How ASE is called; how long the primary rests where there is a secondary; the longest wait for a verdict.
fn ase(mut fields: Fields<'_, '_>, host: HostProfile) -> (Ase, Option<Duration>, Duration) {
    let mut text = |key, parse, default| text_or(&mut fields, key, parse, default);
    let (request_path, response_path, batch_path, image_path) = (
        text("request_path", text::path, "/ase/request"),
        text("response_path", text::path, "/ase/response"),
        text("batch_path", text::path, "/ase/batch"),
        text("image_path", text::path, "/ase/image"),
    );
    let primary = Peer {
        cluster: text("cluster", text::cluster, "ase"),
        authority: text("authority", text::visible_ascii, "ase"),
    };
    let (secondary, rest) = secondary(&mut fields, &primary).unzip();
    let timeout_ms = fields.integer("timeout_ms", 1..=60_000_u32, 500);
    let ase = Ase {
        primary,
        secondary,
        request_path,
        response_path,
        batch_path,
        image_path,
        token: fields
            .custom("token", text::visible_ascii)
            .map(SidebandToken),
        correlation_header: text_or(
            &mut fields,
            "correlation_header",
            text::correlation_header,
            "x-correlationid",
        ),
        answer_mark: answer_mark(fields.object("answer_mark"), host),
        retry_headers: retry(fields.object("retry"), timeout_ms),
    };
    fields.finish();
    (ase, rest, millis(timeout_ms))
}

fn secondary(fields: &mut Fields<'_, '_>, primary: &Peer) -> Option<(Peer, Duration)> {
    let mut item = fields.item("secondary")?;
    let mut fields = item.fields();
    let cluster = fields.required_custom("cluster", text::cluster);
    let authority = fields.custom("authority", text::visible_ascii);
    let rest = millis(fields.integer("cool_down_ms", 1..=600_000_u32, 10_000));
    fields.finish();
    let peer = Peer {
        cluster: cluster?,
        authority: authority.unwrap_or_else(|| primary.authority.clone()),
    };
    Some((peer, rest))
}

fn answer_mark(mut fields: Fields<'_, '_>, host: HostProfile) -> AnswerMark {
    let header = fields.custom("header", text::header_name);
    let value = fields.custom("value", text::header_value);
    if header.is_none() && value.is_some() {
        fields.fault("value", "means something only beside \"header\"");
    }
    fields.finish();
    match header {
        Some(header) => AnswerMark { header, value },
        None => host.answer_mark(),
    }
}

/// What the host may repeat a question for; its own words.
const RETRY_CONDITIONS: &[(&str, &str)] = &[
    ("connect-failure", "connect-failure"),
    ("refused-stream", "refused-stream"),
    ("reset", "reset"),
    ("reset-before-request", "reset-before-request"),
    ("gateway-error", "gateway-error"),
    ("5xx", "5xx"),
];

fn retry(mut fields: Fields<'_, '_>, timeout_ms: u32) -> Vec<(&'static str, String)> {
    let attempts = fields.integer("attempts", 0..=10_u8, 0);
    let on = fields.list_if_present("on", |item| item.choice(RETRY_CONDITIONS));
    let per_try = fields
        .item("per_try_timeout_ms")
        .and_then(|mut item| item.integer(1..=60_000_u32));
    if attempts == 0 {
        for key in ["on", "per_try_timeout_ms"] {
            fields.refuse(key, "means something only beside \"attempts\" above 0");
        }
    }
    if per_try.is_some_and(|per_try| per_try >= timeout_ms) {
        fields.fault("per_try_timeout_ms", "must be less than ase.timeout_ms");
    }
    fields.finish();
    if attempts == 0 {
        return Vec::new();
    }
    let on = on.unwrap_or_else(|| vec!["connect-failure", "refused-stream", "reset"]);
    let mut headers = vec![
        ("x-envoy-max-retries", attempts.to_string()),
        ("x-envoy-retry-on", on.join(",")),
    ];
    headers.extend(
        per_try.map(|millis| ("x-envoy-upstream-rq-per-try-timeout-ms", millis.to_string())),
    );
    headers
}

fn client_address(mut fields: Fields<'_, '_>) -> ClientAddressSource {
    #[derive(Clone, Copy)]
    enum From {
        Envoy,
        Xff,
    }
    let source = match fields.choice(
        "from",
        &[("envoy", From::Envoy), ("xff", From::Xff)],
        From::Envoy,
    ) {
        From::Envoy => {
            fields.refuse(
                "trusted_hops",
                "means something only beside \"from\": \"xff\"",
            );
            ClientAddressSource::Envoy
        }
        From::Xff => {
            let hops = fields.required_integer("trusted_hops", 1..=32_u8);
            ClientAddressSource::Xff(hops.and_then(NonZeroU8::new).unwrap_or(NonZeroU8::MIN))
        }
    };
    fields.finish();
    source
}

fn credentials(mut fields: Fields<'_, '_>) -> CredentialNames {
    let mut names = CredentialNames::default();
    let mut oauth = fields.object("oauth_token");
    names.token_headers = oauth
        .list_if_present("headers", header_name)
        .unwrap_or_else(|| vec!["authorization".to_owned()]);
    names.token_query = oauth.list("query", parameter_name);
    oauth.finish();
    let mut api_key = fields.object("api_key");
    names.api_key_headers = api_key.list("headers", header_name);
    names.api_key_query = api_key.list("query", parameter_name);
    api_key.finish();
    names.cookies = fields.list("cookies", parameter_name);
    fields.finish();
    names
}

fn header_name(item: &mut Item<'_, '_>) -> Option<String> {
    item.custom(text::header_name)
}

fn parameter_name(item: &mut Item<'_, '_>) -> Option<String> {
    item.custom(text::parameter_name)
}

fn block(mut fields: Fields<'_, '_>) -> (Reply, String) {
    let details = text_or(&mut fields, "details", text::visible_ascii, "ase_denied");
    (reply(fields, 403, "Forbidden\n"), details)
}

fn reply(mut fields: Fields<'_, '_>, status: u16, body: &str) -> Reply {
    let reply = Reply {
        status: fields.integer("status", 400..=599_u16, status),
        body: fields.text("body").unwrap_or_else(|| body.to_owned()),
        headers: pairs::write(&fields.list("headers", reply_header)),
    };
    fields.finish();
    reply
}

pub(super) fn reply_header(item: &mut Item<'_, '_>) -> Option<(String, String)> {
    let mut fields = item.fields();
    let name = fields.required_custom("name", text::reply_header_name);
    let value = fields.required_custom("value", text::header_value);
    fields.finish();
    Some((name?, value?))
}

fn breaker(mut fields: Fields<'_, '_>, rest: Option<Duration>) -> BreakerLimits {
    let limits = BreakerLimits {
        failures: fields.integer("failures", 0..=1_000_000_u32, 10),
        cool_down: millis(fields.integer("cool_down_ms", 1..=600_000_u32, 1000)),
        rest,
    };
    fields.finish();
    limits
}

fn delivery(mut fields: Fields<'_, '_>) -> Delivery {
    let kind = fields.choice(
        "kind",
        &[
            ("batch", DeliveryKind::Batch),
            ("per_call", DeliveryKind::PerCall),
        ],
        DeliveryKind::Batch,
    );
    let tick = millis(fields.integer("tick_ms", 1..=60_000_u32, 50));
    let limits = OutboxLimits {
        batch_bytes: bytes(fields.integer("batch_bytes", 1024..=16_777_216_u32, 262_144)),
        queue_bytes: bytes(fields.integer("queue_bytes", 1024..=268_435_456_u32, 4_194_304)),
        in_flight: usize::from(fields.integer("in_flight", 1..=64_u8, 2)),
        attempts: fields.integer("attempts", 1..=100_u32, 20),
    };
    let timeout = millis(fields.integer("timeout_ms", 1..=60_000_u32, 5000));
    let open_after = millis(fields.integer("open_after_ms", 0..=86_400_000_u32, 5000));
    fields.finish();
    Delivery {
        kind,
        tick,
        timeout,
        // Policies with a call for each half have no word for it.
        open_after: Some(open_after)
            .filter(|after| !after.is_zero() && kind == DeliveryKind::Batch),
        limits,
    }
}

/// The text under `key`, or this one where there is none.
#[inline(never)]
pub(super) fn text_or(
    fields: &mut Fields<'_, '_>,
    key: &str,
    parse: fn(&str) -> Result<String, TextFault>,
    default: &str,
) -> String {
    let text = fields.custom(key, parse);
    text.unwrap_or_else(|| default.to_owned())
}

pub(super) fn millis(millis: u32) -> Duration {
    Duration::from_millis(u64::from(millis))
}

/// `usize` has 32 bits or more on every target of this crate.
fn bytes(bytes: u32) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
