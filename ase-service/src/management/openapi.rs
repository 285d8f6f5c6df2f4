//! The OpenAPI 3.1 document of the management port, made from the table of calls.

use serde_json::{Map, Value, json};

use super::guard::ABS_PATH;
use super::route::{Access, Presence, Route, Verb};
use super::{
    ABS_ACCESS_KEY_HEADER, ABS_SECRET_KEY_HEADER, ACCESS_KEY_HEADER, SECRET_KEY_HEADER, restricted,
};

mod schema;

pub(super) use schema::Schema;

/// The pages for probes and monitoring, which are text and served beside the table of calls.
const OBSERVED: [(&str, &str, &str, Access); 3] = [
    ("/livez", "livez", "Whether ASE runs", Access::Open),
    (
        "/readyz",
        "readyz",
        "Whether ASE may be asked: 503 while it loads or drains",
        Access::Open,
    ),
    (
        "/metrics",
        "metrics",
        "Everything that is measured, as Prometheus reads it; open or not by metrics.access",
        Access::Secret,
    ),
];

/// The document.
pub(super) fn document(routes: &[Route]) -> Value {
    let mut paths = Map::new();
    for route in routes {
        let path = paths.entry(route.path.clone()).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(route.method.as_str().to_owned(), operation(route));
        }
    }
    for (path, name, summary, access) in OBSERVED {
        paths.insert(path.to_owned(), json!({"get": page(name, summary, access)}));
    }
    let schemas: Map<String, Value> = Schema::ALL
        .iter()
        .map(|schema| (schema.name().to_owned(), schema.json()))
        .collect();
    let key = |header: &str| json!({"type": "apiKey", "in": "header", "name": header});
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "ASE management", "version": env!("CARGO_PKG_VERSION"),
            "description": "Calls under /v1 are ASE's own; those under /v4/ase and /v5/ase keep the names of the original.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "accessKey": key(ACCESS_KEY_HEADER), "secretKey": key(SECRET_KEY_HEADER),
                "absAccessKey": key(ABS_ACCESS_KEY_HEADER), "absSecretKey": key(ABS_SECRET_KEY_HEADER),
                "restrictedAccessKey": key(restricted::ACCESS_KEY_HEADER),
                "restrictedSecretKey": key(restricted::SECRET_KEY_HEADER),
            },
        },
    })
}

fn operation(route: &Route) -> Value {
    let (status, answer) = &route.answer;
    let mut answers = Map::new();
    answers.insert(status.to_string(), content("Done", *answer));
    if route.access == Access::Secret {
        let refusal = if route.path.starts_with("/v1/") {
            Schema::Faults
        } else {
            Schema::Failed
        };
        let refused = "Refused, with every fault; nothing is changed";
        answers.insert("4XX".to_owned(), content(refused, refusal));
        let failed = "ASE failed; the fault says whether the change holds";
        answers.insert("5XX".to_owned(), content(failed, refusal));
    }
    let mut operation = json!({
        "operationId": route.name, "summary": route.summary,
        "parameters": parameters(route), "responses": answers,
        "security": match route.access {
            Access::Open => json!([]),
            Access::Secret => key_pairs(route),
        },
    });
    if let (Some((body, presence)), Some(operation)) = (route.body, operation.as_object_mut()) {
        let body = json!({"required": presence == Presence::Required, "content": {"application/json": {"schema": reference(body)}}});
        operation.insert("requestBody".to_owned(), body);
    }
    operation
}

/// The pairs of headers that let a caller in, any one of them.
fn key_pairs(route: &Route) -> Value {
    let own = json!({"accessKey": [], "secretKey": []});
    let abs = json!({"absAccessKey": [], "absSecretKey": []});
    let restricted = json!({"restrictedAccessKey": [], "restrictedSecretKey": []});
    match (route.path.starts_with(ABS_PATH), route.method) {
        (false, _) => json!([own]),
        (true, Verb::Get) => json!([own, abs, restricted]),
        (true, Verb::Post | Verb::Put | Verb::Delete) => json!([own, abs]),
    }
}

fn page(name: &str, summary: &str, access: Access) -> Value {
    let text = json!({"text/plain": {"schema": {"type": "string"}}});
    let told = |description: &str| json!({"description": description, "content": text});
    let (security, refusal) = match access {
        Access::Open => (json!([]), ("503", "Not ready")),
        Access::Secret => (
            json!([{}, {"accessKey": [], "secretKey": []}]),
            ("401", "The management headers are absent or wrong"),
        ),
    };
    let (status, why) = refusal;
    json!({
        "operationId": name, "summary": summary, "security": security,
        "responses": {"200": told("Done"), status: told(why)},
    })
}

fn parameters(route: &Route) -> Vec<Value> {
    let in_path = route.path.split('/').filter_map(|segment| {
        let name = segment.strip_prefix('{')?.strip_suffix('}')?;
        let text = json!({"type": "string"});
        Some(json!({"name": name, "in": "path", "required": true, "schema": text}))
    });
    let in_query = route.query.iter().map(|parameter| {
        let required = parameter.presence == Presence::Required;
        json!({
            "name": parameter.name, "in": "query", "required": required,
            "description": parameter.meaning, "schema": {"type": "string"},
        })
    });
    in_path.chain(in_query).collect()
}

fn content(description: &str, schema: Schema) -> Value {
    let kind = if schema == Schema::LogLines {
        "application/x-ndjson"
    } else {
        "application/json"
    };
    let schema = reference(schema);
    json!({"description": description, "content": {kind: {"schema": schema}}})
}

fn reference(schema: Schema) -> Value {
    json!({"$ref": format!("#/components/schemas/{}", schema.name())})
}

#[cfg(test)]
mod tests;
