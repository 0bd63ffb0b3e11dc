//! One connection to a server: a request out, its answer in, one at a time.

use std::error::Error;
use std::fmt;
use std::io;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body::{Body, Frame};

use super::framing::Decoder;
use super::head::{self, HEAD_MAX, Head};
use super::input::Input;
use super::output::Output;
use super::request;
use super::upload::Upload;
use super::{Bad, Carrier, Framing, Step};

/// How much is read at a time while a head is awaited.
const HEAD_READ: usize = 16 * 1024;
/// The most interim answers before the answer.
const INTERIM_MAX: u32 = 100;

/// A connection, with a request on it or at rest.
pub(in crate::native::proxy::upstream) struct Connection<S> {
    stream: S,
    input: Input,
    output: Output,
    asks_head: bool,
    /// Whether the server takes no more.
    is_broken: bool,
    n_interim: u32,
}

/// The head of an answer.
#[derive(Debug)]
pub(in crate::native::proxy::upstream) struct Answer {
    pub(in crate::native::proxy::upstream) status: StatusCode,
    /// The words beside the status, if they are not the usual ones.
    pub(in crate::native::proxy::upstream) reason: Option<Bytes>,
    /// The body, none of which was taken.
    pub(in crate::native::proxy::upstream) decoder: Decoder,
    /// Whether the connection may be used again when that has ended.
    pub(in crate::native::proxy::upstream) keeps: bool,
}

/// Why there is no answer, or not all of one.
#[derive(Debug)]
pub(in crate::native::proxy::upstream) enum Fault {
    /// Nothing of the request has left.
    Unsent,
    /// The request's body is not as it should be.
    Body,
    /// The connection has ended; `began` when some of an answer had come.
    Ended {
        began: bool,
        error: Option<io::Error>,
    },
    /// What has come is no answer.
    Bad(Bad),
}

impl From<Bad> for Fault {
    fn from(bad: Bad) -> Self {
        Self::Bad(bad)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unsent => "the connection ended before the request was sent",
            Self::Body => "the request's body is broken off",
            Self::Ended {
                error: Some(error), ..
            } => return error.fmt(f),
            Self::Ended { .. } => "the connection ended before the answer did",
            Self::Bad(Bad(why)) => why,
        })
    }
}

impl Error for Fault {}

impl<S: Carrier> Connection<S> {
    pub(in crate::native::proxy::upstream) fn new(stream: S) -> Self {
        Self {
            stream,
            input: Input::default(),
            output: Output::default(),
            asks_head: false,
            is_broken: false,
            n_interim: 0,
        }
    }

    /// Takes in the head of `request`, to be sent with the first
    /// [`poll_answer`](Self::poll_answer). The body is taken out of it if there
    /// is one.
    ///
    /// # Errors
    /// When its head and its body do not go together.
    pub(in crate::native::proxy::upstream) fn begin<B>(
        &mut self,
        request: &mut Request<B>,
    ) -> Result<Option<Upload<B>>, Fault>
    where
        B: Body<Data = Bytes> + Default + Unpin,
    {
        self.asks_head = *request.method() == Method::HEAD;
        self.n_interim = 0;
        let encoding = request::write(self.output.begin(), request).map_err(|_| Fault::Body)?;
        let has_body = !request.body().is_end_stream();
        Ok(has_body.then(|| Upload::new(std::mem::take(request.body_mut()), encoding)))
    }

    /// Sends what is still to be sent, and waits for the head of the answer,
    /// whose fields it puts into `headers`. The answer may come while the body
    /// is on its way; `upload` is there then.
    ///
    /// # Errors
    /// When there is no answer; the connection is of no use then.
    pub(in crate::native::proxy::upstream) fn poll_answer<B>(
        &mut self,
        cx: &mut Context<'_>,
        upload: &mut Option<Upload<B>>,
        headers: &mut HeaderMap,
    ) -> Poll<Result<Answer, Fault>>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        if upload.is_some() || !self.output.is_empty() {
            // That it waits for something does not keep us from listening.
            if let Poll::Ready(Err(fault)) = self.poll_send(cx, upload) {
                return Poll::Ready(Err(fault));
            }
        }
        let head = ready!(self.poll_head(cx, headers))?;
        let is_tunnel = head.status == StatusCode::SWITCHING_PROTOCOLS;
        Poll::Ready(Ok(Answer {
            status: head.status,
            reason: head.reason,
            decoder: Decoder::new(head.framing),
            keeps: head.keeps && !self.is_broken && !is_tunnel,
        }))
    }

    /// Sends what is still to be sent. A server that takes no more of it may
    /// have answered all the same, so that is no fault here.
    ///
    /// # Errors
    /// When the body is not as it should be, or nothing was sent at all.
    pub(in crate::native::proxy::upstream) fn poll_send<B>(
        &mut self,
        cx: &mut Context<'_>,
        upload: &mut Option<Upload<B>>,
    ) -> Poll<Result<(), Fault>>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        loop {
            let mut waits = false;
            while let (Some(body), true) = (&mut *upload, self.output.has_room()) {
                match body.poll_add(cx, &mut self.output) {
                    Poll::Ready(Ok(false)) => {}
                    Poll::Ready(Ok(true)) => *upload = None,
                    Poll::Ready(Err(_)) => return Poll::Ready(Err(Fault::Body)),
                    Poll::Pending => {
                        waits = true;
                        break;
                    }
                }
            }
            match ready!(self.output.poll_write(&mut self.stream, cx)) {
                Ok(()) if upload.is_none() => return Poll::Ready(Ok(())),
                Ok(()) if waits => return Poll::Pending,
                Ok(()) => {}
                Err(_) if !self.output.has_left() && self.stream.is_direct() => {
                    return Poll::Ready(Err(Fault::Unsent));
                }
                Err(_) => {
                    self.is_broken = true;
                    self.output.clear();
                    *upload = None;
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }

    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        headers: &mut HeaderMap,
    ) -> Poll<Result<Head, Fault>> {
        let mut is_worth_a_look = !self.input.bytes.is_empty();
        loop {
            if is_worth_a_look
                && let Some(head) = head::parse(&self.input.bytes, self.asks_head, headers)?
            {
                self.input.bytes.advance(head.len);
                if is_interim(head.status) {
                    self.n_interim += 1;
                    if self.n_interim > INTERIM_MAX {
                        return Poll::Ready(Err(Bad("too many interim answers").into()));
                    }
                    is_worth_a_look = !self.input.bytes.is_empty();
                    if is_worth_a_look {
                        continue;
                    }
                } else {
                    return Poll::Ready(Ok(head));
                }
            }
            let n_before = self.input.bytes.len();
            let began = n_before > 0 || self.n_interim > 0;
            match ready!(self.input.poll_fill(&mut self.stream, cx, HEAD_READ)) {
                Ok(0) => return Poll::Ready(Err(Fault::Ended { began, error: None })),
                Ok(_) => {}
                Err(error) => {
                    let error = Some(error);
                    return Poll::Ready(Err(Fault::Ended { began, error }));
                }
            }
            // One that comes byte by byte is not read anew with each.
            let bytes = &self.input.bytes;
            let new = &bytes[n_before..];
            is_worth_a_look =
                n_before == 0 || bytes.len() >= HEAD_MAX || memchr::memchr(b'\n', new).is_some();
        }
    }

    /// What comes next of an answer's body; `None` at its end.
    ///
    /// # Errors
    /// When it breaks off, or is not framed as it should be.
    pub(in crate::native::proxy::upstream) fn poll_body(
        &mut self,
        cx: &mut Context<'_>,
        decoder: &mut Decoder,
    ) -> Poll<Result<Option<Frame<Bytes>>, Fault>> {
        loop {
            match decoder.step(&mut self.input.bytes)? {
                Step::Data(data) => return Poll::Ready(Ok(Some(Frame::data(data)))),
                Step::Trailers(trailers) => {
                    return Poll::Ready(Ok(Some(Frame::trailers(trailers))));
                }
                Step::End => return Poll::Ready(Ok(None)),
                Step::More => {}
            }
            let limit = decoder.read_limit();
            match ready!(self.input.poll_fill(&mut self.stream, cx, limit)) {
                Ok(0) if matches!(decoder, Decoder::UntilClose) => {
                    *decoder = Decoder::new(Framing::Length(0));
                }
                Ok(0) => return Poll::Ready(Err(ended(None))),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(ended(Some(error)))),
            }
        }
    }

    /// Takes what has come of an answer's body if that is all of it.
    pub(in crate::native::proxy::upstream) fn whole(
        &mut self,
        decoder: &mut Decoder,
    ) -> Option<Bytes> {
        match decoder {
            Decoder::Length(left) if *left == self.input.bytes.len() as u64 => {
                *left = 0;
                Some(std::mem::take(&mut self.input.bytes))
            }
            _ => None,
        }
    }

    /// Whether it is at rest, as far as is known without asking: all was
    /// written, and nothing is left over behind the answer.
    pub(in crate::native::proxy::upstream) fn is_at_rest(&self) -> bool {
        self.input.bytes.is_empty() && self.output.is_empty() && !self.is_broken
    }

    /// Whether it is still fit for a request: the server has not ended it, and
    /// has sent nothing that nobody asked for.
    pub(in crate::native::proxy::upstream) fn is_fit(&mut self) -> bool {
        self.stream.is_quiet()
    }

    /// The stream, and what has come over it and was not taken.
    pub(in crate::native::proxy::upstream) fn into_parts(self) -> (S, Bytes) {
        (self.stream, self.input.bytes)
    }
}

fn ended(error: Option<io::Error>) -> Fault {
    Fault::Ended { began: true, error }
}

fn is_interim(status: StatusCode) -> bool {
    status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS
}
