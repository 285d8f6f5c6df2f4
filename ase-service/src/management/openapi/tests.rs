//! The document by itself; that it names what is served is tested over HTTP.

use std::collections::BTreeSet;

use super::*;

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            if let Some(reference) = object.get("$ref").and_then(Value::as_str) {
                found.insert(reference.to_owned());
            }
            object.values().for_each(|value| references(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| references(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn every_call_is_in_the_document_under_a_name_of_its_own() {
    let routes = crate::management::routes();
    let document = document(&routes);
    let mut names = BTreeSet::new();
    for route in &routes {
        let operation = &document["paths"][&route.path][route.method.as_str()];
        assert_eq!(operation["operationId"], route.name, "{}", route.path);
        assert!(names.insert(route.name), "{} names two calls", route.name);
    }
    let operations = document["paths"].as_object().unwrap().values();
    let operations: usize = operations.map(|path| path.as_object().unwrap().len()).sum();
    assert_eq!(operations, routes.len() + OBSERVED.len());
}

#[test]
fn every_call_of_our_own_is_told_in_the_guide() {
    let guide = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/management.md");
    let guide = std::fs::read_to_string(guide).unwrap();
    let (ours, _) = guide.split_once("## Documented calls").unwrap();
    let rows: Vec<&str> = ours
        .lines()
        .filter(|line| line.starts_with("| `"))
        .collect();
    let mut untold: Vec<String> = Vec::new();
    for route in crate::management::routes() {
        let method = route.method.as_str().to_ascii_uppercase();
        let named = |row: &&str| {
            let call = row.split(" | ").next().unwrap_or_default();
            let names = |word: &str| call.split(['`', ' ', ',', '?']).any(|found| found == word);
            names(&method) && names(&route.path)
        };
        if route.path.starts_with("/v1/") && !rows.iter().any(named) {
            untold.push(format!("{method} {}", route.path));
        }
    }
    assert_eq!(
        untold,
        Vec::<String>::new(),
        "write them into docs/management.md"
    );
}

#[test]
fn every_reference_leads_somewhere_and_no_schema_is_idle() {
    let document = document(&crate::management::routes());
    let mut used = BTreeSet::new();
    references(&document["paths"], &mut used);
    let defined: BTreeSet<String> = document["components"]["schemas"]
        .as_object()
        .unwrap()
        .keys()
        .map(|name| format!("#/components/schemas/{name}"))
        .collect();
    assert_eq!(used, defined);
}
