//! Answers' bodies on their way to clients, frame by frame, and what ends when
//! they do: the request in flight, the client's turn.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::grpc;
use super::hold::Ahead;
use super::in_hand::InHand;
use super::trace::Trace;
use super::trailers;
use super::upgrade::Tunnel;
use super::upstream::{self, BodyError};
use super::worker::WorkerServer;
use crate::engine::{Route, Term};
use crate::native::clock;
use crate::native::shared::ServerRuntime;
use crate::native::telemetry::access_log::Entry;

/// One request in flight at a server, from its attempt until its answer's body
/// has ended or was dropped.
pub(super) struct InFlight {
    server: Rc<WorkerServer>,
    /// The server's term when the request was sent.
    pub(super) term: Term,
    is_trial: bool,
    /// Whether it waits for the head of its answer, and for nothing else.
    is_waiting: Cell<bool>,
    /// Whether it is counted on elsewhere.
    is_apart: bool,
}

impl InFlight {
    /// Counts a request in at `server`, where `route` goes, all workers together:
    /// with a bound only while fewer than that are in flight there, and as a
    /// trial only while there is no other.
    pub(super) fn enter(server: &Rc<WorkerServer>, route: &Route) -> Option<Self> {
        let runtime = &server.runtime;
        if route.is_trial && !runtime.trial.enter(route.term) {
            return None;
        }
        if !runtime.in_flight.enter(route.bound) {
            if route.is_trial {
                runtime.trial.leave(route.term);
            }
            return None;
        }
        Some(Self {
            server: Rc::clone(server),
            term: route.term,
            is_trial: route.is_trial,
            is_waiting: Cell::new(false),
            is_apart: false,
        })
    }

    /// It is with the server now, whole, which has to answer.
    pub(super) fn waits(&self) {
        self.is_waiting.set(true);
        self.server.silence.begin();
    }

    /// The head of its answer is here.
    pub(super) fn answered(&self) {
        if self.is_waiting.replace(false) {
            self.server.silence.give_up();
        }
        self.server.silence.end();
    }

    /// The same request, counted on without what this thread keeps for the
    /// server: that may leave the fleet long before the request ends.
    pub(super) fn apart(mut self) -> InFlightApart {
        self.is_apart = true;
        InFlightApart(Arc::clone(&self.server.runtime))
    }

    /// Where it is.
    pub(super) fn server(&self) -> &WorkerServer {
        &self.server
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let runtime = &self.server.runtime;
        if !self.is_apart {
            runtime.leave();
        }
        if self.is_waiting.get() {
            self.server.silence.give_up();
        }
        if self.is_trial {
            runtime.trial.leave(self.term);
        }
    }
}

/// One request in flight at a server that may have left the fleet.
pub(super) struct InFlightApart(Arc<ServerRuntime>);

impl Drop for InFlightApart {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// The body of an answer on its way to a client.
pub(super) struct ResponseBody {
    source: Source,
    in_hand: Rc<InHand>,
    /// Its line in the access log, if there is one.
    entry: Option<Box<Entry>>,
    /// Its part in a trace, if it has one, which ends with it.
    trace: Option<Rc<Trace>>,
    /// Whether its trailers say that the server has failed.
    has_failed: bool,
}

enum Source {
    Server(Ahead, upstream::Body, InFlight),
    Proxy(Option<Bytes>),
    /// There is none; with its end the client's connection becomes a tunnel.
    Tunnel(Option<Tunnel>),
}

impl ResponseBody {
    /// The body of a server's answer: what came `ahead`, then the rest.
    pub(super) fn of_server(
        ahead: Ahead,
        rest: upstream::Body,
        in_flight: InFlight,
        in_hand: Rc<InHand>,
    ) -> Self {
        Self {
            source: Source::Server(ahead, rest, in_flight),
            in_hand,
            entry: None,
            trace: None,
            has_failed: false,
        }
    }

    /// The body of an answer that the proxy gives itself.
    pub(super) fn of_proxy(text: Bytes, in_hand: Rc<InHand>) -> Self {
        Self {
            source: Source::Proxy(Some(text)),
            in_hand,
            entry: None,
            trace: None,
            has_failed: false,
        }
    }

    /// No body, and behind it a tunnel.
    pub(super) fn of_tunnel(tunnel: Tunnel, in_hand: Rc<InHand>) -> Self {
        Self {
            source: Source::Tunnel(Some(tunnel)),
            in_hand,
            entry: None,
            trace: None,
            has_failed: false,
        }
    }

    /// Has `entry` written to the access log when the body ends.
    pub(super) fn log(&mut self, entry: Box<Entry>) {
        self.entry = Some(entry);
    }

    /// Has `trace` end when the body does.
    pub(super) fn end(&mut self, trace: Rc<Trace>) {
        self.trace = Some(trace);
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let frame = match &mut this.source {
            Source::Server(ahead, rest, in_flight) => {
                let mut frame = match ahead.take() {
                    Some(data) => Poll::Ready(Some(Ok(Frame::data(data)))),
                    None => Pin::new(rest).poll_frame(cx),
                };
                if let Poll::Ready(Some(Ok(frame))) = &mut frame
                    && let Some(trailers) = frame.trailers_mut()
                {
                    trailers::filter(trailers);
                }
                let shared = &this.in_hand.client.worker.shared;
                let (server, term) = (&in_flight.server.runtime, in_flight.term);
                match &frame {
                    // With gRPC it is only now that it is known how it went.
                    Poll::Ready(Some(Ok(frame)))
                        if frame.trailers_ref().is_some_and(grpc::has_failed) =>
                    {
                        this.has_failed = true;
                        shared.report_broken_off(server, term);
                    }
                    // It was counted by its status; that it broke off speaks
                    // against the server all the same.
                    Poll::Ready(Some(Err(_))) => shared.report_broken_off(server, term),
                    Poll::Ready(None) if !this.has_failed => shared.report_whole(server, term),
                    _ => {}
                }
                frame
            }
            Source::Proxy(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Source::Tunnel(_) => Poll::Ready(None),
        };
        if let (Some(entry), Poll::Ready(Some(Ok(frame)))) = (&mut this.entry, &frame) {
            entry.n_bytes += frame.data_ref().map_or(0, Bytes::len) as u64;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Server(ahead, rest, _) => ahead.is_empty() && rest.is_end_stream(),
            Source::Proxy(text) => text.is_none(),
            Source::Tunnel(_) => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Server(ahead, rest, _) => ahead.size_hint(rest.size_hint()),
            Source::Proxy(text) => SizeHint::with_exact(text.as_ref().map_or(0, Bytes::len) as u64),
            Source::Tunnel(_) => SizeHint::with_exact(0),
        }
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        if let Source::Server(ahead, rest, in_flight) = &self.source
            && ahead.is_empty()
            && rest.is_end_stream()
            && !self.has_failed
        {
            let shared = &self.in_hand.client.worker.shared;
            shared.report_whole(&in_flight.server.runtime, in_flight.term);
        }
        self.in_hand.answer_ended();
        if let Source::Tunnel(tunnel) = &mut self.source
            && let Some(mut tunnel) = tunnel.take()
        {
            tunnel.log(self.entry.take());
            self.in_hand.tunnel.set(Some(Box::new(tunnel)));
            return;
        }
        if let (Some(mut entry), Some(log)) =
            (self.entry.take(), &self.in_hand.client.worker.access_log)
        {
            entry.ended(clock::now());
            log.write(entry);
        }
    }
}
