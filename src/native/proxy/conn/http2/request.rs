//! One request over HTTP/2: made one that may be forwarded over any version,
//! handled, and answered.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::header::{CONTENT_LENGTH, COOKIE, EXPECT, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, request};

use super::{Counted, answer};
use crate::native::proxy::handler;
use crate::native::proxy::in_hand::InHand;
use crate::native::proxy::upload::ClientBody;

/// Handles `request` and answers it by `respond`, until the client has the answer
/// or gives the request up.
pub(super) async fn serve(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    counted: Counted,
) {
    let client = Rc::clone(&counted.0.client);
    let (mut head, body) = request.into_parts();
    let n_fields_max = client.worker.fleet().rules().config.limits.headers.number();
    if head.headers.len() as u64 > n_fields_max {
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        // It may have left.
        let _ = respond.send_response(response, true);
        return;
    }
    prepare(&mut head, &body);
    let is_head = head.method == Method::HEAD;
    let mut is_to_continue = expects_continue(&head.headers) && !body.is_end_stream();
    let in_hand = Rc::new(InHand::of_one(client));
    let handling = handler::handle(
        Rc::clone(&in_hand),
        head,
        ClientBody::http2(body, is_to_continue),
    );
    let mut handling = pin!(handling);
    let response = poll_fn(|cx| {
        in_hand.timer.watch(cx);
        if let Poll::Ready(Ok(response)) = handling.as_mut().poll(cx) {
            return Poll::Ready(Some(response));
        }
        if is_to_continue && in_hand.is_awaited() {
            is_to_continue = false;
            let mut response = Response::new(());
            *response.status_mut() = StatusCode::CONTINUE;
            // What became of the stream is found out below.
            let _ = respond.send_informational(response);
        }
        respond.poll_reset(cx).map(|_| None)
    })
    .await;
    match response {
        Some(response) => answer::send(response, respond, &in_hand, is_head).await,
        None => counted.given_up(),
    }
}

/// Writes `head` as HTTP/1.1 would have it (RFC 9113, section 8.2.3; RFC 9112,
/// section 6.1).
fn prepare(head: &mut request::Parts, body: &RecvStream) {
    let headers = &mut head.headers;
    join_cookies(headers);
    if !body.is_end_stream() && !headers.contains_key(CONTENT_LENGTH) {
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
}

/// Makes one field of the crumbs into which clients part their cookies.
fn join_cookies(headers: &mut HeaderMap) {
    let mut crumbs = headers.get_all(COOKIE).iter();
    let (Some(first), Some(second)) = (crumbs.next(), crumbs.next()) else {
        return;
    };
    let mut whole = first.as_bytes().to_vec();
    for crumb in std::iter::once(second).chain(crumbs) {
        whole.extend_from_slice(b"; ");
        whole.extend_from_slice(crumb.as_bytes());
    }
    // Of bytes that fields have.
    if let Ok(whole) = HeaderValue::from_bytes(&whole) {
        headers.insert(COOKIE, whole);
    }
}

fn expects_continue(headers: &HeaderMap) -> bool {
    let expected = headers.get(EXPECT);
    expected.is_some_and(|expected| expected.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}
