//! The leg to the servers.
//!
//! One type, [`Upstream`], is all that the rest of the proxy knows of it: a
//! request goes in and an answer comes out. Behind it three things are kept
//! apart: how a connection is made (`connect`), which are kept for the next
//! request (`pool`), and what is spoken over them, which each implementation of
//! [`Exchange`] knows for one protocol:
//!
//! - `own`, with `codec`: HTTP/1.1, read and written by ourselves;
//! - `http1`, with `gate`: HTTP/1.1 over hyper, which stands in for it, and which
//!   it is held against.
//! - `http2`: HTTP/2, whose connections are shared and so no matter of `pool`.
//!
//! Where a server is told for whom each connection is (`for_each`), all of this
//! is there once for each client.

mod codec;
mod connect;
mod for_each;
mod gate;
mod http1;
mod http2;
mod own;
mod pool;

use std::error::Error;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response, StatusCode, response};
use http_body::{Frame, SizeHint};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use super::asker::Asker;
use super::in_hand::InHand;
use super::retry::Failure;
use super::timer::{Timers, Wait};
use super::upload::RequestBody;
use crate::config::{self, Config, Http1Codec};
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
    /// HTTP/1.1 by hyper's client.
    Http1(http1::Http1),
    /// HTTP/1.1 by the codec of our own.
    Own(own::Own),
    /// HTTP/2.
    Http2(http2::Http2),
}

impl Upstream {
    /// No connections yet.
    pub(super) fn new(
        server: &Server,
        runtime: &Arc<ServerRuntime>,
        tls: Option<Arc<ServerTls>>,
        config: &Config,
        timers: &Rc<Timers>,
    ) -> Self {
        let link = server.link.as_ref();
        let version = link.and_then(|link| link.proxy_protocol);
        let (codec, limits) = (config.process.http1_codec, &config.pool);
        Self(match version {
            None => {
                let connector = Connector::new(server, None, runtime, tls);
                Connections::ForAll(Speaks::new(server, connector, codec, limits, timers))
            }
            Some(version) => {
                let each = ForEach::new(server, version, codec, runtime, tls, limits, timers);
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

    /// Closes all connections without a request.
    pub(super) fn close_idle(&self) {
        match &self.0 {
            Connections::ForAll(speaks) => speaks.close_idle(),
            Connections::ForEach(each) => each.close_idle(),
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
    /// No connections yet; `connector` will make them.
    fn new(
        server: &Server,
        connector: Connector,
        codec: Http1Codec,
        limits: &config::Pool,
        timers: &Rc<Timers>,
    ) -> Self {
        let protocol = server.link.as_ref().map(|link| link.protocol);
        match (protocol.unwrap_or_default(), codec) {
            (ServerProtocol::Http1, Http1Codec::Own) => {
                Self::Own(own::Own::new(connector, Pool::new(limits, timers)))
            }
            (ServerProtocol::Http1, Http1Codec::Hyper) => {
                Self::Http1(http1::Http1::new(connector, Pool::new(limits, timers)))
            }
            (ServerProtocol::Http2, _) => Self::Http2(http2::Http2::new(connector, limits, timers)),
        }
    }

    fn close_idle(&self) {
        match self {
            Self::Http1(http1) => http1.pool().close_idle(),
            Self::Own(own) => own.pool().close_idle(),
            // Few, and each for many requests.
            Self::Http2(_) => {}
        }
    }

    fn set_limits(&self, limits: &config::Pool) {
        match self {
            Self::Http1(http1) => http1.pool().set_limits(limits),
            Self::Own(own) => own.pool().set_limits(limits),
            Self::Http2(http2) => http2.set_limits(limits),
        }
    }

    fn sweep(&self, now: Timestamp) {
        match self {
            Self::Http1(http1) => http1.pool().sweep(now),
            Self::Own(own) => own.pool().sweep(now),
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
            Self::Own(own) => {
                let exchange = own.exchange(request, answer, connection, in_hand, waits);
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
    /// One over HTTP/1.1, by the codec of our own.
    Own(own::Body),
}

impl Body {
    /// Whether all of it has come, as far as is known without asking.
    pub(super) fn is_here(&self) -> bool {
        match self {
            Self::Http1(_) | Self::Http2(_) => false,
            Self::Own(body) => body.is_here(),
        }
    }
}

/// A server's connection that changes over to another protocol.
pub(super) enum Switching {
    /// Handed over by the task that has it.
    ByTask(OnUpgrade),
    /// Handed over already, with what has come over it since; none if it was
    /// not one.
    Now(Option<(Stream, Bytes)>),
}

impl Switching {
    /// The head of an answer with which a server's connection changes over, and
    /// that connection.
    pub(super) fn of(mut response: Response<Body>) -> (response::Parts, Self) {
        let by_task = matches!(response.body(), Body::Http1(_))
            .then(|| Self::ByTask(hyper::upgrade::on(&mut response)));
        let (head, body) = response.into_parts();
        let switching = match body {
            Body::Own(body) => Self::Now(body.into_stream()),
            Body::Http1(_) => by_task.unwrap_or(Self::Now(None)),
            // There it does not happen.
            Body::Http2(_) => Self::Now(None),
        };
        (head, switching)
    }

    /// The connection, and what has come over it since.
    pub(super) async fn stream(self) -> Option<(Stream, Bytes)> {
        match self {
            Self::Now(stream) => stream,
            Self::ByTask(upgrade) => {
                let upgraded = upgrade.await.ok()?;
                let parts = upgraded.downcast::<TokioIo<Stream>>().ok()?;
                Some((parts.io.into_inner(), parts.read_buf))
            }
        }
    }
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
            Self::Own(body) => Pin::new(body).poll_frame(cx),
            Self::Http2(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Http1(body) => body.is_end_stream(),
            Self::Own(body) => body.is_end_stream(),
            Self::Http2(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1(body) => body.size_hint(),
            Self::Own(body) => body.size_hint(),
            Self::Http2(body) => body.size_hint(),
        }
    }
}
