//! HTTP/2 to one server (RFC 9113): requests side by side over few connections.
//!
//! It is spoken without hyper: with hyper's `http2`, every body of the proxy would
//! have room for one that came over HTTP/2, and be moved about with it.

mod connections;
mod head;
mod upload;

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, RecvStream};
use http::header::{CONTENT_LENGTH, UPGRADE};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::{Body as _, Frame, SizeHint};

use super::connect::Connector;
use super::{AttemptWaits, BodyError, Connection, Exchange};
use crate::config;
use crate::engine::Timestamp;
use crate::native::proxy::grpc;
use crate::native::proxy::in_hand::InHand;
use crate::native::proxy::retry::Failure;
use crate::native::proxy::timer::Timers;
use crate::native::proxy::upload::RequestBody;
use connections::{Connections, Place};
use upload::{Sending, Sent};

/// One server that speaks HTTP/2.
pub(super) struct Http2 {
    connections: Rc<Connections>,
}

impl Http2 {
    /// Over the connections that `connector` makes.
    pub(super) fn new(connector: Connector, limits: &config::Pool, timers: &Rc<Timers>) -> Self {
        Self {
            connections: Connections::new(connector, limits, timers),
        }
    }

    /// Goes by other limits from now on.
    pub(super) fn set_limits(&self, limits: &config::Pool) {
        self.connections.set_limits(limits);
    }

    /// Closes connections that need not be kept any longer, and asks the others
    /// whether they are still there.
    pub(super) fn sweep(&self, now: Timestamp) {
        self.connections.sweep(now);
    }

    /// What became of a request that `error` has ended before its answer began.
    fn failure(&self, error: &h2::Error, connection: Connection, place: &Place) -> Failure {
        if error.is_reset() && error.is_remote() {
            self.connections.stream_reset();
        }
        if place.was_refused() {
            return Failure::Connect;
        }
        // The peer says itself that it has done nothing of it: with a stream that
        // it takes none, with a connection that the stream came after its last.
        let is_refused = match error.reason() {
            Some(Reason::REFUSED_STREAM) => error.is_reset(),
            _ => error.is_go_away(),
        };
        match (error.is_remote() && is_refused, connection) {
            (true, Connection::KeptOrNew) => Failure::Unsent,
            (true, Connection::New) => Failure::Refused,
            // The server has said what it thinks of this request.
            _ if error.is_reset() => Failure::Broken,
            _ if place.was_used() && connection == Connection::KeptOrNew => Failure::Stale,
            _ => Failure::Broken,
        }
    }
}

impl Exchange for Http2 {
    async fn exchange(
        &self,
        request: &mut Option<Request<RequestBody>>,
        answer: &mut Option<Response<super::Body>>,
        connection: Connection,
        in_hand: &InHand,
        waits: AttemptWaits,
    ) -> Result<StatusCode, Failure> {
        let asks_upgrade = |request: &Request<_>| request.headers().contains_key(UPGRADE);
        if request.as_ref().is_some_and(asks_upgrade) {
            return Err(Failure::NoUpgrade);
        }
        in_hand.timer.set(waits.connect);
        let place = match in_hand
            .timer
            .limit(self.connections.place(waits.connect))
            .await
        {
            Some(place) => place?,
            None if self.connections.is_connecting() => return Err(Failure::ConnectTimeout),
            None => return Err(Failure::Full),
        };
        in_hand.timer.set(waits.answer);
        let Some(request_now) = request.take() else {
            return Err(Failure::Broken);
        };
        let (head, body) = request_now.into_parts();
        let is_whole = body.is_end_stream();
        let head = head::request(head, place.is_encrypted()).ok_or(Failure::Broken)?;
        let (response, stream) = match place.send(head, is_whole) {
            Ok(streams) => streams,
            // Nothing was sent.
            Err(_) if connection == Connection::KeptOrNew => return Err(Failure::Unsent),
            Err(_) => return Err(Failure::Refused),
        };
        let sending = (!is_whole).then(|| Sending::begin(body, stream));
        match in_hand.timer.limit(response).await {
            Some(Ok(response)) => {
                let (head, stream) = response.into_parts();
                // Where there is no body, gRPC says in the head how it went.
                let status = grpc::status(&head.headers).unwrap_or(head.status);
                let body = Body::new(stream, &head.headers, place, sending);
                *answer = Some(Response::from_parts(
                    head,
                    super::Body::Http2(Box::new(body)),
                ));
                Ok(status)
            }
            Some(Err(error)) => Err(match sending.map(|sending| sending.state()) {
                Some(Sent::Bad) => Failure::BadBody,
                _ => self.failure(&error, connection, &place),
            }),
            None if in_hand.is_awaited() => Err(Failure::BodyTimeout),
            None => Err(Failure::AnswerTimeout),
        }
    }
}

/// The body of an answer; with its end, there is room for another request.
pub(in crate::native::proxy) struct Body {
    stream: RecvStream,
    /// How much is still to come, where that is known.
    n_left: Option<u64>,
    has_data: bool,
    is_over: bool,
    /// What the request still has to send; given up when the answer is over.
    sending: Option<Sending>,
    place: Option<Place>,
}

impl Body {
    fn new(
        stream: RecvStream,
        headers: &HeaderMap,
        place: Place,
        sending: Option<Sending>,
    ) -> Self {
        let length = headers.get(CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
        let is_over = stream.is_end_stream();
        let mut body = Self {
            n_left: if is_over { Some(0) } else { length },
            stream,
            has_data: true,
            is_over,
            sending,
            place: Some(place),
        };
        if is_over {
            body.end();
        }
        body
    }

    fn end(&mut self) {
        self.is_over = true;
        self.n_left = Some(0);
        self.sending = None;
        self.place = None;
    }

    fn broke_off(&mut self, error: h2::Error) -> BodyError {
        if let Some(place) = &self.place
            && error.is_reset()
            && error.is_remote()
        {
            place.stream_reset();
        }
        self.end();
        error.into()
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if this.is_over {
            return Poll::Ready(None);
        }
        if this.has_data {
            match ready!(this.stream.poll_data(cx)) {
                Some(Ok(data)) => {
                    // Whoever asks for a piece has room for it, and so for as much
                    // again: one that does not ask holds the server back.
                    let _ = this.stream.flow_control().release_capacity(data.len());
                    let n_left = this.n_left.map(|n| n.saturating_sub(data.len() as u64));
                    this.n_left = n_left;
                    if this.stream.is_end_stream() {
                        this.end();
                    }
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(this.broke_off(error)))),
                None => this.has_data = false,
            }
        }
        let trailers = ready!(this.stream.poll_trailers(cx));
        Poll::Ready(match trailers {
            Ok(Some(mut trailers)) => {
                this.end();
                head::trailers(&mut trailers);
                Some(Ok(Frame::trailers(trailers)))
            }
            Ok(None) => {
                this.end();
                None
            }
            Err(error) => Some(Err(this.broke_off(error))),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.is_over
    }

    fn size_hint(&self) -> SizeHint {
        self.n_left.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}
