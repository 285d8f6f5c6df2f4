//! Exact messages, since operators and golden files read them.

use super::*;

/// A document in place.
macro_rules! json {
    ($($document:tt)*) => {
        Value::from(serde_json::json!($($document)*))
    };
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Sync,
    Async,
}

const MODES: &[(&str, Mode)] = &[("sync", Mode::Sync), ("async", Mode::Async)];

#[test]
fn every_fault_of_a_document_is_reported_at_once_with_its_path() {
    let document = json!({
        "mode": "fast",
        "ase": {"timeout_ms": 0, "cluster": 7, "Time-Out_ms": 5},
        "cookies": ["a", 3],
        "block": {"headers": [{"name": "x", "value": "1"}, {"nmae": "y", "value": "2"}, "z"]},
        "odd key": 1,
        "shadow": "yes",
        "list": {"secret": 1},
    });
    let mut c = FaultCollector::default();
    let mut root = Fields::of(&document, "", &mut c);
    let mode = root.choice("mode", MODES, Mode::Sync);
    let mut ase = root.object("ase");
    let _timeout: u32 = ase.integer("timeout_ms", 1..=60_000, 500);
    let _cluster = ase.text("cluster");
    let _token = ase.required_text("token");
    ase.finish();
    let _cookies = root.list("cookies", |item| item.text());
    let mut block = root.object("block");
    let _headers = block.list("headers", |item| {
        let mut header = item.fields();
        let pair = (header.required_text("name"), header.required_text("value"));
        header.finish();
        Some(pair)
    });
    block.finish();
    let _shadow = root.flag("shadow", false);
    let _list = root.list("list", |item| item.text());
    let _address = root
        .object("address")
        .required_integer::<u8>("hops", 1..=32);
    root.finish();
    let faults = c.into_result(mode).unwrap_err().to_string();
    let expected = r#"mode: "fast" is not one of sync, async
ase.timeout_ms: must be an integer from 1 to 60000, found 0
ase.cluster: must be a string, found 7
ase.token: is required
ase.Time-Out_ms: unknown key (did you mean "timeout_ms"?)
cookies[1]: must be a string, found 3
block.headers[1].name: is required
block.headers[1].nmae: unknown key (did you mean "name"?)
block.headers[2]: must be an object, found a string
shadow: must be true or false, found a string
list: must be a list, found an object
address.hops: is required
["odd key"]: unknown key"#;
    assert_eq!(faults, expected);
}

#[test]
fn an_empty_object_means_every_default() {
    let document = json!({});
    let mut c = FaultCollector::default();
    let mut root = Fields::of(&document, "", &mut c);
    assert_eq!(root.choice("mode", MODES, Mode::Async), Mode::Async);
    assert_eq!(root.integer("n", 1..=9u16, 3), 3);
    assert_eq!(root.text("t"), None);
    assert!(root.flag("f", true));
    assert!(root.list("l", |item| item.text()).is_empty());
    assert_eq!(root.custom("c", str::parse::<u8>), None);
    assert_eq!(root.object("o").text("deep"), None);
    root.finish();
    assert_eq!(c.into_result(1), Ok(1));
}

#[test]
fn the_rule_of_a_custom_value_is_its_own_error() {
    let document = json!({"n": "x", "w": "3"});
    let mut c = FaultCollector::default();
    let mut root = Fields::of(&document, "top", &mut c);
    let n = root.required_custom("n", |text| {
        text.parse::<u8>()
            .map_err(|_| format!("{text:?} is not a number"))
    });
    let w = root.required_custom("w", str::parse::<u8>);
    root.refuse("w", "has no meaning without \"n\"");
    root.finish();
    assert_eq!((n, w), (None, Some(3)));
    let faults = c.into_complete(n).unwrap_err();
    assert_eq!(
        faults.to_string(),
        "top.n: \"x\" is not a number\ntop.w: has no meaning without \"n\""
    );
    assert_eq!(
        faults.iter().map(Fault::path).collect::<Vec<_>>(),
        ["top.n", "top.w"]
    );
}

#[test]
fn a_document_that_is_not_an_object_is_one_fault() {
    let document = json!([1]);
    let mut c = FaultCollector::default();
    let mut root = Fields::of(&document, "", &mut c);
    let _ = (root.required_text("a"), root.object("b").required_text("c"));
    root.finish();
    assert_eq!(
        c.into_result(()).unwrap_err().to_string(),
        "must be an object, found a list"
    );
}

#[test]
fn unknown_keys_can_be_warnings_and_then_refuse_nothing() {
    let document = json!({"url": "/", "hostnam": "*"});
    let mut c = FaultCollector::default();
    let mut root = Fields::of(&document, "", &mut c);
    let _ = (root.text("url"), root.text("hostname"));
    root.finish_with_warnings();
    assert!(c.is_clean());
    assert_eq!(
        c.warnings().to_string(),
        "hostnam: unknown key (did you mean \"hostname\"?)"
    );
    assert_eq!(c.into_complete(Some(1)), Ok(1));
}

#[test]
fn a_missing_part_never_comes_out_as_a_result() {
    assert!(FaultCollector::default().into_complete::<u8>(None).is_err());
}

#[test]
fn broken_json_is_a_fault_that_says_where_and_a_byte_order_mark_is_skipped() {
    let mut c = FaultCollector::default();
    assert_eq!(c.json(b"\xef\xbb\xbf{}"), Some(json!({})));
    assert_eq!(c.json(b"{\n\"a\": }"), None);
    assert_eq!(
        c.into_result(()).unwrap_err().to_string(),
        "is not JSON: expected value at line 2 column 6"
    );
}

#[test]
fn numbers_that_are_not_whole_or_not_in_range_are_faults() {
    for found in ["-1", "1.5", "256", "1e30", "\"7\"", "null"] {
        let document = Value::parse(format!("{{\"n\": {found}}}").as_bytes()).unwrap();
        let mut c = FaultCollector::default();
        let mut root = Fields::of(&document, "", &mut c);
        assert_eq!(root.integer("n", 0..=255u8, 9), 9);
        root.finish();
        assert!(c.into_result(()).is_err(), "{found}");
    }
}

#[test]
fn of_very_many_unknown_keys_the_first_are_named_and_the_rest_counted() {
    let keys = (0..60_000).map(|n| (format!("enable_blockin{n}"), Value::Null));
    let document = Value::Object(keys.collect());
    let mut collector = FaultCollector::default();
    Fields::of(&document, "", &mut collector).finish();
    let faults = collector.into_result(()).unwrap_err();
    assert_eq!(faults.iter().count(), 51);
    assert_eq!(
        faults.iter().last().unwrap().rule(),
        "59950 more unknown keys"
    );
}
