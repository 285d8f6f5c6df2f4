//! What is read, beside serde_json's.

use proptest::prelude::*;
use serde_json::Value as Tree;

use super::*;

/// What serde_json's tree is of the same text: the last of equal names counts, and a number has its value. `None` for a number that serde_json has no room for.
fn tree(value: &Value) -> Option<Tree> {
    Some(match value {
        Value::Null => Tree::Null,
        Value::Bool(flag) => Tree::Bool(*flag),
        Value::Number(number) => serde_json::from_str(number).ok()?,
        Value::String(text) => Tree::String(text.clone()),
        Value::Array(elements) => Tree::Array(elements.iter().map(tree).collect::<Option<_>>()?),
        Value::Object(members) => {
            let members = members
                .iter()
                .map(|(key, value)| Some((key.clone(), tree(value)?)));
            Tree::Object(members.collect::<Option<_>>()?)
        }
    })
}

fn check(document: &[u8]) {
    let read = Value::parse(document).ok().as_ref().and_then(tree);
    let expected = serde_json::from_slice(document).ok();
    assert_eq!(read, expected, "{}", String::from_utf8_lossy(document));
}

#[test]
fn what_serde_json_reads_is_read_alike_and_nothing_else_is() {
    for document in [
        "",
        " ",
        "null",
        " true ",
        "false",
        "nul",
        "nulll",
        "truefalse",
        "0",
        "-0",
        "00",
        "01",
        "-",
        "+1",
        "1.",
        ".5",
        "1.5",
        "1e5",
        "1E+5",
        "1e-5",
        "1e",
        "1e+",
        "18446744073709551615",
        "18446744073709551616",
        "-7",
        "1 2",
        "[]",
        "[ ]",
        "[,]",
        "[1,]",
        "[1 2]",
        "[1,2",
        "[1,\n2]",
        "{}",
        "{ }",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{\"a\":1 \"b\":2}",
        "{\"a\" : 1 , \"b\" : [ ] }",
        "{a:1}",
        "{\"a\":1,\"a\":2}",
        "\"",
        "\"a",
        "\"a\\",
        "\"\\",
        "\"\\u",
        "\"\\u00",
        "\"\\n\\r\\t\\b\\f\\/\\\\\\\"\"",
        "\"\\x\"",
        "\"\\u0041\"",
        "\"\\u00e9\\u4E2d\"",
        "\"\\ud83d\\ude00\"",
        "\"\\ud83d\"",
        "\"\\ud83dx\"",
        "\"\\ud83d\\n\"",
        "\"\\ud83d\\u0041\"",
        "\"\\ude00\"",
        "\"\\u+041\"",
        "\"é中😀\"",
        "\"\u{7f}\"",
        "\"\t\"",
        "\"\n\"",
        "\u{feff}{}",
        "{\"é\":\"\\u0000\"}",
        "[1]]",
        "]",
    ] {
        check(document.as_bytes());
    }
    check(b"\"\xff\"");
    check(b"[1] \xff");
    check(b"[\"\\ud83d\xc3");
}

#[test]
fn nesting_is_bounded_where_serde_json_bounds_it() {
    for depth in 125..130 {
        check(format!("{}{}", "[".repeat(depth), "]".repeat(depth)).as_bytes());
        check(format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth)).as_bytes());
    }
    assert!(Value::parse(&b"[".repeat(1_000_000)).is_err());
}

#[test]
fn a_fault_names_its_place() {
    for (document, fault) in [
        (&b"{\n\"a\": }"[..], "expected value at line 2 column 6"),
        (b"{\"a\" 1}", "expected `:` at line 1 column 6"),
        (
            b"[1\n,2\n 3]",
            "expected `,` or a closing bracket at line 3 column 2",
        ),
        (b"{\"a\":[1,2", "unexpected end at line 1 column 10"),
        (b"{\"a", "unexpected end at line 1 column 4"),
        (b"{} x", "trailing characters at line 1 column 4"),
        (b"[\"\xff\"]", "invalid UTF-8 at line 1 column 3"),
        (
            "[\"é\", \"é".as_bytes(),
            "unexpected end at line 1 column 11",
        ),
        (
            b"{\"a\": \"\xc3\xa9\",\n\"b\": \"a\\n\xc3\"}",
            "invalid UTF-8 at line 2 column 10",
        ),
        (
            b"[\n\"a\nb\"]",
            "control character found while parsing a string at line 2 column 3",
        ),
        (b"[\"\\x\"]", "invalid escape at line 1 column 5"),
        (
            b"[\"\\ud83d\"]",
            "lone surrogate in hex escape at line 1 column 9",
        ),
        (b"[1.x]", "invalid number at line 1 column 4"),
        (b"-", "invalid number at line 1 column 2"),
        (b"[nul]", "expected value at line 1 column 2"),
        (b"{\"a\":1,}", "key must be a string at line 1 column 8"),
    ] {
        assert_eq!(Value::parse(document).unwrap_err().to_string(), fault);
    }
}

#[test]
fn numbers_are_whole_only_when_they_are_written_so() {
    let number = |text: &str| Value::parse(text.as_bytes()).unwrap();
    assert_eq!(number("18446744073709551615").as_u64(), Some(u64::MAX));
    for text in ["-1", "-0", "1.0", "1e2", "18446744073709551616", "\"1\""] {
        assert_eq!(number(text).as_u64(), None, "{text}");
    }
    assert_eq!(number("-1.5e1").as_f64(), Some(-15.0));
}

fn any_tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        Just(Tree::Null),
        any::<bool>().prop_map(Tree::from),
        any::<i64>().prop_map(Tree::from),
        any::<u64>().prop_map(Tree::from),
        any::<f64>().prop_map(Tree::from),
        any::<String>().prop_map(Tree::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Tree::from),
            prop::collection::vec((any::<String>(), inner), 0..6)
                .prop_map(|members| Tree::Object(members.into_iter().collect())),
        ]
    })
}

/// Bytes that make and break JSON.
const TOKENS: &[u8] = b"{}[]:,\"\\/u0123456789abcdefntr+-.E \n\x01\xc3\xa9\xed";

proptest! {
    #[test]
    fn any_document_is_read_as_serde_json_reads_it(tree in any_tree()) {
        check(tree.to_string().as_bytes());
        check(serde_json::to_string_pretty(&tree).unwrap().as_bytes());
    }

    #[test]
    fn a_bent_document_is_read_or_refused_as_serde_json_does(tree in any_tree(), bends in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(TOKENS), 0..3_u8), 1..4)) {
        let mut document = tree.to_string().into_bytes();
        for (place, token, bend) in bends {
            let place = place.index(document.len());
            match bend {
                0 => document[place] = token,
                1 => document.insert(place, token),
                _ if document.len() > 1 => drop(document.remove(place)),
                _ => {}
            }
        }
        check(&document);
    }

    #[test]
    fn any_bytes_are_read_or_refused_as_serde_json_does(document in prop::collection::vec(prop::sample::select(TOKENS), 0..40)) {
        check(&document);
    }
}
