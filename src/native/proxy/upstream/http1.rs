//! HTTP/1.1 to one server, over hyper: one request at a time on a connection.

use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;

use super::connect::Connector;
use super::gate::Gate;
use super::pool::{Kept, Lease, Pool};
use super::{AttemptWaits, BodyError, Connection, Exchange};
use crate::native::proxy::in_hand::InHand;
use crate::native::proxy::retry::Failure;
use crate::native::proxy::upload::RequestBody;

/// One server that speaks HTTP/1.1.
pub(super) struct Http1 {
    connector: Connector,
    pool: Rc<Pool<Sender>>,
}

/// A connection, as what requests go into.
pub(super) struct Sender {
    requests: SendRequest<RequestBody>,
    gate: Arc<Gate>,
}

impl Kept for Sender {
    fn is_closed(&mut self) -> bool {
        self.requests.is_closed()
    }

    fn is_ready(&mut self) -> bool {
        self.requests.is_ready()
    }
}

/// The body of an answer; with its end, the connection is free again.
pub(in crate::native::proxy) struct Body {
    incoming: Incoming,
    lease: Option<Lease<Sender>>,
}

impl Http1 {
    /// Over the connections that `connector` makes and `pool` keeps.
    pub(super) fn new(connector: Connector, pool: Rc<Pool<Sender>>) -> Self {
        Self { connector, pool }
    }

    /// Its connections.
    pub(super) fn pool(&self) -> &Pool<Sender> {
        &self.pool
    }

    async fn connect(&self) -> io::Result<Lease<Sender>> {
        let stream = self.connector.connect().await?;
        let (requests, connection) = http1::Builder::new()
            // Most requests have a short body or none: joining it to the head
            // is cheaper than handing over a list of pieces.
            .writev(false)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        // It ends when the sender is dropped, when it becomes a tunnel, or with
        // an error that the request on it is told of too.
        let gate = Arc::<Gate>::default();
        let run = Arc::clone(&gate).run(connection.with_upgrades());
        tokio::task::spawn_local(async move { drop(run.await) });
        Ok(self.pool.add(Sender { requests, gate }))
    }
}

impl Exchange for Http1 {
    async fn exchange(
        &self,
        request: &mut Option<Request<RequestBody>>,
        answer: &mut Option<Response<super::Body>>,
        connection: Connection,
        in_hand: &InHand,
        waits: AttemptWaits,
    ) -> Result<StatusCode, Failure> {
        let kept = match connection {
            Connection::KeptOrNew => self.pool.take(),
            Connection::New => None,
        };
        let was_kept = kept.is_some();
        let mut lease = match kept {
            Some(lease) => lease,
            None => {
                in_hand.timer.set(waits.connect);
                match in_hand.timer.limit(self.connect()).await {
                    Some(Ok(lease)) => lease,
                    Some(Err(_)) => return Err(Failure::Connect),
                    None => return Err(Failure::ConnectTimeout),
                }
            }
        };
        in_hand.timer.set(waits.answer);
        let Some(request_now) = request.take() else {
            return Err(Failure::Broken);
        };
        // Pinned where it is made: it has room for a request.
        let sending = pin!(lease.connection.requests.try_send_request(request_now));
        let mut error = match in_hand.timer.limit(sending).await {
            Some(Ok(response)) => {
                let status = response.status();
                // A connection that changes over is none for requests any more.
                let is_http = status != StatusCode::SWITCHING_PROTOCOLS;
                let lease = is_http.then_some(lease);
                let body = |incoming| super::Body::Http1(Body::new(incoming, lease));
                *answer = Some(response.map(body));
                return Ok(status);
            }
            Some(Err(error)) => error,
            None if in_hand.is_awaited() => return Err(Failure::BodyTimeout),
            None => return Err(Failure::AnswerTimeout),
        };
        *request = error.take_message();
        let error = error.into_error();
        if !was_kept && self.connector.is_encrypted() && self.connector.was_refused(&error) {
            return Err(Failure::Connect);
        }
        Err(match (was_kept, request.is_some()) {
            _ if error.is_user() => Failure::BadBody,
            (true, true) => Failure::Unsent,
            (true, false) if !error.is_parse() => Failure::Stale,
            _ => Failure::Broken,
        })
    }
}

impl Body {
    fn new(incoming: Incoming, lease: Option<Lease<Sender>>) -> Self {
        let mut body = Self { incoming, lease };
        body.release_at_end();
        body
    }

    fn release_at_end(&mut self) {
        if self.incoming.is_end_stream() {
            self.release();
        }
    }

    fn release(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
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
        let gate = this.lease.as_ref().map(|lease| &lease.connection.gate);
        if let Some(gate) = gate {
            gate.shut();
        }
        let frame = Pin::new(&mut this.incoming).poll_frame(cx);
        if let Some(gate) = gate {
            // The connection knew that this was the last piece when it gave it.
            gate.open(this.incoming.is_end_stream());
        }
        match &frame {
            Poll::Ready(None) => this.release(),
            Poll::Ready(Some(Ok(_))) => this.release_at_end(),
            Poll::Ready(Some(Err(_))) => this.lease = None,
            Poll::Pending => {}
        }
        frame.map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
