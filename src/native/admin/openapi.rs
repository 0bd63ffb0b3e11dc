//! `GET /openapi.json`: the table of routes and the shapes' own schemas, as
//! an OpenAPI 3.1 document.

use std::sync::LazyLock;

use http::StatusCode;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::auth;
use super::call::{self, Answer, Call};
use super::routes::{Content, Entry, NAME, ROUTES};
use crate::engine::ServerName;
use crate::wire::ProblemView;

static DOCUMENT: LazyLock<Value> = LazyLock::new(document);

pub(super) fn show(_: &Call) -> Answer {
    Ok(call::json(StatusCode::OK, &*DOCUMENT))
}

/// Schemas of what comes in and of what goes out: a field with a default may
/// be left out of the one, and is always in the other.
struct Schemas {
    incoming: SchemaGenerator,
    outgoing: SchemaGenerator,
}

fn document() -> Value {
    let settings = || {
        SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        })
    };
    let mut schemas = Schemas {
        incoming: settings().for_deserialize().into_generator(),
        outgoing: settings().for_serialize().into_generator(),
    };
    let mut paths = Map::new();
    for entry in ROUTES {
        let item = paths.entry(entry.path).or_insert_with(|| json!({}));
        item[entry.method.as_str().to_ascii_lowercase()] = operation(entry, &mut schemas);
    }
    let mut components = schemas.outgoing.take_definitions(true);
    components.extend(schemas.incoming.take_definitions(true));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Ringway",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Watch and change a running Ringway proxy.",
            "license": { "name": "MIT", "identifier": "MIT" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "Needed when api.token or api.token_file is configured.",
                },
            },
        },
    })
}

fn operation(entry: &Entry, schemas: &mut Schemas) -> Value {
    let mut responses = Map::new();
    for (status, what, content) in entry.answers {
        let mut medias = Map::new();
        let mut add = |media: &str, schema: Value| {
            medias.insert(media.to_owned(), json!({ "schema": schema }));
        };
        match content {
            Content::Json(schema) => add("application/json", schema(&mut schemas.outgoing).into()),
            Content::JsonIn(schema) => {
                add("application/json", schema(&mut schemas.incoming).into());
            }
            Content::Other(media) => add(media, json!({ "type": "string" })),
            Content::Either(one, other) => {
                add(one, json!({ "type": "string" }));
                add(other, json!({ "type": "string" }));
            }
            Content::Nothing => {}
        }
        let mut answer = json!({ "description": what });
        if !medias.is_empty() {
            answer["content"] = medias.into();
        }
        responses.insert(status.to_string(), answer);
    }
    let problem = schemas.outgoing.subschema_for::<ProblemView>();
    let refusal = json!({
        "description": "Refused; nothing has changed.",
        "content": { "application/problem+json": { "schema": problem } },
    });
    responses.insert("default".to_owned(), refusal);
    let mut parameters: Vec<Value> = Vec::new();
    if entry.path.contains(NAME) {
        parameters.push(json!({
            "name": NAME, "in": "path", "required": true,
            "description": "The server's name, percent-encoded.",
            "schema": schemas.incoming.subschema_for::<ServerName>(),
        }));
    }
    parameters.extend(entry.query.iter().map(|parameter| {
        json!({
            "name": parameter.name, "in": "query", "required": parameter.is_required,
            "description": parameter.what, "schema": (parameter.schema)(),
        })
    }));
    let mut operation = json!({
        "operationId": operation_id(entry),
        "summary": entry.summary,
        "responses": responses,
        // An empty requirement means: none is also good.
        "security": if auth::is_open(entry.path) { json!([]) } else { json!([{}, { "token": [] }]) },
    });
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if let Some(schema) = entry.body {
        operation["requestBody"] = json!({
            "required": true,
            "content": { "application/json": { "schema": schema(&mut schemas.incoming) } },
        });
    }
    operation
}

/// `PUT /api/servers/{name}/weight` is `put_api_servers_name_weight`.
fn operation_id(entry: &Entry) -> String {
    let words = entry.path.split(|c: char| !c.is_ascii_alphanumeric());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let method = entry.method.as_str().to_ascii_lowercase();
    match words.as_slice() {
        [] => format!("{method}_page"),
        words => format!("{method}_{}", words.join("_")),
    }
}
