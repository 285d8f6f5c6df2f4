//! One line of a log as the engine sees it: combined format, Envoy's JSON, or ASE's own access log.
//!
//! Unlike what is sent again, everything counts that has a client and a time, requests that are no HTTP too: they are what scanners leave.

use std::time::Duration;

use ase_core::address::ClientAddress;
use ase_core::api_id::ApiId;
use ase_core::credential::{CredentialId, CredentialKind};
use ase_core::decision::Detection;
use ase_core::host::HostName;
use ase_core::identity::Provenance;
use ase_core::time::UnixMillis;
use ase_engine::Carried;
use serde_json::{Map, Value};

use super::super::line::{Format, STILL_OPEN, address, find, quoted};
use crate::clock;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
/// What a gateway writes for a request that it did not let through.
const REFUSED: [&str; 3] = ["denied", "unregistered_blocked", "failed_closed"];

/// A finished exchange out of a log.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Happened {
    pub(super) at: UnixMillis,
    pub(super) client: ClientAddress,
    pub(super) method: String,
    pub(super) target: String,
    pub(super) agent: Option<String>,
    pub(super) status: Option<u16>,
    pub(super) request_bytes: Option<u64>,
    pub(super) response_bytes: Option<u64>,
    pub(super) duration: Option<Duration>,
    pub(super) host: Option<HostName>,
    pub(super) api: Option<ApiId>,
    pub(super) credentials: Vec<Carried>,
    /// The real-time rule that it broke.
    pub(super) broken_rule: Option<Detection>,
}

impl Happened {
    /// Whose account it was about.
    pub(super) fn account(&self) -> Option<CredentialId> {
        let named = |carried: &&Carried| carried.kind == CredentialKind::Username;
        self.credentials
            .iter()
            .find(named)
            .map(|carried| carried.id)
    }
}

/// Why a line is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum LeftOut {
    /// It is not a line of the log's format, or lacks client or time.
    Unreadable,
    /// The gateway did not let the request through.
    Refused,
    /// The exchange had not ended; another line tells of its end.
    StillOpen,
}

impl LeftOut {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "without client, time or form",
            Self::Refused => "not let through by the gateway",
            Self::StillOpen => "still open",
        }
    }
}

/// Reads a line.
pub(super) fn read(format: Format, line: &[u8]) -> Result<Happened, LeftOut> {
    match format {
        Format::Combined => combined(line).ok_or(LeftOut::Unreadable),
        Format::Json => json(line),
    }
}

fn combined(line: &[u8]) -> Option<Happened> {
    let client = line.split(|&byte| byte == b' ').next()?;
    let client = address(std::str::from_utf8(client).ok()?)?;
    let opening = line.iter().position(|&byte| byte == b'[')?;
    let closing = find(line, b"] \"")?;
    let time = line.get(opening + 1..closing)?;
    let (request, rest) = quoted(line.get(closing + 2..)?)?;
    let rest_text = String::from_utf8_lossy(rest);
    let mut numbers = rest_text.split_ascii_whitespace();
    let status = numbers.next().and_then(|status| status.parse().ok());
    let bytes = numbers.next().and_then(|bytes| bytes.parse().ok());
    let mut texts = Vec::new();
    let mut rest = rest;
    while let Some(at) = rest.iter().position(|&byte| byte == b'"') {
        let Some((text, after)) = rest.get(at..).and_then(quoted) else {
            break;
        };
        texts.push(text);
        rest = after;
    }
    let agent = texts.get(1).map(|agent| lossy(agent));
    let (method, target) = request_line(&request);
    Some(Happened {
        at: common_time(std::str::from_utf8(time).ok()?)?,
        client: ClientAddress::from(client),
        method,
        target,
        agent: agent.filter(|agent| agent != "-"),
        status,
        request_bytes: None,
        response_bytes: bytes,
        duration: None,
        host: None,
        api: None,
        credentials: Vec::new(),
        broken_rule: None,
    })
}

fn request_line(line: &[u8]) -> (String, String) {
    let text = lossy(line);
    let (method, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), "/"));
    let target = match rest.rsplit_once(' ') {
        Some((target, version)) if version.starts_with("HTTP/") => target.trim_end(),
        Some(_) | None => rest,
    };
    (method.to_owned(), target.to_owned())
}

/// `10/Dec/2024:00:00:02 +0700`.
fn common_time(text: &str) -> Option<UnixMillis> {
    let (date, zone) = text.split_once(' ')?;
    let mut parts = date.splitn(4, ['/', ':']);
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    let utc = clock::parse_rfc3339(&format!("{year}-{month:02}-{day}T{}Z", parts.next()?)).ok()?;
    let ahead = minutes_ahead(zone)? * 60_000;
    Some(UnixMillis(utc.0.checked_add_signed(-ahead)?))
}

/// `2024-12-10T00:00:02.123456+07:00` or in UTC with a `Z`; of a fraction three digits count.
fn zoned_time(text: &str) -> Option<UnixMillis> {
    let (date, clock) = text.split_once(['T', ' '])?;
    let zone = clock.find(['Z', '+', '-'])?;
    let (clock, zone) = clock.split_at_checked(zone)?;
    let (seconds, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let millis: String = fraction.chars().chain("000".chars()).take(3).collect();
    let utc = clock::parse_rfc3339(&format!("{date}T{seconds}.{millis}Z")).ok()?;
    if zone == "Z" {
        return Some(utc);
    }
    let ahead = minutes_ahead(&zone.replace(':', ""))?;
    Some(UnixMillis(utc.0.checked_add_signed(-ahead * 60_000)?))
}

/// `+0730`.
fn minutes_ahead(zone: &str) -> Option<i64> {
    let number: i64 = zone.parse().ok().filter(|_| zone.len() == 5)?;
    Some(number / 100 * 60 + number % 100)
}

/// Keys in one spelling, as what is sent again reads them: lower case, `_` for `-`, no `:` in front.
fn spelled(key: &str) -> String {
    let key = key.trim_start_matches(':').to_ascii_lowercase();
    key.replace('-', "_")
}

fn json(line: &[u8]) -> Result<Happened, LeftOut> {
    let line: Map<String, Value> = serde_json::from_slice(line).map_err(|_| LeftOut::Unreadable)?;
    let spelled = line.into_iter().map(|(key, value)| (spelled(&key), value));
    let line = Value::Object(spelled.collect());
    let refused = text(&line, &["decision"]).is_some_and(|decision| REFUSED.contains(&decision));
    if refused {
        return Err(LeftOut::Refused);
    }
    if text(&line, &["outcome"]) == Some(STILL_OPEN) {
        return Err(LeftOut::StillOpen);
    }
    happened(&line).ok_or(LeftOut::Unreadable)
}

fn happened(line: &Value) -> Option<Happened> {
    let clients = [
        "client_ip",
        "downstream_remote_address",
        "remote_addr",
        "source_ip",
        "downstream_direct_remote_address",
    ];
    let forwarded = || text(line, &["x_forwarded_for"])?.rsplit(',').next();
    let client = address(text(line, &clients).or_else(forwarded)?)?;
    let at = text(
        line,
        &[
            "time",
            "start_time",
            "timestamp",
            "@timestamp",
            "time_iso8601",
        ],
    )?;
    let micros = number(line, &["duration_us"]);
    let micros = micros.or_else(|| number(line, &["duration"])?.checked_mul(1000));
    let credentials = line.get("credentials").and_then(Value::as_array);
    let paths = [
        "x_envoy_original_path",
        "original_path",
        "url",
        "path",
        "uri",
        "request_uri",
    ];
    Some(Happened {
        at: zoned_time(at)?,
        client: ClientAddress::from(client),
        method: text(line, &["method", "request_method"])?.to_owned(),
        target: text(line, &paths)?.to_owned(),
        agent: text(line, &["user_agent", "http_user_agent"]).map(str::to_owned),
        status: number(line, &["response_code", "status"])
            .and_then(|code| u16::try_from(code).ok())
            .filter(|code| *code > 0),
        request_bytes: number(line, &["content_length", "bytes_received"]),
        response_bytes: number(
            line,
            &["response_content_length", "bytes_sent", "body_bytes_sent"],
        ),
        duration: micros.map(Duration::from_micros),
        host: text(line, &["authority", "host"])
            .and_then(|host| HostName::from_header(host.as_bytes()).ok()),
        api: text(line, &["api"]).and_then(|api| ApiId::parse(api).ok()),
        credentials: credentials
            .into_iter()
            .flatten()
            .filter_map(carried)
            .collect(),
        broken_rule: line
            .get("detected")
            .and_then(|detected| Detection::parse(text(detected, &["rule"])?)),
    })
}

fn carried(credential: &Value) -> Option<Carried> {
    let provenance = text(credential, &["provenance"])?;
    let known = [
        Provenance::Verified,
        Provenance::Observed,
        Provenance::Claimed,
    ];
    Some(Carried {
        kind: CredentialKind::parse(text(credential, &["kind"])?).ok()?,
        id: CredentialId::parse(text(credential, &["id"])?).ok()?,
        provenance: known
            .into_iter()
            .find(|known| known.as_str() == provenance)?,
    })
}

fn text<'v>(line: &'v Value, names: &[&str]) -> Option<&'v str> {
    let found = names.iter().find_map(|name| line.get(*name)?.as_str());
    found.filter(|text| !text.is_empty() && *text != "-")
}

/// A number, or a text that is one: Envoy's operators give either.
fn number(line: &Value, names: &[&str]) -> Option<u64> {
    names.iter().find_map(|name| {
        let value = line.get(*name)?;
        value.as_u64().or_else(|| value.as_str()?.parse().ok())
    })
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use ase_core::registry::Pattern;

    use super::*;

    #[test]
    fn a_combined_line_is_read_with_its_time_zone_and_its_escapes() {
        let line = br#"192.0.2.7 - a"b [10/Dec/2024:07:00:02 +0700] "GET /a?b=1 HTTP/1.1" 404 187 "-" "curl/8 \"x\"""#;
        let happened = read(Format::Combined, line).unwrap();
        assert_eq!(happened.at, UnixMillis(1_733_788_802_000));
        assert_eq!(
            (happened.method.as_str(), happened.target.as_str()),
            ("GET", "/a?b=1")
        );
        assert_eq!(
            (happened.status, happened.response_bytes),
            (Some(404), Some(187))
        );
        assert_eq!(happened.agent.as_deref(), Some("curl/8 \"x\""));
    }

    #[test]
    fn a_line_of_envoy_is_read_under_any_spelling_of_its_keys_and_in_any_time_zone() {
        let utc = UnixMillis(1_733_788_802_120);
        for (key, time) in [
            ("start_time", "2024-12-10T00:00:02.120Z"),
            ("START-TIME", "2024-12-10T07:00:02.12+07:00"),
            ("@timestamp", "2024-12-09T20:30:02.120999-0330"),
        ] {
            let line = serde_json::json!({key: time, ":method": "GET", ":path": "/a", ":authority": "a.example:8080",
                "downstream_remote_address": "203.0.113.9:51234", "response_code": 404, "User-Agent": "curl/8"});
            let happened = read(Format::Json, line.to_string().as_bytes()).unwrap();
            assert_eq!(
                (happened.at, happened.target.as_str()),
                (utc, "/a"),
                "{time}"
            );
            assert_eq!(happened.agent.as_deref(), Some("curl/8"));
            assert_eq!(happened.host, HostName::from_header(b"a.example").ok());
        }
        for time in [
            "2024-12-10T00:00:02",
            "2024-12-10",
            "2024-12-10T00:00:02+7",
            "",
        ] {
            assert_eq!(zoned_time(time), None, "{time}");
        }
    }

    #[test]
    fn what_is_no_http_is_a_request_all_the_same() {
        let line = br#"192.0.2.7 - - [10/Dec/2024:00:00:02 +0000] "\x16\x03\x01" 400 0 "-" "-""#;
        let happened = read(Format::Combined, line).unwrap();
        assert_eq!(
            (happened.target.as_str(), happened.agent, happened.status),
            ("/", None, Some(400))
        );
    }

    #[test]
    fn a_line_of_the_access_log_keeps_what_the_engine_needs_and_a_refused_one_is_left_out() {
        let account = "k1:ffeeddccbbaa99887766554433221100";
        let id = "k1:00112233445566778899aabbccddeeff";
        let line = serde_json::json!({"time": "2026-11-22T01:02:03.004Z", "client_ip": "192.0.2.7", "method": "GET", "url": "/shop",
            "api": "shop", "decision": "verdict", "response_code": 200, "response_content_length": 12, "duration_us": 1500,
            "credentials": [{"id": id, "kind": "token", "name": "authorization", "in": "header", "provenance": "verified"},
                {"id": account, "kind": "username", "name": "sub", "in": "header", "provenance": "verified"}],
            "detected": {"rule": "invalid_method", "attack_id": 101}});
        let happened = read(Format::Json, line.to_string().as_bytes()).unwrap();
        assert_eq!(happened.api, ApiId::parse("shop").ok());
        assert_eq!(happened.credentials.len(), 2);
        assert_eq!(happened.account(), CredentialId::parse(account).ok());
        assert_eq!(
            happened.broken_rule,
            Some(Detection::Pattern(Pattern::Method))
        );
        assert_eq!(happened.duration, Some(Duration::from_micros(1500)));
        let mut open = line.clone();
        open["outcome"] = "open".into();
        let still_open = read(Format::Json, open.to_string().as_bytes());
        assert_eq!(still_open, Err(LeftOut::StillOpen));
        let mut refused = line;
        refused["decision"] = "denied".into();
        let read = read(Format::Json, refused.to_string().as_bytes());
        assert_eq!(read, Err(LeftOut::Refused));
    }
}
