//! The bodies of the fuzz targets: any bytes in, no panic, and what is read holds together.
//!
//! `make test` replays `corpus/` through them, `make fuzz` grows it with cargo-fuzz (`cargo-fuzz/`, which needs a nightly toolchain). Must never touch anything
//! outside of memory.
#![forbid(unsafe_code)]
#![expect(clippy::panic, reason = "a fuzz target fails by panicking")]

#[cfg(feature = "daemon")]
pub mod daemon;

use ase_core::api_id::ApiId;
use ase_core::host::HostName;
use ase_core::identifier_list::parse_plain;
use ase_core::metadata::RequestReport;
use ase_core::path::NormalPath;
use ase_core::redaction::{redact_header, redact_url};
use ase_core::registry::{ApiDefinition, Registry};
use ase_core::transaction::wire::read_record;
use ase_core::wire::{body_text, read_request, read_response};

mod engine;
mod filter;
mod image;

pub use engine::engine;
pub use filter::{exchange, filter_config, headers, outbox};
pub use image::{image_overlay, policy_image};

/// A body of a fuzz target.
pub type Target = fn(&[u8]);

/// The targets of what is pure, by their names, which are those of their corpus folders too.
pub const TARGETS: [(&str, Target); 15] = [
    ("request", request),
    ("response", response),
    ("record", record),
    ("definition", definition),
    ("import", import),
    ("path", path),
    ("host", host),
    ("redaction", redaction),
    ("engine", engine),
    ("headers", headers),
    ("filter_config", filter_config),
    ("exchange", exchange),
    ("outbox", outbox),
    ("policy_image", policy_image),
    ("image_overlay", image_overlay),
];

/// The body of a request call: read or refused, and what is refused is named. Read quickly it is what it is at length.
pub fn request(bytes: &[u8]) {
    let text = body_text(bytes);
    let Ok(metadata) = read_request(&text) else {
        return;
    };
    if let Err(faults) = RequestReport::of(&metadata) {
        assert!(!faults.is_empty(), "refused without a fault");
    }
    if let Some(wrapped) = wrapped(&text) {
        assert_eq!(read_request(&wrapped).as_ref(), Ok(&metadata), "{text:?}");
    }
}

/// The body of a response call.
pub fn response(bytes: &[u8]) {
    let text = body_text(bytes);
    let Ok(metadata) = read_response(&text) else {
        return;
    };
    if let Some(wrapped) = wrapped(&text) {
        assert_eq!(read_response(&wrapped).as_ref(), Ok(&metadata), "{text:?}");
    }
}

/// The body in the wrapper of one policy, which is never read quickly and means the same; `None` when it is nested so deeply that
/// one level more may be too many.
fn wrapped(text: &str) -> Option<String> {
    let levels = text.bytes().filter(|byte| b"[{".contains(byte)).count();
    (levels < 100).then(|| format!("{{\"ASEPayload\":{text}}}"))
}

/// A line of a batch.
pub fn record(bytes: &[u8]) {
    drop(read_record(&body_text(bytes)));
}

/// An API definition: read, or refused with at least one fault; what is read compiles alone.
pub fn definition(bytes: &[u8]) {
    let Ok(id) = ApiId::parse("fuzzed") else {
        panic!("an id that is one is refused");
    };
    match ApiDefinition::from_json(id, bytes) {
        Ok((definition, _)) => assert!(
            Registry::compile([definition]).is_ok(),
            "a definition that was read contradicts itself"
        ),
        Err(faults) => assert!(!faults.to_string().is_empty(), "a fault that says nothing"),
    }
}

/// A plain list of addresses: every line is an entry, a fault, or neither.
pub fn import(bytes: &[u8]) {
    let text = body_text(bytes);
    let list = parse_plain(&text);
    let lines = text.split(['\n', '\r']).count();
    assert!(
        list.networks.len() + list.faults.len() <= lines,
        "more entries and faults than lines"
    );
}

/// A URL: the normal path is one of its readings.
pub fn path(bytes: &[u8]) {
    let text = body_text(bytes);
    let normal = NormalPath::from_url(&text);
    let readings = NormalPath::readings(&text);
    assert!(
        readings.contains(&normal),
        "the usual reading of {text:?} is not among its readings"
    );
}

/// A host header: a name reads as itself, and is one of the header's readings.
pub fn host(bytes: &[u8]) {
    if let Ok(name) = HostName::from_header(bytes) {
        let again = HostName::from_header(name.as_str().as_bytes());
        assert_eq!(
            again.as_ref(),
            Ok(&name),
            "a normal name has another normal name"
        );
        let readings = HostName::readings(std::iter::once(bytes));
        assert!(
            readings.contains(&name),
            "{name:?} is not among {readings:?}"
        );
    }
}

/// A URL with a secret behind whatever the bytes are, and any header: the secret never comes out.
pub fn redaction(bytes: &[u8]) {
    const SECRET: &str = "S3CR3T-that-must-not-come-out";
    let text = body_text(bytes);
    let url = format!("{text}?a=b&access_token={SECRET}");
    let redacted = redact_url(&url, &[]);
    assert!(!redacted.contains(SECRET), "{url:?} became {redacted:?}");
    for name in [
        "authorization",
        "cookie",
        "referer",
        "set-cookie",
        "x-api-key",
        "user-agent",
    ] {
        drop(redact_header(name, &text, &[]));
    }
}
