//! The JSON shape of an API's real-time rules, and nothing else of it.

use std::num::NonZeroU32;

use crate::fault::{Fields, Item};
use crate::json::Value;
use crate::path::NormalPath;

use super::super::definition::Protocol;
use super::super::rules::{
    Decoys, MAX_DECOYS, MediaRange, Patterns, Rules, SpikeLimit, TokenRule, Window,
};
use super::{PROTOCOLS, RuleError, any_path, header_name};

/// Most elements of a list of allowed protocols, methods or content types.
const MAX_ALLOWED: usize = 64;
/// Highest limit of requests in a window.
const MAX_SPIKE: u32 = 1_000_000_000;

pub(super) fn read(api: &mut Fields<'_, '_>, base_path: Option<&NormalPath>) -> Rules {
    let token = match api.flag("is_token_mandatory", false) {
        true => TokenRule::Mandatory,
        false => TokenRule::Optional,
    };
    if token == TokenRule::Mandatory && !api.flag("oauth2_access_token", false) {
        api.fault(
            "is_token_mandatory",
            "needs \"oauth2_access_token\": true; otherwise no request would have a token",
        );
    }
    let mut patterns = api.object("api_pattern_enforcement");
    let found = read_patterns(&mut patterns);
    patterns.finish_with_warnings();
    let mut decoys = api.object("decoy_config");
    let found_decoys = read_decoys(&mut decoys, base_path);
    decoys.finish_with_warnings();
    let mut flow = api.object("flow_control");
    let spike = flow.custom("client_spike_threshold", spike_limit).flatten();
    for inline in [
        "server_connection_queueing",
        "bytes_in_threshold",
        "bytes_out_threshold",
    ] {
        drop(flow.item(inline));
    }
    flow.finish_with_warnings();
    Rules {
        patterns: found,
        decoys: found_decoys,
        token,
        spike,
    }
}

fn read_patterns(patterns: &mut Fields<'_, '_>) -> Patterns {
    let protocols = allowed(patterns, "protocol_allowed", |text| {
        let known = PROTOCOLS
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(text));
        let found: Option<Protocol> = known.map(|(_, protocol)| *protocol);
        found.ok_or_else(|| RuleError::NotAProtocol(text.to_owned()))
    });
    let methods = allowed(patterns, "methods_allowed", |text| {
        // Methods share the alphabet of header names (RFC 9110 §5.6.2, §9.1) and keep their case.
        header_name(text).map_err(|_| RuleError::NotAMethod(text.to_owned()))?;
        Ok(text.to_ascii_uppercase())
    });
    let content_types = allowed(patterns, "content_type_allowed", media_range);
    // What the client is told and where it is sent are the gateway's to say: ASE answers the gateway only.
    for answer in ["error_code", "error_def", "error_message_body"] {
        if let Some(mut item) = patterns.item(answer)
            && !matches!(item.value(), Value::String(_) | Value::Number(_))
        {
            item.fault("must be a string or a number");
        }
    }
    if let Some(mut redirect) = patterns.item("http_redirect")
        && redirect.value().as_object().is_none()
    {
        redirect.fault("must be an object");
    }
    Patterns {
        protocols,
        methods,
        content_types,
    }
}

/// A list, or a text that may hold several parted by commas; an empty one allows everything.
fn allowed<T>(
    fields: &mut Fields<'_, '_>,
    key: &str,
    parse: impl Fn(&str) -> Result<T, RuleError>,
) -> Vec<T> {
    let Some(mut item) = fields.item(key) else {
        return Vec::new();
    };
    let parse_parts = |item: &mut Item<'_, '_>| {
        item.custom(|text| {
            let parts = text.split(',').map(str::trim);
            let parts = parts.filter(|part| !part.is_empty()).take(MAX_ALLOWED + 1);
            parts.map(&parse).collect::<Result<Vec<T>, RuleError>>()
        })
    };
    let found = match item.value() {
        Value::Null => Vec::new(),
        Value::Array(_) => item
            .list(parse_parts)
            .unwrap_or_default()
            .into_iter()
            .flatten()
            .collect(),
        Value::String(_) | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            parse_parts(&mut item).unwrap_or_default()
        }
    };
    if found.len() > MAX_ALLOWED {
        fields.fault(key, format_args!("has more than {MAX_ALLOWED} elements"));
    }
    found
}

fn read_decoys(decoys: &mut Fields<'_, '_>, base_path: Option<&NormalPath>) -> Decoys {
    let enabled = decoys.flag("decoy_enabled", false);
    // The upstream answers a decoy's callers; a sideband has no way to.
    for answer in ["response_code", "response_def", "response_message"] {
        drop(decoys.item(answer));
    }
    let subpaths = decoys.list("decoy_subpaths", |item| item.custom(decoy_path));
    if subpaths.len() > MAX_DECOYS {
        let rule = format_args!("has {} paths, more than {MAX_DECOYS}", subpaths.len());
        decoys.fault("decoy_subpaths", rule);
    }
    if !enabled {
        return Decoys::Off;
    }
    if subpaths.is_empty() || subpaths.iter().any(NormalPath::is_root) {
        return Decoys::OutOfContext;
    }
    // A path that repeats the API's own is meant from the root; nothing real is where it would point otherwise.
    let whole: Vec<NormalPath> = base_path
        .into_iter()
        .filter(|base| !base.is_root())
        .flat_map(|base| subpaths.iter().filter_map(|path| path.below(base)))
        .collect();
    if whole.iter().any(NormalPath::is_root) {
        return Decoys::OutOfContext;
    }
    Decoys::InContext(subpaths.into_iter().chain(whole).collect())
}

fn decoy_path(text: &str) -> Result<NormalPath, RuleError> {
    if text.is_empty() || text.starts_with('/') {
        return Ok(NormalPath::from_url(text));
    }
    any_path(&format!("/{text}"))
}

fn media_range(text: &str) -> Result<MediaRange, RuleError> {
    let refused = || RuleError::NotAMediaType(text.to_owned());
    let (kind, subtype) = text.split_once('/').ok_or_else(refused)?;
    let part = |part: &str| match part {
        "*" => Ok(None),
        // Types share the alphabet of header names (RFC 9110 §8.3.1).
        part => header_name(part).map(Some).map_err(|_| refused()),
    };
    let (kind, subtype) = (part(kind)?, part(subtype)?);
    if kind.is_none() && subtype.is_some() {
        return Err(refused());
    }
    Ok(MediaRange { kind, subtype })
}

/// `500/second`; 0 of anything, and an empty text, turn the limit off.
fn spike_limit(text: &str) -> Result<Option<SpikeLimit>, RuleError> {
    let refused = || RuleError::NotALimit(text.to_owned());
    if text.is_empty() {
        return Ok(None);
    }
    let (number, unit) = text.split_once('/').ok_or_else(refused)?;
    let window = match unit {
        "second" => Window::Second,
        "minute" => Window::Minute,
        "hour" => Window::Hour,
        _ => return Err(refused()),
    };
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let number: u32 = number.parse().map_err(|_| refused())?;
    if !digits || number > MAX_SPIKE {
        return Err(refused());
    }
    Ok(NonZeroU32::new(number).map(|requests| SpikeLimit { requests, window }))
}
