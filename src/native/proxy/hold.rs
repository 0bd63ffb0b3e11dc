//! The part of an answer's body that has come before the client gets the first
//! byte.
//!
//! Once a client has seen a byte of an answer, no other server can give it. A
//! short answer of a known length that breaks off half-way is therefore better
//! found out before.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, SizeHint};

use super::upstream::{self, BodyError};

/// What has come of a body, in order.
#[derive(Default)]
pub(super) struct Ahead {
    /// Mostly it all comes in one piece.
    first: Option<Bytes>,
    #[expect(
        clippy::box_collection,
        reason = "rare, and a part of every answer in flight"
    )]
    further: Option<Box<VecDeque<Bytes>>>,
}

impl Ahead {
    /// Takes in what comes of `body` until all of it is here. Only for bodies of
    /// a known length, whose limit is the caller's to keep.
    pub(super) fn poll_whole(
        &mut self,
        body: &mut upstream::Body,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), BodyError>> {
        while !body.is_end_stream() {
            let frame = match Pin::new(&mut *body).poll_frame(cx) {
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
                    self.further.get_or_insert_default().push_back(data);
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// The next piece, if there is one.
    pub(super) fn take(&mut self) -> Option<Bytes> {
        let data = self.first.take()?;
        self.first = self.further.as_mut().and_then(|rest| rest.pop_front());
        Some(data)
    }

    /// Whether all of it was taken, or nothing has come.
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// What a body has to come, given what its `rest` has.
    pub(super) fn size_hint(&self, rest: SizeHint) -> SizeHint {
        let (Some(first), Some(n_rest)) = (&self.first, rest.exact()) else {
            return rest;
        };
        let further = self.further.iter().flat_map(|further| further.iter());
        let n_further = further.map(Bytes::len).sum::<usize>();
        SizeHint::with_exact(n_rest.saturating_add((first.len() + n_further) as u64))
    }
}
