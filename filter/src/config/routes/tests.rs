//! Which rule covers a request.

use std::time::Duration;

use super::super::{Config, FailureAction, OffReason, Treatment};
use ase_core::transaction::FailureClass;

const RULES: &str = r#"{"on_failure": {"default": "open", "timeout": "closed"}, "routes": [
    {"hosts": ["api.example.com"], "paths": ["/health"], "mode": "off"},
    {"hosts": ["*.example.com"], "mode": "shadow", "timeout_ms": 40},
    {"paths": ["/pay", "/Admin/"], "on_failure": {"unreachable": "closed"}, "enabled_percent": 10}
]}"#;

fn treatment(authority: &str, url: &str) -> Treatment {
    let config = Config::parse(RULES.as_bytes()).unwrap();
    config
        .policy(authority.as_bytes(), url.as_bytes())
        .treatment
}

#[test]
fn the_first_rule_for_host_and_path_counts() {
    let off = Treatment::Off(OffReason::Route);
    for (authority, url, expected) in [
        ("api.example.com", "/health", off),
        ("API.example.com:8443", "/health/live?deep=1", off),
        ("api.example.com.", "/health/", off),
        ("api.example.com", "/healthy", Treatment::Shadow),
        ("api.example.com", "/", Treatment::Shadow),
        ("a.b.example.com", "/health", Treatment::Shadow),
        ("example.com", "/health", Treatment::Sync),
        ("notexample.com", "/", Treatment::Sync),
        (".example.com", "/", Treatment::Sync),
        ("", "/health", Treatment::Sync),
    ] {
        assert_eq!(treatment(authority, url), expected, "{authority} {url}");
    }
}

#[test]
fn a_spelling_that_servers_read_differently_opens_no_rule() {
    for url in [
        "/health/../pay",
        "/health/%2e%2e/pay",
        "/health/..;/pay",
        "/health/..%2fpay",
        "/health\\..\\pay",
        "/health//../../pay",
        "//health/../pay",
        "/pay/..%2fhealth",
    ] {
        assert_eq!(
            treatment("api.example.com", url),
            Treatment::Shadow,
            "{url}"
        );
    }
}

#[test]
fn a_rule_changes_what_it_names_and_keeps_the_rest() {
    let config = Config::parse(RULES.as_bytes()).unwrap();
    let shadow = config.policy(b"x.example.com", b"/");
    assert_eq!(shadow.timeout, Duration::from_millis(40));
    assert_eq!(shadow.enabled_percent, 100);
    let pay = config.policy(b"other", b"/Admin/users");
    assert_eq!((pay.treatment, pay.enabled_percent), (Treatment::Sync, 10));
    assert_eq!(pay.timeout, Duration::from_millis(500));
    for (class, action) in [
        (FailureClass::Timeout, FailureAction::Closed),
        (FailureClass::Unreachable, FailureAction::Closed),
        (FailureClass::Ase5xx, FailureAction::Open),
    ] {
        assert_eq!(pay.on_failure.of(class), action);
    }
    assert_eq!(config.policy(b"other", b"/admin"), config.policy(b"", b"*"));
}

#[test]
fn every_fault_of_a_rule_is_named() {
    let document = r#"{"routes": [
        {"mode": "off", "hosts": []},
        {"hosts": ["*", "a b"], "paths": ["pay", "/pay?x=1"], "mode": "on", "timeout_ms": 0, "enabled_percent": 101, "path": "/x"}
        , {"mode": "off"}
    ]}"#;
    let faults = Config::parse(document.as_bytes()).unwrap_err().to_string();
    let mut found: Vec<&str> = faults.lines().collect();
    found.sort_unstable();
    assert_eq!(
        found,
        [
            "routes[0].hosts: must name one or more",
            "routes[1].enabled_percent: must be an integer from 0 to 100, found 101",
            r#"routes[1].hosts[0]: "*" is not a host name, nor one after *."#,
            r#"routes[1].hosts[1]: "a b" is not a host name, nor one after *."#,
            r#"routes[1].mode: "on" is not one of sync, async, shadow, local, off"#,
            r#"routes[1].path: unknown key (did you mean "paths"?)"#,
            "routes[1].paths[0]: must start with / and have no #, blanks or control characters",
            "routes[1].paths[1]: must be a path without a query",
            "routes[1].timeout_ms: must be an integer from 1 to 60000, found 0",
            "routes[2]: must name hosts or paths: what holds for every request stands outside routes",
        ]
    );
}
