//! One request: its key, its server, its attempts, its answer.

use std::convert::Infallible;
use std::rc::Rc;

use http::header::HOST;
use http::{HeaderName, HeaderValue, Method, Request, Response, Version};
use hyper::body::{Body, Incoming};

use super::body::{RequestBody, ResponseBody};
use super::conn::Client;
use super::error::ProxyError;
use super::explanation::Explanation;
use super::headers;
use super::rate_limit;
use super::upgrade;
use super::upstream::{AttemptWaits, Connection, Exchange};
use super::worker::WorkerFleet;
use crate::engine::{NoServer, Outcome, Position};
use crate::native::clock;
use crate::native::telemetry::access_log::Entry;

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
        .map(|_| Box::new(Entry::new(&client.ip, &request, clock::now())));
    let mut response = match forward(&client, request, entry.as_deref_mut()).await {
        Ok(response) => response,
        Err(error) => error
            .into_response()
            .map(|text| ResponseBody::of_proxy(text, Rc::clone(&client))),
    };
    if let Some(mut entry) = entry {
        entry.answered(response.status(), clock::now());
        response.body_mut().log(entry);
    }
    client.answer_began();
    Ok(response)
}

async fn forward(
    client: &Rc<Client>,
    request: Request<Incoming>,
    mut entry: Option<&mut Entry>,
) -> Result<Response<ResponseBody>, ProxyError> {
    let worker = &*client.worker;
    let (mut head, body) = request.into_parts();
    // One fleet for the whole request: its table says where the key stands.
    let fleet = worker.fleet();
    let rules = fleet.rules();
    client.follow(rules);
    let told = rate_limit::admit(client, &fleet, &head)?;
    let (key, spread) = client.counted_key(&fleet, &head);
    let debug = rules.config.routing.debug_header;
    let mut explanation = debug.then(|| Explanation::new(client, &fleet, &head, key));
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
    let method = head.method.clone();
    let has_body = !body.is_end_stream();
    let waits = AttemptWaits {
        connect: rules.waits.connect,
        answer: if has_body {
            rules.waits.stream_idle
        } else {
            rules.waits.response_header
        },
    };
    let mut request = Some(Request::from_parts(head, RequestBody::new(body, client)));
    let mut tried = Vec::new();
    let mut connection = Connection::KeptOrNew;
    let mut failed = None;
    loop {
        let (index, server, in_flight) = match fleet.enter(key, spread, &tried, worker.bounded()) {
            Ok(route) => route,
            // What went wrong at the last server says more than that there is
            // no other.
            Err(why) => return Err(failed.unwrap_or_else(|| no_server(client, why))),
        };
        if let (false, Some(request)) = (has_host, &mut request) {
            request.headers_mut().insert(HOST, server.authority.clone());
        }
        client.asks_server(has_body);
        let sent = clock::now();
        let result = server
            .pool
            .exchange(&mut request, connection, client, waits)
            .await;
        let took = clock::now().since(sent);
        let failure = match result {
            Ok(mut response) => {
                let outcome = Outcome::Status(response.status().as_u16());
                server.record(outcome, took);
                worker.shared.report(&server.runtime, outcome);
                let n_attempts = tried.len() + 1;
                if let Some(entry) = entry {
                    entry.server = Some(server.runtime.server.name.clone());
                    entry.n_attempts = n_attempts;
                }
                let fields = explanation.take().map(|explanation| {
                    let value = explanation.value(&fleet, index, &tried);
                    [
                        (&X_RINGWAY_SERVER, server.name.clone()),
                        (&X_RINGWAY_ATTEMPTS, n_attempts.into()),
                        (&X_RINGWAY_EXPLAIN, value),
                    ]
                });
                let switched = upgrade::switched(&mut response, upgrade.as_ref())?;
                let mut response = answer(response, fields);
                rate_limit::tell(&told, response.headers_mut());
                return Ok(match switched {
                    None => response
                        .map(|body| ResponseBody::of_server(body, in_flight, Rc::clone(client))),
                    Some(switched) => switched.answer(response, in_flight, client),
                });
            }
            Err(failure) => failure,
        };
        if let Some(outcome) = failure.outcome() {
            server.record(outcome, took);
            worker.shared.report(&server.runtime, outcome);
        }
        if !failure.may_try_again(&method) {
            return Err(failure.error());
        }
        if request.is_none() && !has_body {
            request = again(client, &fleet, &method, key, n_fields, upgrade.as_ref());
        }
        if request.is_none() {
            return Err(failure.error());
        }
        if failure.keeps_server() {
            connection = Connection::New;
            continue;
        }
        connection = Connection::KeptOrNew;
        failed = Some(failure.error());
        tried.push(index);
        if tried.len() as u64 > rules.config.retries.attempts.number() {
            return Err(failure.error());
        }
    }
}

/// Makes the request in hand anew, from the bytes it came as: what was sent is
/// gone, and copies beforehand would cost every request.
#[cold]
fn again(
    client: &Client,
    fleet: &WorkerFleet,
    method: &Method,
    key: Option<Position>,
    n_fields: usize,
    upgrade: Option<&HeaderValue>,
) -> Option<Request<RequestBody>> {
    let (mut head, ()) = client.head_bytes.parse()?.into_parts();
    let key_now = client.key(fleet, &head);
    if head.method != *method || key_now != key || head.headers.len() != n_fields {
        // The bytes of another request: this one's are not all there.
        return None;
    }
    let new_id = || client.worker.request_ids.next();
    headers::prepare_request(&mut head, &client.fields, new_id, || false).ok()?;
    head.version = Version::HTTP_11;
    upgrade::ask(upgrade, &mut head.headers);
    Some(Request::from_parts(head, RequestBody::empty()))
}

/// Makes a server's answer one that the client gets.
fn answer<B>(
    mut response: Response<B>,
    debug: Option<[(&HeaderName, HeaderValue); 3]>,
) -> Response<B> {
    *response.version_mut() = Version::HTTP_11;
    let headers = response.headers_mut();
    headers::prepare_response(headers);
    for (name, value) in debug.into_iter().flatten() {
        headers.insert(name, value);
    }
    response
}

#[cold]
fn no_server(client: &Client, why: NoServer) -> ProxyError {
    client
        .worker
        .unrouted()
        .record(Outcome::NoAnswer, core::time::Duration::ZERO);
    ProxyError::NoServer(why)
}
