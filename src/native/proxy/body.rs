//! Bodies on their way through the proxy, frame by frame and never whole, and
//! what ends when they do: the upload, the request in flight, the client's turn.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::conn::Client;
use super::upstream;
use super::worker::WorkerServer;
use crate::engine::Outcome;
use crate::native::clock;
use crate::native::telemetry::access_log::Entry;

/// The body of a request on its way to a server.
pub(super) struct RequestBody(Option<(Incoming, Rc<Client>)>);

impl RequestBody {
    /// `incoming`, which comes from `client` and may be empty.
    pub(super) fn new(incoming: Incoming, client: &Rc<Client>) -> Self {
        Self((!incoming.is_end_stream()).then(|| (incoming, Rc::clone(client))))
    }

    /// No body.
    pub(super) const fn empty() -> Self {
        Self(None)
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some((incoming, client)) = &mut self.0 else {
            return Poll::Ready(None);
        };
        let frame = Pin::new(incoming).poll_frame(cx);
        client.upload_awaits_client(frame.is_pending());
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.0
            .as_ref()
            .is_none_or(|(incoming, _)| incoming.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Some((incoming, _)) => incoming.size_hint(),
            None => SizeHint::with_exact(0),
        }
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if let Some((_, client)) = &self.0 {
            client.upload_ended();
        }
    }
}

/// One request in flight at a server, from its attempt until its answer's body
/// has ended or was dropped.
pub(super) struct InFlight(Rc<WorkerServer>);

impl InFlight {
    /// Counts a request in; with a `bound` only while fewer than that are in
    /// flight there, all workers together.
    pub(super) fn enter(server: &Rc<WorkerServer>, bound: Option<u32>) -> Option<Self> {
        let is_in = server.runtime.in_flight.enter(bound);
        is_in.then(|| Self(Rc::clone(server)))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.runtime.in_flight.leave();
    }
}

/// The body of an answer on its way to a client.
pub(super) struct ResponseBody {
    source: Source,
    client: Rc<Client>,
    /// Its line in the access log, if there is one.
    entry: Option<Box<Entry>>,
}

enum Source {
    Server(upstream::Body, InFlight),
    Proxy(Option<Bytes>),
}

impl ResponseBody {
    /// The body of a server's answer.
    pub(super) fn of_server(body: upstream::Body, in_flight: InFlight, client: Rc<Client>) -> Self {
        Self {
            source: Source::Server(body, in_flight),
            client,
            entry: None,
        }
    }

    /// The body of an answer that the proxy gives itself.
    pub(super) fn of_proxy(text: Bytes, client: Rc<Client>) -> Self {
        Self {
            source: Source::Proxy(Some(text)),
            client,
            entry: None,
        }
    }

    /// Has `entry` written to the access log when the body ends.
    pub(super) fn log(&mut self, entry: Box<Entry>) {
        self.entry = Some(entry);
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = &mut *self;
        let frame = match &mut this.source {
            Source::Server(body, in_flight) => {
                let frame = Pin::new(body).poll_frame(cx);
                if let Poll::Ready(Some(Err(_))) = &frame {
                    // It was counted by its status; that it broke off speaks
                    // against the server all the same.
                    let server = &in_flight.0.runtime;
                    this.client.worker.shared.report(server, Outcome::NoAnswer);
                }
                frame
            }
            Source::Proxy(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
        };
        if let (Some(entry), Poll::Ready(Some(Ok(frame)))) = (&mut this.entry, &frame) {
            entry.n_bytes += frame.data_ref().map_or(0, Bytes::len) as u64;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Server(body, _) => body.is_end_stream(),
            Source::Proxy(text) => text.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Server(body, _) => body.size_hint(),
            Source::Proxy(text) => SizeHint::with_exact(text.as_ref().map_or(0, Bytes::len) as u64),
        }
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        self.client.answer_ended();
        if let (Some(mut entry), Some(log)) = (self.entry.take(), &self.client.worker.access_log) {
            entry.ended(clock::now());
            log.write(entry);
        }
    }
}
