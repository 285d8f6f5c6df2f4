//! The JSON shape of an API's declared routes, and nothing else of it.

use std::collections::BTreeMap;

use crate::fault::Fields;
use crate::path::NormalPath;

use super::super::routes::{MAX_ROUTE_SEGMENTS, MAX_ROUTES, Piece, Routes, Template};
use super::RuleError;

pub(super) fn read(api: &mut Fields<'_, '_>, base_path: Option<&NormalPath>) -> Routes {
    let mut seen: BTreeMap<Template, usize> = BTreeMap::new();
    let mut place = 0;
    let templates = api.list("routes", |item| {
        let this = place;
        place += 1;
        let template = item.custom(template)?;
        if let Some(first) = seen.insert(template.clone(), this) {
            item.fault(format_args!("is the same route as routes[{first}]"));
        }
        Some(template)
    });
    if templates.len() > MAX_ROUTES {
        let rule = format_args!("has {} routes, more than {MAX_ROUTES}", templates.len());
        api.fault("routes", rule);
    }
    base_path.map_or_else(Routes::default, |base| Routes::compile(base, &templates))
}

/// `/orders/{id}`: segments in braces stand for anything, the others for themselves, in the spelling of request paths.
fn template(text: &str) -> Result<Template, RuleError> {
    if !text.starts_with('/') {
        return Err(RuleError::NotAPath(text.to_owned()));
    }
    if text.contains(['?', '#', ';']) {
        return Err(RuleError::NotOnlyARoute(text.to_owned()));
    }
    let path = NormalPath::from_url(text);
    let pieces: Option<Vec<Piece>> = path.segments().map(piece).collect();
    let pieces = pieces.ok_or_else(|| RuleError::NotATemplate(text.to_owned()))?;
    if pieces.len() > MAX_ROUTE_SEGMENTS {
        return Err(RuleError::TooLong(text.to_owned()));
    }
    Ok(Template(pieces))
}

/// `None` when braces stand anywhere but around a name.
fn piece(segment: &[u8]) -> Option<Piece> {
    if !segment.iter().any(|byte| b"{}".contains(byte)) {
        return Some(Piece::Word(segment.to_vec()));
    }
    let name = segment.strip_prefix(b"{")?.strip_suffix(b"}")?;
    let ordinary = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    let is_name = !name.is_empty() && name.iter().all(ordinary);
    is_name.then_some(Piece::Parameter)
}
