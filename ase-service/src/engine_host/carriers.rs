//! Where a request seems to carry credentials, by the names of headers, cookies and query parameters: what the definition of an
//! API that nobody has declared may have to say.
//!
//! Only for requests that no definition covers, whose credentials are not looked for otherwise. A value is looked at for its
//! scheme alone, and nothing of it is kept.

use ase_core::credential::CredentialKind;
use ase_core::identity::{Place, query_parameters};
use ase_core::metadata::RequestReport;
use ase_engine::Carrier;

/// Most places of one request.
const MAX_CARRIERS: usize = 8;
/// Most headers, cookies or parameters that are looked at.
const MAX_LOOKED_AT: usize = 128;
/// Longest name, in bytes.
const MAX_NAME_BYTES: usize = 64;

/// A header or parameter with one of these in its name, letters and digits alone, holds an API key.
const KEY_WORDS: [&str; 7] = [
    "apikey",
    "apitoken",
    "accesskey",
    "appkey",
    "authtoken",
    "clientkey",
    "subscriptionkey",
];
/// A parameter of exactly one of these names does so too.
const KEY_PARAMETERS: [&str; 3] = ["key", "appid", "token"];
/// A header of exactly one of these names does so too.
const KEY_HEADERS: [&str; 3] = ["accesstoken", "xaccesstoken", "xauth"];
/// A parameter of one of these names holds an access token (RFC 6750 §2.3, and what is usual).
const TOKEN_PARAMETERS: [&str; 3] = ["accesstoken", "bearertoken", "jwt"];
/// A cookie with one of these in its name identifies a client.
const COOKIE_WORDS: [&str; 5] = ["sess", "auth", "token", "jwt", "login"];
/// And one that ends so.
const COOKIE_ENDING: &str = "sid";
/// A cookie with one of these in its name protects forms and identifies nobody.
const FORM_WORDS: [&str; 3] = ["csrf", "xsrf", "antiforgery"];

/// The places, in the order in which they were found, each once.
pub(super) fn of(report: &RequestReport<'_>) -> Box<[Carrier]> {
    let mut found = Found::default();
    let metadata = report.metadata;
    for carried in &metadata.credentials {
        found.add(carried.kind, carried.place, &carried.name);
    }
    for carried in &metadata.hashed {
        found.add(carried.kind, carried.place, &carried.name);
    }
    for header in metadata.headers.iter().take(MAX_LOOKED_AT) {
        if let Ok(name) = std::str::from_utf8(&header.name) {
            found.look_at_header(name, &header.value);
        }
    }
    for (name, value) in query_parameters(report.url.as_bytes()).take(MAX_LOOKED_AT) {
        found.look_at_parameter(&name, &value);
    }
    found.0.into()
}

/// How many bytes these hold beside themselves.
pub(super) fn bytes(carriers: &[Carrier]) -> usize {
    let names: usize = carriers.iter().map(|carrier| carrier.name.len()).sum();
    size_of_val(carriers) + names
}

#[derive(Default)]
struct Found(Vec<Carrier>);

impl Found {
    fn look_at_header(&mut self, name: &str, value: &[u8]) {
        if name.eq_ignore_ascii_case("authorization") {
            let scheme = value.get(..7).unwrap_or_default();
            if scheme.eq_ignore_ascii_case(b"bearer ") {
                self.add(CredentialKind::Token, Place::Header, name);
            }
        } else if name.eq_ignore_ascii_case("cookie") {
            let pairs = value.split(|byte| *byte == b';').take(MAX_LOOKED_AT);
            for pair in pairs {
                self.look_at_cookie(pair);
            }
        } else if !value.is_empty() {
            let plain = plain(name);
            if has_any(&plain, &KEY_WORDS) || KEY_HEADERS.contains(&&*plain) {
                self.add(CredentialKind::ApiKey, Place::Header, name);
            }
        }
    }

    fn look_at_cookie(&mut self, pair: &[u8]) {
        let mut parts = pair.splitn(2, |byte| *byte == b'=');
        let name = parts.next().unwrap_or_default().trim_ascii();
        let has_value = parts.next().is_some_and(|value| !value.is_empty());
        let Some(name) = std::str::from_utf8(name).ok().filter(|_| has_value) else {
            return;
        };
        let plain = plain(name);
        let identifies = has_any(&plain, &COOKIE_WORDS) || plain.ends_with(COOKIE_ENDING);
        if identifies && !has_any(&plain, &FORM_WORDS) {
            self.add(CredentialKind::Cookie, Place::Cookie, name);
        }
    }

    fn look_at_parameter(&mut self, name: &str, value: &str) {
        if value.is_empty() {
            return;
        }
        let plain = plain(name);
        if TOKEN_PARAMETERS.contains(&&*plain) {
            self.add(CredentialKind::Token, Place::Query, name);
        } else if has_any(&plain, &KEY_WORDS) || KEY_PARAMETERS.contains(&&*plain) {
            self.add(CredentialKind::ApiKey, Place::Query, name);
        }
    }

    fn add(&mut self, kind: CredentialKind, place: Place, name: &str) {
        let ordinary = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let is_name = (1..=MAX_NAME_BYTES).contains(&name.len()) && name.bytes().all(ordinary);
        if !is_name || self.0.len() >= MAX_CARRIERS {
            return;
        }
        let name = match place {
            Place::Header => name.to_ascii_lowercase().into(),
            Place::Query | Place::Cookie | Place::Body => name.into(),
        };
        let carrier = Carrier { kind, place, name };
        if !self.0.contains(&carrier) {
            self.0.push(carrier);
        }
    }
}

/// Letters and digits alone, in lower case.
fn plain(name: &str) -> String {
    let letters = name.bytes().take(MAX_NAME_BYTES + 1);
    let letters = letters.filter(u8::is_ascii_alphanumeric);
    letters
        .map(|byte| char::from(byte.to_ascii_lowercase()))
        .collect()
}

fn has_any(name: &str, words: &[&str]) -> bool {
    words.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use ase_core::wire;

    use super::*;

    fn names(headers: &str, url: &str) -> Vec<String> {
        let body = format!(
            r#"{{"source_ip": "192.0.2.1", "method": "GET", "url": "{url}", "headers": [{{"host": "a"}}, {headers}]}}"#
        );
        let metadata = wire::read_request(&body).unwrap();
        let report = RequestReport::of(&metadata).unwrap();
        let found = of(&report);
        let shown = |carrier: &Carrier| format!("{:?} {}", carrier.place, carrier.name);
        found.iter().map(shown).collect()
    }

    #[test]
    fn names_of_keys_sessions_and_tokens_are_told_from_other_names() {
        let headers = r#"{"X-Api-Key": "k"}, {"Authorization": "Bearer t"}, {"Idempotency-Key": "i"},
            {"Cookie": "_ga=1; JSESSIONID=2; csrf_token=3; connect.sid=4; theme=dark; empty_session="},
            {"Ocp-Apim-Subscription-Key": "s"}, {"X-Request-Id": "r"}"#;
        assert_eq!(
            names(headers, "/x?page=1&api_key=2&access_token=3&key=&Token=5"),
            [
                "Header x-api-key",
                "Header authorization",
                "Cookie JSESSIONID",
                "Cookie connect.sid",
                "Header ocp-apim-subscription-key",
                "Query api_key",
                "Query access_token",
                "Query Token",
            ]
        );
        let basic = r#"{"authorization": "Basic dTpw"}"#;
        assert_eq!(names(basic, "/x"), [] as [&str; 0]);
    }

    #[test]
    fn many_names_long_names_and_names_of_odd_letters_are_left_out() {
        let many: Vec<String> = (0..40)
            .map(|n| format!(r#"{{"x-apikey-{n}": "k"}}"#))
            .collect();
        assert_eq!(names(&many.join(","), "/x").len(), MAX_CARRIERS);
        let long = format!(
            r#"{{"x-apikey-{}": "k"}}, {{"x apikey": "k"}}"#,
            "x".repeat(80)
        );
        assert_eq!(names(&long, "/x"), [] as [&str; 0]);
    }
}
