//! The body of a request on its way into a stream of HTTP/2. It goes beside the
//! answer, which may begin, and be read, long before all of it has come.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use bytes::Bytes;
use h2::{Reason, SendStream};
use http_body::Body;
use tokio::task::AbortHandle;

use super::head;
use crate::native::proxy::upload::RequestBody;

/// A body under way. Dropping this gives up the rest.
pub(super) struct Sending {
    task: AbortHandle,
    state: Rc<Cell<Sent>>,
}

/// How far a body has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// Some of it is still to come.
    Partly,
    /// All is sent, or the server wants no more.
    Whole,
    /// The client's body was malformed, or broke off.
    Bad,
}

impl Sending {
    /// Sends `body` into `stream`, as fast as the server takes it.
    pub(super) fn begin(body: RequestBody, stream: SendStream<Bytes>) -> Self {
        let state = Rc::new(Cell::new(Sent::Partly));
        let end = Rc::clone(&state);
        let task = tokio::task::spawn_local(async move {
            end.set(send(body, stream).await);
        });
        Self {
            task: task.abort_handle(),
            state,
        }
    }

    /// How far it has come.
    pub(super) fn state(&self) -> Sent {
        self.state.get()
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Sends all of `body`. What goes wrong with the stream is told to whoever waits
/// for the answer.
async fn send(mut body: RequestBody, mut stream: SendStream<Bytes>) -> Sent {
    loop {
        let frame = poll_fn(|cx| match stream.poll_reset(cx) {
            Poll::Ready(_) => Poll::Ready(Err(())),
            Poll::Pending => Pin::new(&mut body).poll_frame(cx).map(Ok),
        });
        let Ok(frame) = frame.await else {
            return Sent::Whole;
        };
        match frame {
            None => {
                let _ = stream.send_data(Bytes::new(), true);
                return Sent::Whole;
            }
            Some(Err(_)) => {
                stream.send_reset(Reason::CANCEL);
                return Sent::Bad;
            }
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => {
                    let is_last = body.is_end_stream();
                    if !send_data(data, is_last, &mut stream).await || is_last {
                        return Sent::Whole;
                    }
                }
                Err(frame) => {
                    let Ok(mut trailers) = frame.into_trailers() else {
                        continue;
                    };
                    head::trailers(&mut trailers);
                    let _ = stream.send_trailers(trailers);
                    return Sent::Whole;
                }
            },
        }
    }
}

/// Sends `data` in as many pieces as the server leaves room for; `false` when it
/// takes no more.
async fn send_data(mut data: Bytes, is_last: bool, stream: &mut SendStream<Bytes>) -> bool {
    loop {
        if data.is_empty() {
            return !is_last || stream.send_data(data, true).is_ok();
        }
        stream.reserve_capacity(data.len());
        let room = poll_fn(|cx| match stream.poll_reset(cx) {
            Poll::Ready(_) => Poll::Ready(None),
            Poll::Pending => stream.poll_capacity(cx).map(|room| room?.ok()),
        });
        let Some(room) = room.await else {
            return false;
        };
        let piece = data.split_to(room.min(data.len()));
        let ends = is_last && data.is_empty();
        if stream.send_data(piece, ends).is_err() {
            return false;
        }
        if data.is_empty() {
            return true;
        }
    }
}
