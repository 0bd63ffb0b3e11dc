//! One request's part in a trace: what it is told, and what is told of it.
//!
//! The proxy is a span of the trace, and each attempt another below it; a server
//! is told the span of its attempt. What is not recorded is passed on as it
//! came, or, if the trace begins here, with the word that it is not recorded.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use http::header::{HOST, USER_AGENT};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version, request};

use super::asker::Asker;
use super::error::ProxyError;
use super::worker::{Worker, WorkerServer};
use crate::config;
use crate::engine::Timestamp;
use crate::native::clock;
use crate::native::shared::ServerRuntime;
use crate::native::telemetry::trace_context::{SAMPLED, TraceContext, is_drawn};
use crate::wire::{AttributeValue, Span, SpanKind};

static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
static TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// A request's part in a trace; ends when the last who has it lets it go, which
/// is when its answer has ended.
pub(super) struct Trace {
    worker: Rc<Worker>,
    /// The trace, and the proxy's own span in it.
    context: TraceContext,
    /// Whether the trace begins here: what a client says of one is dropped.
    is_new: bool,
    /// What is told when it has ended; `None` when it is not recorded.
    recording: Option<RefCell<Recording>>,
}

struct Recording {
    parent: Option<u64>,
    state: String,
    began: Timestamp,
    method: Method,
    attributes: Vec<(&'static str, AttributeValue)>,
    status: Option<StatusCode>,
    /// The last is under way until it has an end.
    attempts: Vec<Attempt>,
}

struct Attempt {
    span: u64,
    server: Arc<ServerRuntime>,
    began: Timestamp,
    ended: Option<Timestamp>,
    result: Option<Result<StatusCode, &'static str>>,
}

impl Trace {
    /// The part of `request`, if it has one: none when it came with a trace that
    /// is not recorded, which then passes as it is.
    #[cold]
    pub(super) fn begin(
        worker: &Rc<Worker>,
        asker: &Asker,
        request: &request::Parts,
        settings: &config::Tracing,
    ) -> Option<Rc<Self>> {
        let (headers, ids) = (&request.headers, &worker.trace_ids);
        let parent = context_of(headers);
        let (trace, flags) = match parent {
            Some(parent) if !parent.is_sampled() => return None,
            Some(parent) => (parent.trace, parent.flags),
            None => {
                let trace = ids.trace();
                let is_sampled = is_drawn(trace, settings.sample.fraction());
                (trace, if is_sampled { SAMPLED } else { 0 })
            }
        };
        let context = TraceContext {
            trace,
            span: ids.span(),
            flags,
        };
        let recording = context.is_sampled().then(|| {
            RefCell::new(Recording {
                parent: parent.map(|parent| parent.span),
                state: parent.map_or_else(String::new, |_| state_of(headers)),
                began: clock::now(),
                method: request.method.clone(),
                attributes: attributes_of(asker, request),
                status: None,
                attempts: Vec::new(),
            })
        });
        Some(Rc::new(Self {
            worker: Rc::clone(worker),
            context,
            is_new: parent.is_none(),
            recording,
        }))
    }

    /// The request is sent to `server`, with these header fields, which say so.
    pub(super) fn attempt_begins(&self, server: &WorkerServer, headers: &mut HeaderMap) {
        let span = self.worker.trace_ids.span();
        let context = TraceContext {
            span,
            ..self.context
        };
        headers.insert(&TRACEPARENT, context.value());
        if self.is_new {
            headers.remove(&TRACESTATE);
        }
        if let Some(recording) = &self.recording {
            recording.borrow_mut().attempts.push(Attempt {
                span,
                server: Arc::clone(&server.runtime),
                began: clock::now(),
                ended: None,
                result: None,
            });
        }
    }

    /// The head of an answer has come, or none will.
    pub(super) fn attempt_ended(&self, result: Result<StatusCode, ProxyError>) {
        let Some(recording) = &self.recording else {
            return;
        };
        if let Some(attempt) = recording.borrow_mut().attempts.last_mut() {
            attempt.ended = Some(clock::now());
            attempt.result = Some(result.map_err(ProxyError::kind));
        }
    }

    /// The answer that the client gets, and which server's it is.
    pub(super) fn answered(&self, status: StatusCode) {
        if let Some(recording) = &self.recording {
            recording.borrow_mut().status = Some(status);
        }
    }

    /// The server whose answer it is, and how many were tried for it.
    pub(super) fn answered_by(&self, server: &WorkerServer, n_attempts: usize) {
        if let Some(recording) = &self.recording {
            let name = server.runtime.server.name.as_str();
            let attributes = &mut recording.borrow_mut().attributes;
            attributes.push(("ringway.server", name.into()));
            attributes.push(("ringway.attempts", (n_attempts as u64).into()));
        }
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        if let Some(recording) = self.recording.take() {
            let spans = recording.into_inner().spans(self.context, clock::now());
            self.worker.shared.trace(spans);
        }
    }
}

impl Recording {
    /// The proxy's span, and then one for each attempt.
    fn spans(self, context: TraceContext, now: Timestamp) -> Vec<Span> {
        let Self { state, status, .. } = self;
        let mut attributes = self.attributes;
        let error = match status {
            Some(status) => {
                attributes.push(status_of(status));
                status.is_server_error().then(|| status.as_str().to_owned())
            }
            None => Some("client_left".to_owned()),
        };
        let is_error = error.is_some();
        attributes.extend(error.map(|error| ("error.type", error.into())));
        let mut spans = vec![Span {
            trace: context.trace,
            id: context.span,
            parent: self.parent,
            state: state.clone(),
            flags: context.flags,
            name: name_of(&self.method).to_owned(),
            kind: SpanKind::Server,
            began: self.began.as_nanos(),
            ended: now.as_nanos(),
            attributes,
            is_error,
        }];
        spans.extend((0_u64..).zip(self.attempts).map(|(n, attempt)| {
            let server = &attempt.server.server;
            let mut attributes = method_of(&self.method);
            attributes.push(("server.address", server.address.as_str().into()));
            attributes.push(("server.port", u64::from(server.port.number()).into()));
            attributes.push(("ringway.server", server.name.as_str().into()));
            if n > 0 {
                attributes.push(("http.request.resend_count", n.into()));
            }
            let error = match attempt.result {
                Some(Ok(status)) => {
                    attributes.push(status_of(status));
                    let is_error = status.is_client_error() || status.is_server_error();
                    is_error.then(|| status.as_str().to_owned())
                }
                Some(Err(kind)) => Some(kind.to_owned()),
                None => Some("given_up".to_owned()),
            };
            let is_error = error.is_some();
            attributes.extend(error.map(|error| ("error.type", error.into())));
            Span {
                trace: context.trace,
                id: attempt.span,
                parent: Some(context.span),
                state: state.clone(),
                flags: context.flags,
                name: name_of(&self.method).to_owned(),
                kind: SpanKind::Client,
                began: attempt.began.as_nanos(),
                ended: attempt.ended.unwrap_or(now).as_nanos(),
                attributes,
                is_error,
            }
        }));
        spans
    }
}

/// The trace that a request says it belongs to. One that says so twice, or not
/// as it should, says nothing.
fn context_of(headers: &HeaderMap) -> Option<TraceContext> {
    let mut values = headers.get_all(&TRACEPARENT).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => TraceContext::parse(value.as_bytes()),
        _ => None,
    }
}

fn state_of(headers: &HeaderMap) -> String {
    let values = headers.get_all(&TRACESTATE).iter();
    let texts: Vec<&str> = values.filter_map(|value| value.to_str().ok()).collect();
    texts.join(",")
}

/// What is known of a request when it comes, by OpenTelemetry's conventions for
/// HTTP servers.
fn attributes_of(asker: &Asker, request: &request::Parts) -> Vec<(&'static str, AttributeValue)> {
    let (uri, headers) = (&request.uri, &request.headers);
    let mut attributes = method_of(&request.method);
    let scheme = if asker.is_over_tls() { "https" } else { "http" };
    attributes.push(("url.scheme", scheme.into()));
    attributes.push(("url.path", uri.path().into()));
    attributes.extend(uri.query().map(|query| ("url.query", query.into())));
    if let Some(authority) = authority_of(uri, headers) {
        attributes.push(("server.address", authority.host().into()));
        let port = authority.port_u16();
        attributes.extend(port.map(|port| ("server.port", u64::from(port).into())));
    }
    attributes.push(("client.address", (&*asker.ip).into()));
    let proxy = asker.proxy();
    attributes.extend(proxy.map(|ip| ("network.peer.address", ip.to_string().into())));
    let version = match request.version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        _ => "1.1",
    };
    attributes.push(("network.protocol.version", version.into()));
    let agent = headers.get(USER_AGENT).map(HeaderValue::as_bytes);
    attributes.extend(agent.map(|agent| {
        let agent = String::from_utf8_lossy(agent).into_owned();
        ("user_agent.original", agent.into())
    }));
    attributes
}

fn authority_of(uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
    let host = || Authority::try_from(headers.get(HOST)?.as_bytes()).ok();
    uri.authority().cloned().or_else(host)
}

fn status_of(status: StatusCode) -> (&'static str, AttributeValue) {
    let number = u64::from(status.as_u16());
    ("http.response.status_code", number.into())
}

/// The methods that the conventions know; any other may be anything.
fn known(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET
            | Method::HEAD
            | Method::POST
            | Method::PUT
            | Method::DELETE
            | Method::CONNECT
            | Method::OPTIONS
            | Method::TRACE
            | Method::PATCH
    )
}

fn name_of(method: &Method) -> &str {
    if known(method) {
        method.as_str()
    } else {
        "HTTP"
    }
}

fn method_of(method: &Method) -> Vec<(&'static str, AttributeValue)> {
    let name = "http.request.method";
    match known(method) {
        true => vec![(name, method.as_str().into())],
        false => vec![
            (name, "_OTHER".into()),
            ("http.request.method_original", method.as_str().into()),
        ],
    }
}
