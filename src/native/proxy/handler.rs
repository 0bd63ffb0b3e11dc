//! One request: from its key over what its attempts came to, to its answer.

use std::convert::Infallible;
use std::rc::Rc;

use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Version};
use hyper::body::{Body, Incoming};

use super::attempts::{Attempts, Sent};
use super::body::{RequestBody, ResponseBody};
use super::conn::Client;
use super::error::ProxyError;
use super::explanation::Explanation;
use super::headers;
use super::rate_limit;
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
    let explanation = debug.then(|| Explanation::new(client, &fleet, &head, key));
    let n_fields = head.headers.len();
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
    let sent = Sent {
        method: head.method.clone(),
        key,
        spread,
        n_fields,
        has_host,
        has_body: !body.is_end_stream(),
    };
    let request = Request::from_parts(head, RequestBody::new(body, client));
    let answered = Attempts::new(client, fleet, sent).run(request).await?;
    let n_attempts = answered.tried.len() + 1;
    let server = answered.fleet.server(answered.index);
    if let Some(entry) = entry {
        entry.server = Some(server.runtime.server.name.clone());
        entry.n_attempts = n_attempts;
    }
    let fields = explanation.map(|explanation| {
        let value = explanation.value(&answered.fleet, answered.index, &answered.tried);
        [
            (&X_RINGWAY_SERVER, server.name.clone()),
            (&X_RINGWAY_ATTEMPTS, n_attempts.into()),
            (&X_RINGWAY_EXPLAIN, value),
        ]
    });
    let mut response = answer(answered.response, fields)?;
    rate_limit::tell(&told, response.headers_mut());
    let in_flight = answered.in_flight;
    Ok(response.map(|body| ResponseBody::of_server(body, in_flight, Rc::clone(client))))
}

/// Makes a server's answer one that the client gets.
fn answer<B>(
    mut response: Response<B>,
    debug: Option<[(&HeaderName, HeaderValue); 3]>,
) -> Result<Response<B>, ProxyError> {
    // Nothing was asked to be upgraded, so this is no answer to it.
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(ProxyError::BadAnswer);
    }
    *response.version_mut() = Version::HTTP_11;
    let headers = response.headers_mut();
    headers::prepare_response(headers);
    for (name, value) in debug.into_iter().flatten() {
        headers.insert(name, value);
    }
    Ok(response)
}
