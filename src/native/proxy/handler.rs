//! One request: from its key over what its attempts came to, to its answer.

use std::convert::Infallible;
use std::rc::Rc;

use http::{HeaderName, HeaderValue, Request, Response, Version, request};
use hyper::body::{Body, Incoming};

use super::attempts::{Attempts, Kept, Sent};
use super::body::ResponseBody;
use super::conn::Client;
use super::error::ProxyError;
use super::explanation::Explanation;
use super::headers;
use super::rate_limit;
use super::trace::Trace;
use super::upgrade;
use super::upload::{RequestBody, Upload};
use crate::config::Retries;
use crate::native::clock;
use crate::native::telemetry::access_log::{AccessLog, Entry};

/// Which server answered; only if configuration asks for it.
static X_RINGWAY_SERVER: HeaderName = HeaderName::from_static("x-ringway-server");
/// How many servers were tried for that.
static X_RINGWAY_ATTEMPTS: HeaderName = HeaderName::from_static("x-ringway-attempts");
/// Why that one: see [`Explanation`].
static X_RINGWAY_EXPLAIN: HeaderName = HeaderName::from_static("x-ringway-explain");

/// Answers a client's request, whatever happens.
pub(super) async fn handle(
    client: Rc<Client>,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, Infallible> {
    let mut entry = client
        .worker
        .access_log
        .as_ref()
        .and_then(AccessLog::format)
        .map(|format| Box::new(Entry::new(&client.ip, &request, clock::now(), format)));
    let mut trace = None;
    let mut response = match forward(&client, request, entry.as_deref_mut(), &mut trace).await {
        Ok(response) => response,
        Err(error) => error
            .into_response()
            .map(|text| ResponseBody::of_proxy(text, Rc::clone(&client))),
    };
    if let Some(mut entry) = entry {
        entry.answered(response.status(), clock::now());
        response.body_mut().log(entry);
    }
    if let Some(trace) = trace {
        trace.answered(response.status());
        response.body_mut().end(trace);
    }
    client.answer_began();
    Ok(response)
}

async fn forward(
    client: &Rc<Client>,
    request: Request<Incoming>,
    mut entry: Option<&mut Entry>,
    trace: &mut Option<Rc<Trace>>,
) -> Result<Response<ResponseBody>, ProxyError> {
    let worker = &*client.worker;
    // One fleet for the whole request: its table says where the key stands.
    let fleet = worker.fleet();
    let rules = fleet.rules();
    client.follow(rules);
    if rules.config.tracing.otlp.is_some() {
        *trace = Trace::begin(client, &request, &rules.config.tracing);
    }
    let (mut head, body) = request.into_parts();
    let told = rate_limit::admit(client, &fleet, &head)?;
    let (key, spread) = client.counted_key(&fleet, &head);
    let debug = rules.config.routing.debug_header;
    let explanation = debug.then(|| Explanation::new(client, &fleet, &head, key));
    let n_fields = head.headers.len();
    let upgrade = rules.upgrades.asked(&mut head);
    let has_host = headers::prepare_request(
        &mut head,
        &client.fields,
        || worker.request_ids.next(),
        || client.head_bytes.is_framed_twice(),
    )?;
    if let Some(entry) = &mut entry {
        entry.request_id = head.headers.get(&headers::X_REQUEST_ID).cloned();
    }
    head.version = Version::HTTP_11;
    upgrade::ask(upgrade.as_ref(), &mut head.headers);
    let has_body = !body.is_end_stream();
    let mut kept = None;
    let request = if has_body {
        let (request, copy) = with_body(head, body, client, &rules.config.retries);
        kept = copy;
        request
    } else {
        Request::from_parts(head, RequestBody::Empty)
    };
    let sent = Sent {
        method: request.method().clone(),
        key,
        spread,
        n_fields,
        has_host,
        has_body,
        kept,
        upgrade: upgrade.clone(),
        trace: trace.clone(),
    };
    let mut request = Some(request);
    let mut attempts = Attempts::new(client, fleet, sent);
    let mut answered = attempts.run(&mut request).await?;
    let n_attempts = answered.tried.len() + 1;
    let server = answered.fleet.server(answered.index);
    if let Some(entry) = entry {
        entry.server = Some(server.runtime.server.name.clone());
        entry.n_attempts = n_attempts;
    }
    if let Some(trace) = trace {
        trace.answered_by(server, n_attempts);
    }
    let fields = explanation.map(|explanation| {
        let value = explanation.value(&answered.fleet, answered.index, &answered.tried);
        [
            (&X_RINGWAY_SERVER, server.name.clone()),
            (&X_RINGWAY_ATTEMPTS, n_attempts.into()),
            (&X_RINGWAY_EXPLAIN, value),
        ]
    });
    let switched = upgrade::switched(&mut answered.response, upgrade.as_ref())?;
    answer(&mut answered.response, fields);
    rate_limit::tell(&told, answered.response.headers_mut());
    let (ahead, in_flight) = (answered.ahead, answered.in_flight);
    Ok(match switched {
        None => answered
            .response
            .map(|rest| ResponseBody::of_server(ahead, rest, in_flight, Rc::clone(client))),
        Some(switched) => switched.answer(answered.response, in_flight, client),
    })
}

/// A request with a body, and what it can be made of again if it may be sent
/// again once a server has seen it.
fn with_body(
    head: request::Parts,
    body: Incoming,
    client: &Rc<Client>,
    retries: &Retries,
) -> (Request<RequestBody>, Option<Box<Kept>>) {
    let limit = retries.replay_buffer.number();
    if !head.method.is_idempotent() || limit == 0 || retries.attempts.number() == 0 {
        let body = RequestBody::Once(body, Rc::clone(client));
        return (Request::from_parts(head, body), None);
    }
    // At most 16 MiB.
    let upload = Upload::new(body, client, limit as usize);
    let kept = Kept {
        head: head.clone(),
        upload: Rc::clone(&upload),
    };
    let request = Request::from_parts(head, upload.again());
    (request, Some(Box::new(kept)))
}

/// Makes a server's answer one that the client gets.
fn answer<B>(response: &mut Response<B>, debug: Option<[(&HeaderName, HeaderValue); 3]>) {
    *response.version_mut() = Version::HTTP_11;
    let headers = response.headers_mut();
    headers::prepare_response(headers);
    for (name, value) in debug.into_iter().flatten() {
        headers.insert(name, value);
    }
}
