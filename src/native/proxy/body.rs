//! Answers' bodies on their way to clients, frame by frame, and what ends when
//! they do: the request in flight, the client's turn.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::conn::Client;
use super::hold::AnswerBody;
use super::worker::WorkerServer;
use crate::native::clock;
use crate::native::telemetry::access_log::Entry;

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

    /// Where it is.
    pub(super) fn server(&self) -> &WorkerServer {
        &self.0
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
    Server(AnswerBody, InFlight),
    Proxy(Option<Bytes>),
}

impl ResponseBody {
    /// The body of a server's answer.
    pub(super) fn of_server(body: AnswerBody, in_flight: InFlight, client: Rc<Client>) -> Self {
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
                let (server, shared) = (&in_flight.0.runtime, &this.client.worker.shared);
                match &frame {
                    // It was counted by its status; that it broke off speaks
                    // against the server all the same.
                    Poll::Ready(Some(Err(_))) => shared.report_broken_off(server),
                    Poll::Ready(None) => shared.report_whole(server),
                    _ => {}
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
        if let Source::Server(body, in_flight) = &self.source
            && body.is_end_stream()
        {
            self.client.worker.shared.report_whole(&in_flight.0.runtime);
        }
        self.client.answer_ended();
        if let (Some(mut entry), Some(log)) = (self.entry.take(), &self.client.worker.access_log) {
            entry.ended(clock::now());
            log.write(entry);
        }
    }
}
