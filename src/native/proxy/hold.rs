//! The body of a server's answer, of which a part may be awaited before the
//! client gets the first byte.
//!
//! Once a client has seen a byte of an answer, no other server can give it. A
//! short answer of a known length that breaks off half-way is therefore better
//! found out before.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::upstream;

/// A server's body, and what has come of it already.
pub(super) struct AnswerBody {
    /// What has come, in order: mostly it is all in one piece.
    first: Option<Bytes>,
    further: VecDeque<Bytes>,
    server: upstream::Body,
}

impl AnswerBody {
    /// Nothing of it has come.
    pub(super) fn new(server: upstream::Body) -> Self {
        Self {
            first: None,
            further: VecDeque::new(),
            server,
        }
    }

    /// Takes in what comes until all of it is here. Only for bodies of a known
    /// length, whose limit is the caller's to keep.
    pub(super) fn poll_whole(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        while !self.server.is_end_stream() {
            let frame = match Pin::new(&mut self.server).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => frame,
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error)),
                Poll::Ready(None) => break,
                Poll::Pending => return Poll::Pending,
            };
            // A body of a known length has no trailers.
            if let Ok(data) = frame.into_data() {
                if self.first.is_none() {
                    self.first = Some(data);
                } else {
                    self.further.push_back(data);
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if let Some(data) = self.first.take() {
            self.first = self.further.pop_front();
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        Pin::new(&mut self.server).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.server.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.server.size_hint();
        if let (Some(first), Some(upper)) = (&self.first, hint.upper()) {
            let further = self.further.iter().map(Bytes::len).sum::<usize>();
            let ahead = (first.len() + further) as u64;
            // Only what has a known length was awaited: the bounds are one.
            hint.set_upper(upper.saturating_add(ahead));
            hint.set_lower(hint.lower().saturating_add(ahead));
        }
        hint
    }
}
