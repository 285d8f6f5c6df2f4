//! Batch records: written and read back, and refused with their reason.

use super::*;
use proptest::prelude::*;

const REQUEST: &str =
    r#"{"source_ip":"203.0.113.7","method":"GET","url":"/","headers":[{"host":"a"}]}"#;

fn written(course: &Course, response: Option<&str>) -> String {
    let half = |json: &str| {
        let json = json.to_owned();
        move |out: &mut Vec<u8>| out.extend_from_slice(json.as_bytes())
    };
    let (request, response) = (half(REQUEST), response.map(half));
    let mut out = Vec::new();
    let record = Record {
        course,
        request: &request,
        response: response.as_ref().map(|half| half as &Write<'_>),
    };
    write_record(&mut out, &record);
    String::from_utf8(out).unwrap()
}

#[test]
fn what_the_gateway_writes_is_what_ase_reads() {
    let course = Course {
        id: RecordId::mint(0xab, 26),
        started: UnixMillis(1_763_771_712_345),
        duration: Duration::from_micros(12_345),
        mode: Mode::Sync,
        decision: GatewayDecision::FailOpen(FailureClass::Timeout),
        verdict: Some(VerdictLabel::Overloaded),
        asked_for: Some(Duration::from_micros(950)),
        end: End::Upstream,
    };
    let line = written(&course, Some(r#"{"response_code":200,"headers":[]}"#));
    let read = read_record(line.trim_end()).unwrap();
    assert_eq!(read.course, course);
    assert_eq!(course.id.as_str(), "00000000000000ab-1a");
    assert_eq!(read.response.map(|response| response.code), Some(200));
    assert_eq!(read.request.url.as_deref(), Some("/"));
}

#[test]
fn every_decision_class_and_mode_survives_the_wire() {
    let decisions = FailureClass::ALL
        .into_iter()
        .flat_map(|class| {
            [
                GatewayDecision::FailOpen(class),
                GatewayDecision::FailedClosed(class),
                GatewayDecision::ShadowFailedClosed(class),
            ]
        })
        .chain([
            GatewayDecision::Verdict,
            GatewayDecision::Async,
            GatewayDecision::Local,
            GatewayDecision::Unregistered,
            GatewayDecision::Denied,
            GatewayDecision::UnregisteredBlocked,
            GatewayDecision::ShadowDenied,
            GatewayDecision::ShadowUnregisteredBlocked,
            GatewayDecision::Undecided,
        ]);
    for (decision, mode) in decisions.zip(Mode::ALL.into_iter().cycle()) {
        let course = Course {
            id: RecordId::mint(1, 2),
            started: UnixMillis(1),
            duration: Duration::ZERO,
            mode,
            decision,
            verdict: None,
            asked_for: None,
            end: End::Aborted,
        };
        let read = read_record(&written(&course, None)).unwrap().course;
        assert_eq!(read, course);
    }
}

#[test]
fn every_end_survives_the_wire() {
    for end in End::ALL {
        let line = format!(
            r#"{{"id":"a","started_ms":1,"duration_us":1,"mode":"sync","decision":"verdict","end":"{}","request":{REQUEST}}}"#,
            end.as_str()
        );
        assert_eq!(read_record(&line).unwrap().course.end, end);
    }
}

#[test]
fn a_line_that_is_not_a_record_is_refused_with_its_reason() {
    let with = |id: &str, decision: &str, end: &str, more: &str| {
        format!(
            r#"{{"id":"{id}","started_ms":1,"duration_us":1,"mode":"sync","decision":"{decision}","end":"{end}"{more},"request":{REQUEST}}}"#
        )
    };
    assert!(read_record(&with("a-1", "verdict", "upstream", "")).is_ok());
    let cases = [
        (
            with("a b", "verdict", "upstream", ""),
            "id: not a record id",
        ),
        (
            with("a", "maybe", "upstream", ""),
            "decision: \"maybe\" is not known",
        ),
        (
            with("a", "fail_open", "upstream", ""),
            "decision: \"fail_open\" is not known",
        ),
        (
            with("a", "verdict", "gone", ""),
            "end: \"gone\" is not known",
        ),
        (
            with("a", "verdict", "upstream", r#","cause":"bad luck""#),
            "cause: \"bad luck\"",
        ),
        (
            with("a", "verdict", "upstream", r#","response":{}"#),
            "response: response code absent",
        ),
        ("{".to_owned(), "not a record: "),
    ];
    for (line, fault) in cases {
        let found = read_record(&line).unwrap_err().to_string();
        assert!(found.starts_with(fault), "{line}: {found}");
    }
}

/// A record in which one field holds any JSON.
fn nearly_a_record() -> impl Strategy<Value = String> {
    let fields = vec![
        "id",
        "started_ms",
        "mode",
        "decision",
        "cause",
        "verdict",
        "ask_us",
        "end",
        "request",
        "response",
    ];
    let values = vec![
        "null",
        "-1",
        "1e99",
        "\"\"",
        "[]",
        "{}",
        "{\"headers\":[[]]}",
        "\"\\ud800\"",
        "[{\"response_code\":1}]",
    ];
    (proptest::sample::select(fields), proptest::sample::select(values)).prop_map(|(field, value)| {
        let mut record: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&format!(
            r#"{{"id":"a","started_ms":1,"duration_us":1,"mode":"sync","decision":"fail_open","cause":"timeout","end":"upstream","request":{REQUEST}}}"#
        ))
        .unwrap();
        record.remove(field);
        let rest = serde_json::to_string(&record).unwrap();
        format!("{{\"{field}\":{value},{}", rest.strip_prefix('{').unwrap())
    })
}

/// So that the comparison compares something.
#[test]
fn what_our_filter_writes_is_read_quickly() {
    for more in [
        "",
        r#","verdict":"allowed","ask_us":1"#,
        r#","response":{"response_code":200,"headers":[{"content-length":"2"}]}"#,
    ] {
        let line = format!(
            r#"{{"id":"a-1","started_ms":1763771712345,"duration_us":1,"mode":"sync","decision":"verdict"{more},"end":"upstream","request":{REQUEST}}}"#
        );
        assert!(quick::whole(&line, Members::read).is_some(), "{line}");
    }
}

/// A member that a record has, or nearly.
fn member() -> impl Strategy<Value = String> {
    use proptest::sample::select;
    let numbers = select(vec!["started_ms", "duration_us", "ask_us"]);
    let texts = select(vec![
        "id", "mode", "decision", "cause", "verdict", "end", "other",
    ]);
    let number = select(vec![
        "0",
        "01",
        "-1",
        "1.0",
        "1e2",
        "\"7\"",
        "1763771712345",
        "999999999999999",
        "18446744073709551616",
        " 5 ",
    ]);
    let text = select(vec![
        "\"a\"",
        "\"local\"",
        "\"verdict\"",
        "\"timeout\"",
        "\"\"",
        "\"\\u0061\"",
        "null",
        "7",
    ]);
    prop_oneof![
        (numbers, number).prop_map(|(key, value)| format!("\"{key}\":{value}")),
        (texts, text).prop_map(|(key, value)| format!("\"{key}\":{value}")),
    ]
}

proptest! {
    #[test]
    fn what_is_read_quickly_is_read_alike_at_length(
        odd in prop::collection::vec((any::<prop::sample::Index>(), prop::bool::weighted(0.1), member()), 0..2),
        left_out in prop::option::weighted(0.2, any::<prop::sample::Index>()),
        bent in prop::option::weighted(0.3, (any::<prop::sample::Index>(), prop::sample::select(&b"\"\\{}[]:, 09ae\n\x01\xc3"[..]))),
        behind in prop_oneof![3 => Just(""), 1 => prop::sample::select(vec![" ", "\n", "x", ",", "}"])],
    ) {
        let mut members: Vec<String> = [
            r#""id":"a""#, r#""started_ms":1"#, r#""duration_us":1"#, r#""mode":"sync""#, r#""decision":"fail_open""#,
            r#""cause":"timeout""#, r#""end":"upstream""#, r#""response":{"response_code":200,"headers":[{"a":"b"}]}"#,
        ]
        .map(str::to_owned)
        .into();
        members.push(format!("\"request\":{REQUEST}"));
        if let Some(gone) = left_out {
            members.remove(gone.index(members.len()));
        }
        for (place, twice, member) in odd {
            let key = member.split(':').next().unwrap_or_default().to_owned();
            members.retain(|other| twice || !other.starts_with(&key));
            members.insert(place.index(members.len() + 1), member);
        }
        let mut line = format!("{{{}}}{behind}", members.join(",")).into_bytes();
        if let Some((at, byte)) = bent {
            let at = at.index(line.len());
            line[at] = byte;
        }
        let line = crate::wire::body_text(&line);
        if let Some(members) = quick::whole(&line, Members::read) {
            prop_assert_eq!(members.into_transaction(), read_any_record(&line), "{}", line);
        }
    }

    #[test]
    fn any_line_is_read_or_refused_without_a_panic(line: String, near in nearly_a_record()) {
        let _either = (read_record(&line), read_record(&near));
    }
}
