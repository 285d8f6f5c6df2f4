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
    assert_eq!(operations, routes.len());
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
