//! What an operator may say about what ASE is told.

use crate::config::Config;

fn faults(document: &str) -> String {
    Config::parse(document.as_bytes()).unwrap_err().to_string()
}

fn told(document: &str, name: &str) -> bool {
    let config = Config::parse(document.as_bytes()).unwrap();
    config.report().request_headers.tell(name.as_bytes())
}

#[test]
fn every_header_is_told_until_a_list_says_otherwise() {
    assert!(told("{}", "anything"));
    let allow = r#"{"report": {"request_headers": {"allow": ["User-Agent", "x-shop-*"]}}}"#;
    for (name, is_told) in [
        ("user-agent", true),
        ("USER-AGENT", true),
        ("user_agent", true),
        ("user-agents", false),
        ("x-shop-", true),
        ("x-shop-basket", true),
        ("x-sho", false),
        ("accept", false),
    ] {
        assert_eq!(told(allow, name), is_told, "{name}");
    }
    let none = r#"{"report": {"request_headers": {"allow": []}}}"#;
    assert!(!told(none, "accept"), "an empty list is not every header");
}

#[test]
fn a_header_on_both_lists_is_not_told() {
    let both =
        r#"{"report": {"request_headers": {"allow": ["x-*"], "deny": ["x-secret", "x-in*"]}}}"#;
    assert!(told(both, "x-other"));
    for name in ["x-secret", "X_Secret", "x-inner", "accept"] {
        assert!(!told(both, name), "{name}");
    }
    let all = r#"{"report": {"request_headers": {"deny": ["*"]}}}"#;
    assert!(!told(all, "accept"));
}

#[test]
fn faults_of_the_lists_name_the_entry() {
    assert_eq!(
        faults(r#"{"report": {"request_headers": {"allow": ["a b"], "deny": ["Host", ""]}}}"#),
        "report.request_headers.allow[0]: \"a b\" is not a header name: use letters, digits and !#$%&'*+-.^_`|~\n\
         report.request_headers.deny[1]: \"\" is not a header name: use letters, digits and !#$%&'*+-.^_`|~\n\
         report.request_headers.deny: \"host\" is always told: ASE decides by it"
    );
}

#[test]
fn ids_need_a_key_or_two_and_nothing_else_takes_any() {
    let secret = "00".repeat(32);
    let key = |id: &str| format!(r#"{{"id": "{id}", "secret": "{secret}"}}"#);
    for keys in [key("k1"), format!("{}, {}", key("k2"), key("k255"))] {
        let document =
            format!(r#"{{"report": {{"credentials": "ids", "credential_keys": [{keys}]}}}}"#);
        assert!(Config::parse(document.as_bytes()).is_ok(), "{document}");
    }
    assert_eq!(
        faults(r#"{"report": {"credentials": "ids"}}"#),
        "report.credential_keys: is required"
    );
    assert_eq!(
        faults(r#"{"report": {"credentials": "ids", "credential_keys": []}}"#),
        "report.credential_keys: must have one key, or two during a rotation"
    );
    let three = [key("k1"), key("k2"), key("k3")].join(", ");
    assert_eq!(
        faults(&format!(
            r#"{{"report": {{"credentials": "removed", "credential_keys": [{three}]}}}}"#
        )),
        "report.credential_keys: means something only beside \"credentials\": \"ids\""
    );
}

#[test]
fn a_fault_of_a_key_does_not_repeat_its_secret() {
    let said = faults(
        r#"{"report": {"credentials": "ids", "credential_keys": [{"id": "k256", "secret": "0123"}, {"id": "k01", "secret": "S3CRETS3CRETS3CRETS3CRETS3CRETS3CRETS3CRETS3CRETS3CRETS3CRETS3CR"}]}}"#,
    );
    assert_eq!(
        said,
        "report.credential_keys[0].id: is not the id of a key: use k0 to k255\n\
         report.credential_keys[0].secret: must be 64 hexadecimal digits, as `ase key show --for-gateway` prints them\n\
         report.credential_keys[1].id: is not the id of a key: use k0 to k255\n\
         report.credential_keys[1].secret: must be 64 hexadecimal digits, as `ase key show --for-gateway` prints them\n\
         report.credential_keys: must have one key, or two during a rotation"
    );
    let document = format!(
        r#"{{"report": {{"credentials": "ids", "credential_keys": [{{"id": "k1", "secret": "{}"}}]}}}}"#,
        "ab".repeat(32)
    );
    let config = Config::parse(document.as_bytes()).unwrap();
    assert!(!format!("{config:?}").contains("abab"));
}
