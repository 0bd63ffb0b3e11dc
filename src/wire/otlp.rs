//! Spans as OTLP has them in JSON
//! (<https://opentelemetry.io/docs/specs/otlp/>, «JSON Protobuf Encoding»): ids
//! in hexadecimal, 64-bit numbers as texts.

use serde::Serialize;

/// A span: something that took a time, as part of a trace.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// The trace it is part of.
    pub trace: u128,
    /// Its own id.
    pub id: u64,
    /// The span that caused it, if it did not begin the trace.
    pub parent: Option<u64>,
    /// What else the trace's participants say of it: the field `tracestate`.
    pub state: String,
    /// The flags of the trace.
    pub flags: u8,
    /// What was done.
    pub name: String,
    /// On which side.
    pub kind: SpanKind,
    /// When it began, in nanoseconds since the UNIX epoch.
    pub began: u64,
    /// When it ended.
    pub ended: u64,
    /// What is known of it, by the names of OpenTelemetry's conventions.
    pub attributes: Vec<(&'static str, AttributeValue)>,
    /// Whether it failed.
    pub is_error: bool,
}

/// On which side of a request a span is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    /// It answers one.
    Server,
    /// It makes one.
    Client,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum AttributeValue {
    /// A text.
    #[serde(rename = "stringValue")]
    Text(String),
    /// A number, which JSON has as a text.
    #[serde(rename = "intValue", serialize_with = "as_text")]
    Number(u64),
}

impl From<String> for AttributeValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for AttributeValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<u64> for AttributeValue {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

fn as_text<S: serde::Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(number)
}

/// What is posted to a collector.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OtlpTraces {
    resource_spans: [ResourceSpans; 1],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans {
    resource: Resource,
    scope_spans: [ScopeSpans; 1],
}

#[derive(Debug, Serialize)]
struct Resource {
    attributes: Vec<Attribute>,
}

#[derive(Debug, Serialize)]
struct ScopeSpans {
    scope: Scope,
    spans: Vec<SpanShape>,
}

#[derive(Debug, Serialize)]
struct Scope {
    name: &'static str,
    version: &'static str,
}

#[derive(Debug, Serialize)]
struct Attribute {
    key: &'static str,
    value: AttributeValue,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SpanShape {
    trace_id: String,
    span_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_span_id: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    trace_state: String,
    flags: u8,
    name: String,
    kind: u8,
    start_time_unix_nano: String,
    end_time_unix_nano: String,
    attributes: Vec<Attribute>,
    status: Status,
}

#[derive(Debug, Serialize)]
struct Status {
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u8>,
}

impl OtlpTraces {
    /// These spans of this process.
    pub fn new(service: &str, instance: &str, spans: Vec<Span>) -> Self {
        let version = env!("CARGO_PKG_VERSION");
        let attributes = vec![
            ("service.name", service.into()),
            ("service.version", version.into()),
            ("service.instance.id", instance.into()),
        ];
        Self {
            resource_spans: [ResourceSpans {
                resource: Resource {
                    attributes: shapes(attributes),
                },
                scope_spans: [ScopeSpans {
                    scope: Scope {
                        name: "ringway",
                        version,
                    },
                    spans: spans.into_iter().map(SpanShape::from).collect(),
                }],
            }],
        }
    }
}

fn shapes(attributes: Vec<(&'static str, AttributeValue)>) -> Vec<Attribute> {
    let shape = |(key, value)| Attribute { key, value };
    attributes.into_iter().map(shape).collect()
}

impl From<Span> for SpanShape {
    fn from(span: Span) -> Self {
        Self {
            trace_id: format!("{:032x}", span.trace),
            span_id: format!("{:016x}", span.id),
            parent_span_id: span.parent.map(|parent| format!("{parent:016x}")),
            trace_state: span.state,
            flags: span.flags,
            name: span.name,
            // SPAN_KIND_SERVER and SPAN_KIND_CLIENT.
            kind: match span.kind {
                SpanKind::Server => 2,
                SpanKind::Client => 3,
            },
            start_time_unix_nano: span.began.to_string(),
            end_time_unix_nano: span.ended.to_string(),
            attributes: shapes(span.attributes),
            status: Status {
                // STATUS_CODE_ERROR; that all is well is not for a proxy to say.
                code: span.is_error.then_some(2),
            },
        }
    }
}
