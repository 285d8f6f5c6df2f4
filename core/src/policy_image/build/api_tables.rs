//! The tables by which an image finds APIs; how they are read is in `apis.rs`.

use std::collections::BTreeMap;

use crate::host::HostPattern;
use crate::identity::CredentialNames;
use crate::registry::{ApiDefinition, Decoys, JwtClaims, JwtLocation, Registry, TokenRule};

use super::super::apis::{NO_PARENT, Traits, by_segments, is_prefix};
use super::{BuildError, number};

/// Appends the APIs of a registry.
pub(super) fn write(out: &mut Vec<u8>, registry: &Registry) -> Result<(), BuildError> {
    let mut names: BTreeMap<Vec<u8>, u32> = BTreeMap::new();
    let mut in_order: Vec<u8> = Vec::new();
    let mut by_host: BTreeMap<&str, Vec<(&[u8], Traits)>> = BTreeMap::new();
    for api in registry.iter() {
        let next = number(names.len())?;
        let mut written = Vec::new();
        write_names(&mut written, api)?;
        let names = *names.entry(written).or_insert_with_key(|written| {
            in_order.extend_from_slice(written);
            next
        });
        let host = match api.host() {
            HostPattern::Any => "",
            HostPattern::Exact(host) => host.as_str(),
        };
        let local = is_local(api);
        let path = api.base_path().as_bytes();
        let of_host = by_host.entry(host).or_default();
        of_host.push((path, Traits { names, local }));
    }
    out.extend_from_slice(&number(names.len())?.to_le_bytes());
    out.extend_from_slice(&in_order);
    write_tables(out, by_host)
}

/// Whether a gateway can tell that ASE has nothing against a request, from who sends it alone.
fn is_local(api: &ApiDefinition) -> bool {
    let rules = api.rules();
    let without_decoys = match rules.decoys() {
        Decoys::Off => true,
        Decoys::InContext(_) | Decoys::OutOfContext => false,
    };
    let without_token = match rules.token() {
        TokenRule::Optional => true,
        TokenRule::Mandatory => false,
    };
    without_decoys && without_token && rules.patterns().is_empty() && rules.spike().is_none()
}

fn write_tables(
    out: &mut Vec<u8>,
    by_host: BTreeMap<&str, Vec<(&[u8], Traits)>>,
) -> Result<(), BuildError> {
    let (mut hosts, mut apis, mut texts) = (Vec::new(), Vec::new(), Vec::new());
    let mut count = 0;
    for (host, mut of_host) in by_host
        .iter()
        .map(|(host, of_host)| (host, of_host.clone()))
    {
        of_host.sort_unstable_by(|(left, _), (right, _)| by_segments(left, right));
        hosts.push(refer(&mut texts, host.as_bytes())?);
        let end = count + number(of_host.len())?;
        hosts.push([count, end]);
        // The APIs that lie above the next one, the nearest last.
        let mut above: Vec<(u32, &[u8])> = Vec::new();
        for (path, traits) in of_host {
            while above.pop_if(|(_, base)| !is_prefix(base, path)).is_some() {}
            let parent = above.last().map_or(NO_PARENT, |(number, _)| *number);
            apis.push(refer(&mut texts, path)?);
            apis.push([parent, traits.to_word()]);
            above.push((count, path));
            count += 1;
        }
    }
    for number in [number(by_host.len())?, count, number(texts.len())?] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    for word in hosts.iter().chain(&apis).flatten() {
        out.extend_from_slice(&word.to_le_bytes());
    }
    out.extend_from_slice(&texts);
    Ok(())
}

/// Adds a text, and says where it is and how long.
fn refer(texts: &mut Vec<u8>, text: &[u8]) -> Result<[u32; 2], BuildError> {
    let start = number(texts.len())?;
    texts.extend_from_slice(text);
    Ok([start, number(text.len())?])
}

fn write_names(out: &mut Vec<u8>, api: &ApiDefinition) -> Result<(), BuildError> {
    let CredentialNames {
        token_headers,
        token_query,
        api_key_headers,
        api_key_query,
        cookies,
        username_headers,
    } = api.credential_names();
    for list in [
        token_headers,
        token_query,
        api_key_headers,
        api_key_query,
        cookies,
        username_headers,
    ] {
        out.extend_from_slice(&number(list.len())?.to_le_bytes());
        for name in list {
            write_text(out, name)?;
        }
    }
    let username = |claims: &JwtClaims| claims.username().map(str::to_owned);
    let Some((claims, username)) = api
        .jwt()
        .and_then(|claims| Some((claims, username(claims)?)))
    else {
        out.push(0);
        return Ok(());
    };
    match claims.location() {
        JwtLocation::Query(name) => {
            out.push(1);
            write_text(out, name)?;
        }
        JwtLocation::Header(name) => {
            out.push(2);
            write_text(out, name)?;
        }
        JwtLocation::AuthorizationBearer => out.push(3),
    }
    write_text(out, &username)
}

fn write_text(out: &mut Vec<u8>, text: &str) -> Result<(), BuildError> {
    out.extend_from_slice(&number(text.len())?.to_le_bytes());
    out.extend_from_slice(text.as_bytes());
    Ok(())
}
