//! The one table of routes: what can be called, what it takes, what it
//! answers, and who does it. The router and `/openapi.json` are both made
//! from it, so that neither can have what the other has not.

use std::future::Future;
use std::pin::Pin;

use http::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::call::{Answer, Call};
use super::{assets, events, fleet, hot_keys, openapi, plan, reload, route, servers, snapshot};
use crate::config::{Config, PlanSpec, SnapshotView};
use crate::wire::{
    ChangeView, ExplainView, HealthView, HotKeysView, MetricsView, PlanView, ReloadView,
    RequestSpec, RingView, RouteSpec, RouteView, ServerSpec, ServerView, ServersView, StateSpec,
    WeightSpec,
};

/// One method of one path.
pub(super) struct Entry {
    pub(super) method: Method,
    /// As the router has it; the one variable part there is names a server.
    pub(super) path: &'static str,
    /// What it does, in a line.
    pub(super) summary: &'static str,
    pub(super) query: &'static [Parameter],
    /// What its body has to be, if it takes one.
    pub(super) body: Option<SchemaOf>,
    /// What it answers when all is well, or as expected.
    pub(super) answers: &'static [(u16, &'static str, Content)],
    pub(super) run: Run,
}

/// A parameter of a query.
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    pub(super) is_required: bool,
    pub(super) schema: fn() -> Schema,
}

pub(super) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// What an answer contains.
pub(super) enum Content {
    /// A shape that only goes out.
    Json(SchemaOf),
    /// One that also comes in, and is described as that.
    JsonIn(SchemaOf),
    /// Anything else, of this type.
    Other(&'static str),
    /// The same, of one of two types.
    Either(&'static str, &'static str),
    /// There is none.
    Nothing,
}

/// Who does it.
pub(super) enum Run {
    Now(fn(&Call) -> Answer),
    Later(fn(Call) -> Pin<Box<dyn Future<Output = Answer> + Send>>),
}

fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

fn any_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object" })
}

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const PUT: Method = Method::PUT;
const DELETE: Method = Method::DELETE;

const DONE: &str = "Done: the server, and what moved.";
const PLANNED: &str = "With `dry_run`: what it would move; nothing was done.";
const DONE_OR_PLANNED: &str =
    "Done: the server, and what moved. With `dry_run`: what it would move; nothing was done.";

/// What every write can be asked to mind.
const GUARD: &[Parameter] = &[
    Parameter {
        name: "dry_run",
        what: "Whether nothing is done, and the plan of it is answered; default false.",
        is_required: false,
        schema: || json_schema!({ "type": "boolean", "default": false }),
    },
    Parameter {
        name: "max_moved",
        what: "The most of all keys that may move, as `5%` or `0.05`; more is refused with 409.",
        is_required: false,
        schema: || json_schema!({ "type": "string", "pattern": "^[0-9.]+%?$" }),
    },
];

fn change_or_plan(generator: &mut SchemaGenerator) -> Schema {
    let (change, plan) = (of::<ChangeView>(generator), of::<PlanView>(generator));
    json_schema!({ "anyOf": [change, plan] })
}

fn reload_or_plan(generator: &mut SchemaGenerator) -> Schema {
    let (done, plan) = (of::<ReloadView>(generator), of::<PlanView>(generator));
    json_schema!({ "anyOf": [done, plan] })
}

/// Where a server is named in a path.
pub(super) const NAME: &str = "name";

pub(super) static ROUTES: &[Entry] = &[
    Entry {
        method: GET,
        path: "/api/servers",
        summary: "All servers.",
        query: &[],
        body: None,
        answers: &[(
            200,
            "The servers, by name.",
            Content::Json(of::<ServersView>),
        )],
        run: Run::Now(servers::list),
    },
    Entry {
        method: POST,
        path: "/api/servers",
        summary: "Add a server.",
        query: GUARD,
        body: Some(of::<ServerSpec>),
        answers: &[
            (201, DONE, Content::Json(of::<ChangeView>)),
            (200, PLANNED, Content::Json(of::<PlanView>)),
        ],
        run: Run::Later(|call| Box::pin(servers::add(call))),
    },
    Entry {
        method: GET,
        path: "/api/servers/{name}",
        summary: "One server.",
        query: &[],
        body: None,
        answers: &[(200, "The server.", Content::Json(of::<ServerView>))],
        run: Run::Now(servers::show),
    },
    Entry {
        method: DELETE,
        path: "/api/servers/{name}",
        summary: "Remove a server.",
        query: GUARD,
        body: None,
        answers: &[(200, DONE_OR_PLANNED, Content::Json(change_or_plan))],
        run: Run::Later(|call| Box::pin(servers::remove(call))),
    },
    Entry {
        method: PUT,
        path: "/api/servers/{name}/weight",
        summary: "Change a server's weight.",
        query: GUARD,
        body: Some(of::<WeightSpec>),
        answers: &[(200, DONE_OR_PLANNED, Content::Json(change_or_plan))],
        run: Run::Later(|call| Box::pin(servers::set_weight(call))),
    },
    Entry {
        method: PUT,
        path: "/api/servers/{name}/state",
        summary: "Drain a server, or let it take requests again.",
        query: GUARD,
        body: Some(of::<StateSpec>),
        answers: &[(200, DONE_OR_PLANNED, Content::Json(change_or_plan))],
        run: Run::Later(|call| Box::pin(servers::set_state(call))),
    },
    Entry {
        method: GET,
        path: "/api/health",
        summary: "The health of the fleet.",
        query: &[],
        body: None,
        answers: &[
            (200, "Healthy or degraded.", Content::Json(of::<HealthView>)),
            (503, "Unhealthy.", Content::Json(of::<HealthView>)),
        ],
        run: Run::Now(fleet::health),
    },
    Entry {
        method: GET,
        path: "/api/metrics",
        summary: "Requests, errors and response times, in total and by server.",
        query: &[],
        body: None,
        answers: &[(200, "The figures.", Content::Json(of::<MetricsView>))],
        run: Run::Now(fleet::metrics),
    },
    Entry {
        method: GET,
        path: "/api/ring",
        summary: "The ring of the primary servers, with one page of its points.",
        query: &[
            Parameter {
                name: "limit",
                what: "Points on the page; more when several stand at its last position.",
                is_required: false,
                schema: || {
                    json_schema!({
                        "type": "integer", "minimum": 1,
                        "maximum": fleet::PAGE_MAX, "default": fleet::PAGE
                    })
                },
            },
            Parameter {
                name: "after",
                what: "The position behind which the page begins: `next` of the page before.",
                is_required: false,
                schema: || json_schema!({ "type": "string", "pattern": "^[0-9a-fA-F]{16}$" }),
            },
        ],
        body: None,
        answers: &[(200, "The ring.", Content::Json(of::<RingView>))],
        run: Run::Now(fleet::ring),
    },
    Entry {
        method: POST,
        path: "/api/route",
        summary: "Where a key goes now; with `forward`, what comes back from there.",
        query: &[],
        body: Some(of::<RouteSpec>),
        answers: &[(200, "The decision.", Content::Json(of::<RouteView>))],
        run: Run::Later(|call| Box::pin(route::route(call))),
    },
    Entry {
        method: POST,
        path: "/api/plan",
        summary: "What changes would move; nothing is done.",
        query: &[],
        body: Some(of::<PlanSpec>),
        answers: &[(200, "The plan.", Content::Json(of::<PlanView>))],
        run: Run::Now(plan::plan),
    },
    Entry {
        method: GET,
        path: "/api/explain",
        summary: "Why a key goes where it goes.",
        query: &[Parameter {
            name: "key",
            what: "The key; its bytes percent-encoded, + for a space.",
            is_required: true,
            schema: || json_schema!({ "type": "string" }),
        }],
        body: None,
        answers: &[(200, "The reasons.", Content::Json(of::<ExplainView>))],
        run: Run::Now(route::explain),
    },
    Entry {
        method: POST,
        path: "/api/explain",
        summary: "Why a request goes where it goes: what of it is its key, and the rest.",
        query: &[],
        body: Some(of::<RequestSpec>),
        answers: &[(200, "The reasons.", Content::Json(of::<ExplainView>))],
        run: Run::Now(route::explain_request),
    },
    Entry {
        method: GET,
        path: "/api/hot-keys",
        summary: "The keys with most of the traffic.",
        query: &[Parameter {
            name: "limit",
            what: "The most keys in the answer.",
            is_required: false,
            schema: || {
                json_schema!({
                    "type": "integer", "minimum": 1,
                    "maximum": hot_keys::KEYS_MAX, "default": hot_keys::KEYS
                })
            },
        }],
        body: None,
        answers: &[(200, "The keys.", Content::Json(of::<HotKeysView>))],
        run: Run::Now(hot_keys::hot_keys),
    },
    Entry {
        method: GET,
        path: "/api/events",
        summary: "What happens to the fleet: as it happens, or the last minutes.",
        query: &[
            Parameter {
                name: "format",
                what: "`sse`, a live stream of events, as Accept: text/event-stream asks for; \
                       or `jsonl`, the last minutes as lines of JSON, the default.",
                is_required: false,
                schema: || json_schema!({ "type": "string", "enum": events::FORMATS }),
            },
            Parameter {
                name: "after",
                what: "The `id` of the last line that is known: only what came after it; \
                       and the whole state, where that is kept no longer.",
                is_required: false,
                schema: || json_schema!({ "type": "string" }),
            },
        ],
        body: None,
        answers: &[
            (
                101,
                "A WebSocket, for which Upgrade: websocket asks; each line is a message.",
                Content::Nothing,
            ),
            (
                200,
                "The lines; each is an object of JSON, in a stream the data of an event.",
                Content::Either("application/jsonl", "text/event-stream"),
            ),
        ],
        run: Run::Now(events::events),
    },
    Entry {
        method: GET,
        path: "/api/config",
        summary: "The configuration in effect, secrets left out, with the present servers.",
        query: &[],
        body: None,
        answers: &[(200, "The configuration.", Content::JsonIn(of::<Config>))],
        run: Run::Now(fleet::config),
    },
    Entry {
        method: GET,
        path: "/api/snapshot",
        summary: "What another engine needs to route as this proxy does now.",
        query: &[],
        body: None,
        answers: &[
            (200, "The snapshot.", Content::Json(of::<SnapshotView>)),
            (
                304,
                "It is as `If-None-Match` has it, but for times that run.",
                Content::Other("application/json"),
            ),
        ],
        run: Run::Now(snapshot::show),
    },
    Entry {
        method: POST,
        path: "/api/reload",
        summary: "Read the configuration file anew, all or nothing.",
        query: GUARD,
        body: None,
        answers: &[(
            200,
            "Done: what changed. With `dry_run`: what it would move; nothing was done.",
            Content::Json(reload_or_plan),
        )],
        run: Run::Later(|call| Box::pin(reload::reload(call))),
    },
    Entry {
        method: GET,
        path: "/api/schema",
        summary: "The JSON Schema of the configuration.",
        query: &[],
        body: None,
        answers: &[(200, "The schema.", Content::Json(any_object))],
        run: Run::Now(fleet::schema),
    },
    Entry {
        method: GET,
        path: "/livez",
        summary: "Whether the process lives.",
        query: &[],
        body: None,
        answers: &[(200, "It does.", Content::Other("text/plain"))],
        run: Run::Now(fleet::alive),
    },
    Entry {
        method: GET,
        path: "/readyz",
        summary: "Whether requests should be sent to this proxy.",
        query: &[],
        body: None,
        answers: &[(200, "They should.", Content::Other("text/plain"))],
        run: Run::Now(fleet::ready),
    },
    Entry {
        method: GET,
        path: "/metrics",
        summary: "The figures for Prometheus.",
        query: &[],
        body: None,
        answers: &[(
            200,
            "The figures, in the OpenMetrics text format.",
            Content::Other("application/openmetrics-text"),
        )],
        run: Run::Now(fleet::prometheus),
    },
    Entry {
        method: GET,
        path: "/openapi.json",
        summary: "This document.",
        query: &[],
        body: None,
        answers: &[(200, "An OpenAPI 3.1 document.", Content::Json(any_object))],
        run: Run::Now(openapi::show),
    },
    Entry {
        method: GET,
        path: "/",
        summary: "The page.",
        query: &[],
        body: None,
        answers: &[(200, "The page.", Content::Other("text/html"))],
        run: Run::Now(assets::index),
    },
];
