//! The JSON shape of an API definition, and nothing else of it.
//!
//! An empty text means that the key is unset, as in the original's templates.

use thiserror::Error;

use crate::api_id::{ApiGroup, ApiId};
use crate::fault::{FaultCollector, Faults, Fields, Warnings};
use crate::host::HostPattern;
use crate::identity::CredentialNames;
use crate::path::NormalPath;

use super::definition::{ApiDefinition, Blocking, JwtClaims, JwtLocation, MAX_LEVELS, Protocol};

mod routes;
mod rules;

const PROTOCOLS: &[(&str, Protocol)] = &[
    ("http", Protocol::Http),
    ("https", Protocol::Https),
    ("ws", Protocol::Ws),
    ("wss", Protocol::Wss),
];

/// Documented keys that mean something only where ASE is the reverse proxy itself.
const INLINE_ONLY: &[(&str, Shape)] = &[
    ("cookie_idle_timeout", Shape::Scalar),
    ("logout_api_enabled", Shape::Scalar),
    ("cookie_persistence_enabled", Shape::Scalar),
    ("api_mapping", Shape::Object),
    ("api_memory_size", Shape::Scalar),
    ("health_check", Shape::Scalar),
    ("health_check_interval", Shape::Scalar),
    ("health_retry_count", Shape::Scalar),
    ("health_url", Shape::Scalar),
    ("server_ssl", Shape::Scalar),
    ("servers", Shape::List),
];

#[derive(Clone, Copy)]
enum Shape {
    Scalar,
    List,
    Object,
}

#[derive(Debug, Error)]
enum RuleError {
    #[error("{0:?} is not a path that begins with '/'")]
    NotAPath(String),
    #[error("{0:?} holds one of '?', '#' and ';', which no base path has")]
    NotOnlyAPath(String),
    #[error("{url:?} has {levels} levels, more than {MAX_LEVELS}")]
    TooDeep { url: String, levels: usize },
    #[error(
        "{0:?} has braces that are not around the name of a whole segment, as in /orders/{{id}}"
    )]
    NotATemplate(String),
    #[error("{0:?} holds one of '?', '#' and ';', which no route has")]
    NotOnlyARoute(String),
    #[error("{0:?} has more than {max} segments", max = super::routes::MAX_ROUTE_SEGMENTS)]
    TooLong(String),
    #[error("{0:?} is not \"qs:<parameter>\", \"h:<header>\" or \"h:authorization:bearer\"")]
    NotALocation(String),
    #[error("{0:?} is not a header name")]
    NotAHeaderName(String),
    #[error("{0:?} is not one of http, https, ws, wss")]
    NotAProtocol(String),
    #[error("{0:?} is not a method")]
    NotAMethod(String),
    #[error("{0:?} is not a content type, such as application/json or text/*")]
    NotAMediaType(String),
    #[error("{0:?} is not a limit, such as 500/second (or minute, or hour; 0/second is none)")]
    NotALimit(String),
}

pub(super) fn read(id: ApiId, document: &[u8]) -> Result<(ApiDefinition, Warnings), Faults> {
    let mut collector = FaultCollector::default();
    let definition = collector.json(document).and_then(|document| {
        let mut root = Fields::of(&document, "", &mut collector);
        let definition = match root.required_item("api_metadata") {
            Some(mut item) => read_metadata(id, item.fields()),
            None => None,
        };
        root.finish_with_warnings();
        definition
    });
    let warnings = collector.warnings();
    collector.into_complete(definition.map(|definition| (definition, warnings)))
}

fn read_metadata(id: ApiId, mut api: Fields<'_, '_>) -> Option<ApiDefinition> {
    let group = unless_empty(&mut api, "group", ApiGroup::parse);
    let protocol = api.choice("protocol", PROTOCOLS, Protocol::Http);
    let host = api.required_custom("hostname", HostPattern::parse);
    let base_path = api.required_custom("url", base_path);
    let login_path = unless_empty(&mut api, "login_url", any_path);
    let jwt = read_jwt(&mut api);
    let credential_names = read_credential_names(&mut api, jwt.as_ref());
    let blocking = match api.flag("enable_blocking", false) {
        true => Blocking::Enforced,
        false => Blocking::DetectOnly,
    };
    let rules = rules::read(&mut api, base_path.as_ref());
    let routes = routes::read(&mut api, base_path.as_ref());
    ignore_inline_only(&mut api);
    api.finish_with_warnings();
    Some(ApiDefinition {
        id,
        group,
        protocol,
        host: host?,
        base_path: base_path?,
        login_path,
        credential_names,
        jwt,
        blocking,
        rules,
        routes,
    })
}

fn read_credential_names(api: &mut Fields<'_, '_>, jwt: Option<&JwtClaims>) -> CredentialNames {
    let mut names = CredentialNames {
        api_key_headers: Vec::from_iter(unless_empty(api, "apikey_header", header_name)),
        api_key_query: Vec::from_iter(unless_empty(api, "apikey_qs", any_name)),
        cookies: Vec::from_iter(unless_empty(api, "cookie", any_name)),
        username_headers: Vec::from_iter(unless_empty(api, "username_header", header_name)),
        ..CredentialNames::default()
    };
    if api.flag("oauth2_access_token", false) {
        names.token_headers.push("authorization".to_owned());
        match jwt.map(JwtClaims::location) {
            Some(JwtLocation::Query(name)) => names.token_query.push(name.clone()),
            Some(JwtLocation::Header(name)) => names.token_headers.push(name.clone()),
            Some(JwtLocation::AuthorizationBearer) | None => {}
        }
    }
    names
}

fn read_jwt(api: &mut Fields<'_, '_>) -> Option<JwtClaims> {
    let mut jwt = api.object("jwt");
    let location = unless_empty(&mut jwt, "location", jwt_location);
    let has_location = jwt
        .item("location")
        .is_some_and(|item| item.value().as_str() != Some(""));
    let username = unless_empty(&mut jwt, "username", any_name);
    let client_id = unless_empty(&mut jwt, "clientid", any_name);
    if username.is_some() && username == client_id {
        jwt.fault(
            "clientid",
            "names the claim of \"username\"; the two must differ",
        );
    }
    if !has_location && (username.is_some() || client_id.is_some()) {
        jwt.fault(
            "location",
            "is required beside \"username\" or \"clientid\"",
        );
    }
    jwt.finish_with_warnings();
    Some(JwtClaims {
        location: location?,
        username,
        client_id,
    })
}

fn ignore_inline_only(api: &mut Fields<'_, '_>) {
    for (key, shape) in INLINE_ONLY {
        let Some(mut item) = api.item(key) else {
            continue;
        };
        let (fits, wanted) = match shape {
            Shape::Scalar => (
                item.value().as_array().is_none() && item.value().as_object().is_none(),
                "text, number or flag",
            ),
            Shape::List => (item.value().as_array().is_some(), "list"),
            Shape::Object => (item.value().as_object().is_some(), "object"),
        };
        if !fits {
            item.warn(format_args!(
                "is not a {wanted}; ignored, since it has no meaning beside a gateway"
            ));
        }
    }
}

fn unless_empty<T, E: std::fmt::Display>(
    fields: &mut Fields<'_, '_>,
    key: &str,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Option<T> {
    let parse = |text: &str| match text {
        "" => Ok(None),
        text => parse(text).map(Some),
    };
    fields.custom(key, parse).flatten()
}

fn base_path(url: &str) -> Result<NormalPath, RuleError> {
    if url.contains(['?', '#', ';']) {
        return Err(RuleError::NotOnlyAPath(url.to_owned()));
    }
    let path = any_path(url)?;
    let levels = path.segments().count();
    if levels > MAX_LEVELS {
        let url = url.to_owned();
        return Err(RuleError::TooDeep { url, levels });
    }
    Ok(path)
}

fn any_path(url: &str) -> Result<NormalPath, RuleError> {
    if !url.starts_with('/') {
        return Err(RuleError::NotAPath(url.to_owned()));
    }
    Ok(NormalPath::from_url(url))
}

impl JwtLocation {
    /// Reads `qs:<param>`, `h:<header>` or `h:authorization:bearer`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        jwt_location(text).ok()
    }
}

fn jwt_location(text: &str) -> Result<JwtLocation, RuleError> {
    let refused = || RuleError::NotALocation(text.to_owned());
    match text.split_once(':').ok_or_else(refused)? {
        ("qs", parameter) if !parameter.is_empty() => Ok(JwtLocation::Query(parameter.to_owned())),
        ("h", header) => {
            let header = header.to_ascii_lowercase();
            // Bearer is the only scheme that carries a JSON Web Token in this header, named or not.
            if header == "authorization" || header == "authorization:bearer" {
                return Ok(JwtLocation::AuthorizationBearer);
            }
            header_name(&header)
                .map(JwtLocation::Header)
                .map_err(|_| refused())
        }
        _ => Err(refused()),
    }
}

/// A header name in lower case (RFC 9110 §5.6.2).
fn header_name(text: &str) -> Result<String, RuleError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if text.is_empty() || !text.bytes().all(allowed) {
        return Err(RuleError::NotAHeaderName(text.to_owned()));
    }
    Ok(text.to_ascii_lowercase())
}

fn any_name(text: &str) -> Result<String, RuleError> {
    Ok(text.to_owned())
}
