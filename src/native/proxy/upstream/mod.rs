//! The leg to the servers.
//!
//! One type, [`Upstream`], is all that the rest of the proxy knows of it: a
//! request goes in and an answer comes out. Behind it three things are kept
//! apart: how a connection is made (`connect`), which are kept for the next
//! request (`pool`), and what is spoken over them, which each implementation of
//! [`Exchange`] knows for one protocol:
//!
//! - `http1`, with `gate`: HTTP/1.1 over hyper;
//! - `http2`: HTTP/2, whose connections are shared and so no matter of `pool`.
//!
//! Where a server is told for whom each connection is (`for_each`), all of this
//! is there once for each client.

mod connect;
mod for_each;
mod gate;
mod http1;
mod http2;
mod pool;

use std::error::Error;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Frame, SizeHint};

use super::asker::Asker;
use super::in_hand::InHand;
use super::retry::Failure;
use super::timer::{Timers, Wait};
use super::upload::RequestBody;
use crate::config;
use crate::engine::{Server, ServerProtocol, Timestamp};
use crate::native::server_tls::ServerTls;
use crate::native::shared::ServerRuntime;
use connect::Connector;
use for_each::ForEach;
use pool::Pool;

pub(super) use connect::Stream;

/// Why an answer's body broke off.
pub(super) type BodyError = Box<dyn Error + Send + Sync>;

/// How long an attempt may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct AttemptWaits {
    /// Until there is a connection.
    pub(super) connect: Wait,
    /// From then on until there is an answer; a body on its way to the server
    /// moves this on.
    pub(super) answer: Wait,
}

/// Which connections an attempt may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Connection {
    /// A kept one if there is one, else a new one.
    KeptOrNew,
    /// A new one.
    New,
}

/// Speaks one protocol to one server.
trait Exchange {
    /// Sends `request` and waits for the head of the answer to it, which it puts
    /// into `answer`, and whose status it returns: answers are large, and each
    /// step that one is returned through moves it. Dropping the future gives the
    /// attempt up. Deadlines are kept on the timer of what is `in_hand`.
    ///
    /// # Errors
    /// When there is no answer. A request of which nothing was sent is back in
    /// its place.
    async fn exchange(
        &self,
        request: &mut Option<Request<RequestBody>>,
        answer: &mut Option<Response<Body>>,
        connection: Connection,
        in_hand: &InHand,
        waits: AttemptWaits,
    ) -> Result<StatusCode, Failure>;
}

/// One server, as this thread speaks to it.
pub(super) struct Upstream(Connections);

/// For whom its connections are.
enum Connections {
    /// For anybody.
    ForAll(Speaks),
    /// Each for one client, as it is told.
    ForEach(ForEach),
}

/// What is spoken to a server.
enum Speaks {
    Http1(http1::Http1),
    Http2(http2::Http2),
}

impl Upstream {
    /// No connections yet.
    pub(super) fn new(
        server: &Server,
        runtime: &Arc<ServerRuntime>,
        tls: Option<Arc<ServerTls>>,
        limits: &config::Pool,
        timers: &Rc<Timers>,
    ) -> Self {
        let link = server.link.as_ref();
        let version = link.and_then(|link| link.proxy_protocol);
        Self(match version {
            None => {
                let speaks = Speaks::new(server, None, runtime, tls, limits, timers);
                Connections::ForAll(speaks)
            }
            Some(version) => {
                let each = ForEach::new(server, version, runtime, tls, limits, timers);
                Connections::ForEach(each)
            }
        })
    }

    /// Keeps connections by other limits from now on.
    pub(super) fn set_limits(&self, limits: &config::Pool) {
        match &self.0 {
            Connections::ForAll(speaks) => speaks.set_limits(limits),
            Connections::ForEach(each) => each.set_limits(limits),
        }
    }

    /// Closes connections that need not be kept any longer.
    pub(super) fn sweep(&self, now: Timestamp) {
        match &self.0 {
            Connections::ForAll(speaks) => speaks.sweep(now),
            Connections::ForEach(each) => each.sweep(now),
        }
    }

    /// As [`Exchange::exchange`], whatever is spoken, for `asker`.
    ///
    /// # Errors
    /// When there is no answer.
    pub(super) async fn exchange(
        &self,
        request: &mut Option<Request<RequestBody>>,
        answer: &mut Option<Response<Body>>,
        connection: Connection,
        in_hand: &InHand,
        asker: &Asker,
        waits: AttemptWaits,
    ) -> Result<StatusCode, Failure> {
        match &self.0 {
            Connections::ForAll(speaks) => {
                // Pinned where it is made: it is large.
                let exchange = speaks.exchange(request, answer, connection, in_hand, waits);
                pin!(exchange).await
            }
            // Apart, so that others do not have room for it.
            Connections::ForEach(each) => {
                let speaks = each.of(asker);
                Box::pin(speaks.exchange(request, answer, connection, in_hand, waits)).await
            }
        }
    }
}

impl Speaks {
    /// No connections yet; each will begin with `header`, if there is one.
    fn new(
        server: &Server,
        header: Option<Vec<u8>>,
        runtime: &Arc<ServerRuntime>,
        tls: Option<Arc<ServerTls>>,
        limits: &config::Pool,
        timers: &Rc<Timers>,
    ) -> Self {
        let connector = Connector::new(server, header, runtime, tls);
        let protocol = server.link.as_ref().map(|link| link.protocol);
        match protocol.unwrap_or_default() {
            ServerProtocol::Http1 => {
                Self::Http1(http1::Http1::new(connector, Pool::new(limits, timers)))
            }
            ServerProtocol::Http2 => Self::Http2(http2::Http2::new(connector, limits, timers)),
        }
    }

    fn set_limits(&self, limits: &config::Pool) {
        match self {
            Self::Http1(http1) => http1.pool().set_limits(limits),
            Self::Http2(http2) => http2.set_limits(limits),
        }
    }

    fn sweep(&self, now: Timestamp) {
        match self {
            Self::Http1(http1) => http1.pool().sweep(now),
            Self::Http2(http2) => http2.sweep(now),
        }
    }

    async fn exchange(
        &self,
        request: &mut Option<Request<RequestBody>>,
        answer: &mut Option<Response<Body>>,
        connection: Connection,
        in_hand: &InHand,
        waits: AttemptWaits,
    ) -> Result<StatusCode, Failure> {
        // Pinned where they are made: they are large.
        match self {
            Self::Http1(http1) => {
                let exchange = http1.exchange(request, answer, connection, in_hand, waits);
                pin!(exchange).await
            }
            // Apart, so that others do not have room for it.
            Self::Http2(http2) => {
                let exchange = http2.exchange(request, answer, connection, in_hand, waits);
                Box::pin(exchange).await
            }
        }
    }
}

/// The body of a server's answer. Dropping it early gives up the rest.
pub(super) enum Body {
    /// One over HTTP/1.1.
    Http1(http1::Body),
    /// One over HTTP/2.
    Http2(Box<http2::Body>),
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Http1(body) => Pin::new(body).poll_frame(cx),
            Self::Http2(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Http1(body) => body.is_end_stream(),
            Self::Http2(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1(body) => body.size_hint(),
            Self::Http2(body) => body.size_hint(),
        }
    }
}
