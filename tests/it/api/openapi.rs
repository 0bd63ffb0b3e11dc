use serde_json::{Value, json};

use super::three;
use crate::support::api::Api;
use crate::support::schema::{faults, resolve};

/// All methods that anybody sends.
const METHODS: [&str; 6] = ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"];

/// Everything that can be called; a line more here is a line more in docs/api.md.
pub(super) const CALLS: [&str; 24] = [
    "DELETE /api/servers/{name}",
    "GET /",
    "GET /api/config",
    "GET /api/events",
    "GET /api/explain",
    "GET /api/health",
    "GET /api/hot-keys",
    "GET /api/metrics",
    "GET /api/ring",
    "GET /api/schema",
    "GET /api/servers",
    "GET /api/servers/{name}",
    "GET /api/snapshot",
    "GET /livez",
    "GET /metrics",
    "GET /openapi.json",
    "GET /readyz",
    "POST /api/explain",
    "POST /api/plan",
    "POST /api/reload",
    "POST /api/route",
    "POST /api/servers",
    "PUT /api/servers/{name}/state",
    "PUT /api/servers/{name}/weight",
];

fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(reference)) = map.get("$ref") {
                found.push(reference);
            }
            map.values().for_each(|value| references(value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[tokio::test]
async fn the_document_is_well_formed_and_has_just_what_can_be_called() {
    let api = Api::start(three()).await;
    let reply = api.get("/openapi.json").await;
    assert_eq!(reply.header("content-type"), "application/json");
    let document = reply.json();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));

    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 30, "{}", found.len());
    for reference in &found {
        assert!(resolve(&document, reference).is_some(), "{reference}");
    }
    let schemas = document["components"]["schemas"].as_object();
    for name in schemas.expect("schemas").keys() {
        let reference = format!("#/components/schemas/{name}");
        assert!(found.contains(&&*reference), "{name} is not used");
    }

    let mut calls = Vec::new();
    let mut ids = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        let known = item.as_object().expect("operations");
        for (method, operation) in known {
            calls.push(format!("{} {path}", method.to_ascii_uppercase()));
            ids.push(operation["operationId"].as_str().expect("an id"));
            assert!(operation["summary"].is_string());
            assert!(operation["responses"]["default"].is_object());
            let is_open = operation["security"] == json!([]);
            let needs_token = path.starts_with("/api/") || path == "/metrics";
            assert_ne!(is_open, needs_token, "{path}");
        }
        // What the document has not, the router has not, and the other way round.
        let target = path.replace("{name}", "a");
        for method in METHODS {
            let reply = api.send(method, &target, "", b"").await;
            let is_known = known.contains_key(&method.to_ascii_lowercase());
            assert_eq!(reply.status != 405, is_known, "{method} {target}");
            if is_known && path != "/" && !(method == "GET" && path.starts_with("/api/servers/")) {
                assert_ne!(reply.status, 404, "{method} {target}");
            }
        }
    }
    calls.sort_unstable();
    assert_eq!(calls, CALLS);
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), CALLS.len());
}

#[tokio::test]
async fn what_may_be_left_out_of_a_body_is_always_in_an_answer() {
    let api = Api::start(three()).await;
    let document = api.get("/openapi.json").await.json();
    let schemas = &document["components"]["schemas"];
    assert_eq!(
        schemas["ServerSpec"]["required"],
        json!(["name", "address", "port"])
    );
    assert_eq!(schemas["RouteSpec"]["required"], json!(["key"]));
    let view = schemas["ServerView"]["required"]
        .as_array()
        .expect("a list");
    assert!(view.contains(&json!("last_probe")), "{view:?}");
    let problem = schemas["ProblemView"]["required"].as_array();
    assert!(!problem.expect("a list").contains(&json!("errors")));
    let spec = &schemas["ServerSpec"];
    let good = json!({ "name": "a", "address": "b", "port": 1 });
    assert_eq!(faults(&document, spec, &good), [""; 0]);
    for (field, bad) in [("port", json!(0)), ("weight", json!(1001)), ("x", json!(1))] {
        let mut spec_given = good.clone();
        spec_given[field] = bad;
        assert!(!faults(&document, spec, &spec_given).is_empty(), "{field}");
    }
}
