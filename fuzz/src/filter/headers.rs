//! Headers from a stranger: the host's list of pairs, the halves that are told of it, and what an answer with such headers would mean.

use std::rc::Rc;

use ase_core::headers::Headers;
use ase_core::metadata::{RequestFault, RequestReport};
use ase_core::wire::{body_text, read_request, read_response};
use ase_filter::config::Config;
use ase_filter::exchange::Head;
use ase_filter::exchange::{Answer, Outcome};
use ase_filter::head::{self, SeenRequest, Verified, tls};
use ase_filter::pairs;

/// Beside the defaults, those that read most.
const CONFIGURATIONS: [&str; 4] = [
    "{}",
    r#"{"client_address": {"from": "xff", "trusted_hops": 2}, "report": {"credentials": "removed", "tls": ["version", "sni", "client_certificate"]},
        "credentials": {"oauth_token": {"query": ["access_token"]}, "api_key": {"headers": ["x-api-key"], "query": ["key"]}, "cookies": ["session"]}}"#,
    r#"{"report": {"credentials": "ids", "credential_keys": [{"id": "k1", "secret": "0707070707070707070707070707070707070707070707070707070707070707"}],
        "request_headers": {"deny": ["x-*"]}}, "user_info": {"claimed_jwt": {"location": "h:authorization:bearer", "username_claim": "sub"}, "username_header": "x-user"}}"#,
    r#"{"user_info": {"claimed_jwt": {"location": "qs:token", "username_claim": "sub", "client_id_claim": "aud"}, "client_id_header": "x-client"}, "fail_open_header": "x-unchecked",
        "routes": [{"paths": ["/a"], "mode": "off"}, {"hosts": ["*.example.com"], "enabled_percent": 50}], "report": {"response_headers": {"allow": ["content-*"]}}}"#,
];

/// The first byte chooses the configuration and the form: a list of pairs as a host writes it, or a line a header.
pub fn headers(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else {
        return;
    };
    let config = &config(usize::from(first >> 1));
    if first & 1 == 1 {
        told(&lines(rest), config);
    } else if let Ok(headers) = pairs::parse(rest) {
        let bytes = |(name, value): (&[u8], &[u8])| name.len() + value.len() + 10;
        let read: usize = headers
            .iter()
            .map(|header| bytes((&header.name, &header.value)))
            .sum();
        assert!(
            rest.is_empty() || read + 4 <= rest.len(),
            "read past the end"
        );
        told(&headers, config);
    }
}

fn config(number: usize) -> Rc<Config> {
    thread_local! {
        static CONFIGS: Vec<Rc<Config>> = CONFIGURATIONS.map(parsed).into();
    }
    CONFIGS.with(|configs| {
        let config = configs.get(number % configs.len()).map(Rc::clone);
        config.unwrap_or_else(|| parsed("{}"))
    })
}

fn parsed(document: &str) -> Rc<Config> {
    match Config::parse(document.as_bytes()) {
        Ok(config) => Rc::new(config),
        Err(faults) => panic!("{faults}"),
    }
}

/// `name: value`; a pseudo header's colon comes first.
fn lines(text: &[u8]) -> Headers<'_> {
    let mut headers = Headers::default();
    for line in text.split(|byte| *byte == b'\n') {
        let past_first = line.get(1..).unwrap_or_default();
        let colon = past_first.iter().position(|byte| *byte == b':');
        let end = colon.map_or(line.len(), |colon| colon + 1);
        let (name, value) = line.split_at(end);
        headers.push(name, value.get(1..).unwrap_or_default().trim_ascii_start());
    }
    headers
}

fn told(headers: &Headers<'_>, config: &Config) {
    let first = |name: &'static [u8]| headers.first(name).map(|value| &**value);
    let property = |path: &'static [u8]| first(path.rsplit(|byte| *byte == 0).next()?);
    let tls = tls::facts(&config.report().tls, property);
    let seen = SeenRequest {
        headers,
        source_address: first(b":source"),
        protocol: first(b":protocol"),
        verified: Verified {
            username: first(b":username"),
            client_id: first(b":client"),
        },
        tls: Some(&tls),
    };
    let client = head::client(config.client_address(), &seen);
    let (authority, path) = (first(b":authority"), first(b":path"));
    let mut policy = config.policy(authority.unwrap_or_default(), path.unwrap_or_default());
    for setting in headers.iter() {
        policy = policy.with(&setting.name, &setting.value).unwrap_or(policy);
    }
    assert!(policy.enabled_percent <= 100 && policy.timeout.as_millis() <= 60_000);
    let _any = policy.treatment_of(client.address);
    request_half(&seen, client, config);
    response_half(headers, config);
    answer(headers, config);
}

/// ASE reads what the gateway writes, and has nothing but a missing host to refuse in a question that is complete.
fn request_half(seen: &SeenRequest<'_>, client: head::Client, config: &Config) {
    let mut half = Vec::new();
    head::write_request_half(&mut half, seen, client, config);
    let text = body_text(&half);
    let metadata = match read_request(&text) {
        Ok(metadata) => metadata,
        Err(fault) => panic!("{fault}: {text}"),
    };
    let mut question = Vec::new();
    let written = head::write_question(&mut question, seen, client, config, &mut |_| false);
    if written == Head::Read {
        assert_eq!(question, half);
        // Hosts that let requests without a host through are none of the filter's affair: ASE says no.
        let faults = RequestReport::of(&metadata).err().unwrap_or_default();
        let only_host = faults
            .iter()
            .all(|fault| *fault == RequestFault::HostAbsent);
        assert!(only_host, "{faults:?}: {text}");
    }
    for name in metadata.headers.iter().map(|header| &header.name) {
        let start = name.get(..6).unwrap_or_default();
        assert!(!start.eq_ignore_ascii_case(b"x-ase-"), "{text}");
    }
}

fn response_half(headers: &Headers<'_>, config: &Config) {
    let Some(status) = head::status(headers) else {
        return;
    };
    assert!((100..=999).contains(&status));
    let mut half = Vec::new();
    head::write_response_half(&mut half, status, headers, config);
    let text = body_text(&half);
    match read_response(&text) {
        Ok(read) => assert_eq!(read.code, status),
        Err(fault) => panic!("{fault}: {text}"),
    }
}

/// What does not bear ASE's mark is never a verdict.
fn answer(headers: &Headers<'_>, config: &Config) {
    let mark = &config.ase().answer_mark;
    let body = headers.first(b"body").map_or(&b""[..], |value| &**value);
    let outcome = Answer::of(headers, mark, || body.to_vec()).outcome();
    let is_failure = matches!(outcome, Outcome::Failure(_));
    assert!(mark.is_on(headers) || is_failure, "{outcome:?}");
}
