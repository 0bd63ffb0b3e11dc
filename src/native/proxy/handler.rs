//! One request: from its key over what its attempts came to, to its answer.

use std::convert::Infallible;
use std::mem;
use std::rc::Rc;

use http::{HeaderName, HeaderValue, Request, Response, Version, request};

use super::attempts::{Attempts, Kept, Sent};
use super::body::ResponseBody;
use super::error::ProxyError;
use super::explanation::Explanation;
use super::headers::{self, HeadRules};
use super::in_hand::InHand;
use super::rate_limit;
use super::trace::Trace;
use super::upgrade;
use super::upload::{ClientBody, RequestBody, Upload};
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
#[expect(
    clippy::manual_async_fn,
    reason = "an `async fn` would move the request, a large thing, once more before it does anything"
)]
pub(super) fn handle(
    in_hand: Rc<InHand>,
    head: request::Parts,
    body: ClientBody,
) -> impl Future<Output = Result<Response<ResponseBody>, Infallible>> {
    async move {
        let (mut entry, mut trace) = (None, None);
        let forwarded = forward(&in_hand, head, body, &mut entry, &mut trace);
        let mut response = match forwarded.await {
            Ok(response) => response,
            Err(error) => error
                .into_response()
                .map(|text| ResponseBody::of_proxy(text, Rc::clone(&in_hand))),
        };
        if let Some(mut entry) = entry {
            entry.answered(response.status(), clock::now());
            response.body_mut().log(entry);
        }
        if let Some(trace) = trace {
            trace.answered(response.status());
            response.body_mut().end(trace);
        }
        in_hand.answer_began();
        Ok(response)
    }
}

#[expect(
    clippy::manual_async_fn,
    reason = "an `async fn` would move what it is given once more: see `handle`"
)]
fn forward<'a>(
    in_hand: &'a Rc<InHand>,
    mut head: request::Parts,
    body: ClientBody,
    entry: &'a mut Option<Box<Entry>>,
    trace: &'a mut Option<Rc<Trace>>,
) -> impl Future<Output = Result<Response<ResponseBody>, ProxyError>> {
    async move {
        let client = &*in_hand.client;
        let worker = &*client.worker;
        // One fleet for the whole request: its table says where the key stands.
        let fleet = worker.fleet();
        let rules = fleet.rules();
        in_hand.follow(rules);
        let asker = client.asker(rules, &head.headers);
        let log = worker.access_log.as_ref();
        if let Some(format) = log.and_then(AccessLog::format) {
            let (ip, proxy) = (&asker.ip, asker.proxy());
            *entry = Some(Box::new(Entry::new(ip, proxy, &head, clock::now(), format)));
        }
        if rules.config.tracing.otlp.is_some() {
            *trace = Trace::begin(&client.worker, &asker, &head, &rules.config.tracing);
        }
        let told = rate_limit::admit(&asker, &fleet, &head)?;
        let issued = fleet.to_issue(asker.key_parts(&head, None));
        let parts = asker.key_parts(&head, issued.as_deref());
        let (key, spread) = client.counted_key(&fleet, parts);
        let debug = rules.config.routing.debug_header;
        let explanation = debug.then(|| Explanation::new(&fleet, parts, key));
        let n_fields = head.headers.len();
        let upgrade = rules.upgrades.asked(&mut head);
        let has_host = headers::prepare_request(
            &mut head,
            &asker,
            &rules.heads,
            || worker.request_ids.next(),
            || in_hand.head_bytes.is_framed_twice(),
        )?;
        if let Some(entry) = entry {
            entry.request_id = head.headers.get(&headers::X_REQUEST_ID).cloned();
        }
        client.certificate.tell(&mut head.headers);
        let came_as_bytes = head.version < Version::HTTP_2;
        head.version = Version::HTTP_11;
        upgrade::ask(upgrade.as_ref(), &mut head.headers);
        let has_body = !body.is_end_stream();
        let retries = &rules.config.retries;
        let (body, kept) = if has_body {
            sendable(&head, body, in_hand, retries, fleet.has_http2())
        } else if came_as_bytes {
            (RequestBody::Empty, None)
        } else {
            (RequestBody::Empty, kept(&head, retries, fleet.has_http2()))
        };
        let sent = Sent {
            asker,
            issued,
            method: head.method.clone(),
            key,
            spread,
            n_fields,
            has_host,
            has_body,
            kept,
            upgrade,
            trace: trace.clone(),
        };
        let mut request = Some(Request::from_parts(head, body));
        let mut response = None;
        let mut attempts = Attempts::new(in_hand, fleet, sent);
        let answered = attempts.run(&mut request, &mut response).await?;
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
        let switched = match &mut response {
            Some(response) => {
                let switched = upgrade::switched(response, attempts.upgrade())?;
                let rules = answered.fleet.rules();
                answer(response, &rules.heads, fields);
                let issue = rules.hash_key.issue();
                if let (Some(value), Some(issue)) = (attempts.issued(), issue) {
                    issue.give(value, attempts.is_over_tls(), response.headers_mut());
                }
                rate_limit::tell(&told, response.headers_mut());
                switched
            }
            None => None,
        };
        // It is there: the attempts have come to it.
        let response = response.ok_or(ProxyError::Broken)?;
        let (ahead, in_flight) = (answered.ahead, answered.in_flight);
        Ok(match switched {
            None => response
                .map(|rest| ResponseBody::of_server(ahead, rest, in_flight, Rc::clone(in_hand))),
            Some(switched) => switched.answer(response, in_flight, in_hand),
        })
    }
}

/// A body that there is, and what its request can be made of again if it may be
/// sent again once a server has seen it, or, where `may_be_refused`, once a server
/// has said that it has done nothing of it.
fn sendable(
    head: &request::Parts,
    body: ClientBody,
    in_hand: &Rc<InHand>,
    retries: &Retries,
    may_be_refused: bool,
) -> (RequestBody, Option<Box<Kept>>) {
    let limit = retries.replay_buffer.number();
    let may_try_again = head.method.is_idempotent() && retries.attempts.number() > 0;
    if limit == 0 || !(may_try_again || may_be_refused) {
        return (RequestBody::once(body, in_hand), None);
    }
    // At most 16 MiB.
    let upload = Upload::new(body, in_hand, limit as usize);
    let kept = Kept {
        head: head.clone(),
        upload: Some(Rc::clone(&upload)),
    };
    (upload.again(), Some(Box::new(kept)))
}

/// What a request without a body can be made of again, if it may be sent again and
/// there are no bytes that it came as.
fn kept(head: &request::Parts, retries: &Retries, may_be_refused: bool) -> Option<Box<Kept>> {
    let may_try_again = head.method.is_idempotent() && retries.attempts.number() > 0;
    (may_try_again || may_be_refused).then(|| {
        Box::new(Kept {
            head: head.clone(),
            upload: None,
        })
    })
}

/// Makes a server's answer one that the client gets.
fn answer<B>(
    response: &mut Response<B>,
    rules: &HeadRules,
    debug: Option<[(&HeaderName, HeaderValue); 3]>,
) {
    let version = mem::replace(response.version_mut(), Version::HTTP_11);
    let headers = response.headers_mut();
    headers::prepare_response(headers, version, rules);
    if let Some(fields) = debug {
        for (name, value) in fields {
            headers.insert(name, value);
        }
    }
}
