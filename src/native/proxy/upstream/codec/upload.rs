//! A request's body on its way to a server, frame by frame.

use std::io::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderName;
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, HeaderMap,
    MAX_FORWARDS, SET_COOKIE,
};
use http_body::Body;

use super::Bad;
use super::chunked::is_trailer;
use super::output::Output;
use super::request::{Encoding, field};

/// A body that is not all there yet.
pub(in crate::native::proxy::upstream) struct Upload<B> {
    body: B,
    encoding: Encoding,
    /// Whether some of it was taken.
    is_touched: bool,
}

impl<B: Body<Data = Bytes> + Unpin> Upload<B> {
    pub(super) fn new(body: B, encoding: Encoding) -> Self {
        Self {
            body,
            encoding,
            is_touched: false,
        }
    }

    /// The body, if nothing of it was taken.
    pub(in crate::native::proxy::upstream) fn untouched(self) -> Option<B> {
        (!self.is_touched).then_some(self.body)
    }

    /// Adds to `output` what comes next; whether that was the last.
    ///
    /// # Errors
    /// When the body is broken off, or is not as long as it says.
    pub(super) fn poll_add(
        &mut self,
        cx: &mut Context<'_>,
        output: &mut Output,
    ) -> Poll<Result<bool, Bad>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        self.is_touched = true;
        let Some(frame) = frame else {
            return Poll::Ready(self.end(output, None).map(|()| true));
        };
        let frame = frame.map_err(|_| Bad("the body is broken off"))?;
        Poll::Ready(match frame.into_data() {
            Ok(data) => {
                self.data(output, data)?;
                // Known at once, and so written together with it.
                match self.body.is_end_stream() {
                    true => self.end(output, None).map(|()| true),
                    false => Ok(false),
                }
            }
            Err(frame) => match frame.into_trailers() {
                Ok(trailers) => self.end(output, Some(&trailers)).map(|()| true),
                Err(_) => Ok(false),
            },
        })
    }

    fn data(&mut self, output: &mut Output, data: Bytes) -> Result<(), Bad> {
        if data.is_empty() {
            return Ok(());
        }
        match &mut self.encoding {
            Encoding::Length(left) => {
                let n = data.len() as u64;
                *left = left
                    .checked_sub(n)
                    .ok_or(Bad("a longer body than it says"))?;
                output.add_piece(data, b"");
            }
            Encoding::Chunked(_) => {
                // Sixteen digits and a line's end, at most.
                let mut line = [0; 18];
                let mut rest = &mut line[..];
                let _ = write!(rest, "{:X}\r\n", data.len());
                let n = 18 - rest.len();
                output.add(&line[..n]);
                output.add_piece(data, b"\r\n");
            }
        }
        Ok(())
    }

    fn end(&self, output: &mut Output, trailers: Option<&HeaderMap>) -> Result<(), Bad> {
        match &self.encoding {
            Encoding::Length(0) => {}
            Encoding::Length(_) => return Err(Bad("a shorter body than it says")),
            Encoding::Chunked(announced) => {
                let mut lines = b"0\r\n".to_vec();
                for (name, value) in trailers.into_iter().flatten() {
                    if announced.contains(name) && may_follow(name) {
                        field(&mut lines, name, value.as_bytes());
                    }
                }
                lines.extend_from_slice(b"\r\n");
                output.add(&lines);
            }
        }
        Ok(())
    }
}

/// Whether a server may be given a field behind a body: none that it may act on
/// before the body comes.
fn may_follow(name: &HeaderName) -> bool {
    is_trailer(name)
        && !matches!(
            *name,
            AUTHORIZATION
                | CACHE_CONTROL
                | CONTENT_ENCODING
                | CONTENT_RANGE
                | CONTENT_TYPE
                | MAX_FORWARDS
                | SET_COOKIE
        )
}
