//! The body of a request on its way to a server, frame by frame and never
//! whole; kept meanwhile as far as it may have to be sent again.

use std::cell::RefCell;
use std::error::Error;
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::in_hand::InHand;
use super::trailers;

/// What keeping a frame costs besides its bytes, so that many small ones are
/// bounded too.
const FRAME_COST: usize = 64;

type BoxError = Box<dyn Error + Send + Sync>;

/// The body of one attempt. Most requests have none, and a request is moved
/// about a lot on its way to a server: what is there is boxed.
#[derive(Default)]
pub(super) enum RequestBody {
    /// No body.
    #[default]
    Empty,
    /// One that is sent once.
    Once(Box<Once>),
    /// One that may be sent again.
    Kept(Box<Copy>),
}

/// A body that comes from a client once and is sent once.
pub(super) struct Once {
    incoming: ClientBody,
    in_hand: Rc<InHand>,
}

/// One attempt's view of an [`Upload`].
pub(super) struct Copy {
    upload: Rc<Upload>,
    /// Which of the attempts.
    number: u32,
    /// How many of the kept frames it has sent.
    n_sent: usize,
}

/// A body that comes from a client once and may be sent several times.
pub(super) struct Upload {
    state: RefCell<State>,
    in_hand: Rc<InHand>,
}

struct State {
    incoming: ClientBody,
    kept: Vec<Piece>,
    /// What may still be kept.
    room: usize,
    /// Whether it cannot be sent again: it was more than may be kept, or it
    /// broke off.
    is_lost: bool,
    /// The attempt whose turn it is; others are over.
    turn: u32,
}

#[derive(Clone)]
enum Piece {
    Data(Bytes),
    Trailers(HeaderMap),
}

/// The body that a client sends, as its connection's protocol has it.
pub(super) enum ClientBody {
    /// Over HTTP/1.1.
    Http1(Incoming),
    /// Over HTTP/2.
    Http2(Http2Body),
}

/// A body over HTTP/2.
pub(super) struct Http2Body {
    stream: RecvStream,
    /// Whether all but trailers has come.
    has_data: bool,
    /// Whether the client does not send it before it hears that it may.
    awaits_word: bool,
}

impl ClientBody {
    /// What comes over HTTP/2; `awaits_word` when the client does not send it
    /// before it hears that it may.
    pub(super) fn http2(stream: RecvStream, awaits_word: bool) -> Self {
        Self::Http2(Http2Body {
            stream,
            has_data: false,
            awaits_word,
        })
    }

    /// Its next frame; `in_hand` hears of it where nobody else tells.
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
        in_hand: &InHand,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self {
            Self::Http1(incoming) => {
                let frame = Pin::new(incoming).poll_frame(cx);
                frame.map_err(Into::into)
            }
            Self::Http2(body) => {
                if mem::take(&mut body.awaits_word) {
                    // Whoever answers the client sees then that it is awaited.
                    in_hand.timer.wake();
                }
                let frame = ready!(body.poll_frame(cx));
                in_hand.body_came();
                Poll::Ready(frame.transpose())
            }
        }
    }

    /// Whether nothing more will come.
    pub(super) fn is_end_stream(&self) -> bool {
        match self {
            Self::Http1(incoming) => incoming.is_end_stream(),
            Self::Http2(body) => body.stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1(incoming) => incoming.size_hint(),
            // What its head says of it is passed on.
            Self::Http2(_) => SizeHint::new(),
        }
    }
}

impl Http2Body {
    /// However the client breaks off, an error: what it has sent is not all.
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Frame<Bytes>>, BoxError>> {
        if !self.has_data {
            if let Some(data) = ready!(self.stream.poll_data(cx)).transpose()? {
                // It is on its way to a server, or kept within the limits of that.
                let _ = self.stream.flow_control().release_capacity(data.len());
                return Poll::Ready(Ok(Some(Frame::data(data))));
            }
            self.has_data = true;
        }
        let trailers = ready!(self.stream.poll_trailers(cx))?;
        Poll::Ready(Ok(trailers.map(Frame::trailers)))
    }
}

impl RequestBody {
    /// The body of the request `in_hand`, none of which is kept.
    pub(super) fn once(incoming: ClientBody, in_hand: &Rc<InHand>) -> Self {
        Self::Once(Box::new(Once {
            incoming,
            in_hand: Rc::clone(in_hand),
        }))
    }
}

impl Upload {
    /// The body of the request `in_hand`, of which `limit` bytes may be kept.
    pub(super) fn new(incoming: ClientBody, in_hand: &Rc<InHand>, limit: usize) -> Rc<Self> {
        Rc::new(Self {
            state: RefCell::new(State {
                incoming,
                kept: Vec::new(),
                room: limit,
                is_lost: false,
                turn: 0,
            }),
            in_hand: Rc::clone(in_hand),
        })
    }

    /// Whether all that has come of it is still here.
    pub(super) fn is_kept(&self) -> bool {
        !self.state.borrow().is_lost
    }

    /// The body from its beginning, for the next attempt; what the one before
    /// has not sent, it will not send any more.
    pub(super) fn again(self: &Rc<Self>) -> RequestBody {
        let mut state = self.state.borrow_mut();
        state.turn += 1;
        RequestBody::Kept(Box::new(Copy {
            upload: Rc::clone(self),
            number: state.turn,
            n_sent: 0,
        }))
    }
}

impl State {
    /// Takes in the client's next frame.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        in_hand: &InHand,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = filtered(self.incoming.poll_frame(cx, in_hand));
        match &frame {
            Poll::Ready(Some(Ok(frame))) if !self.is_lost => self.keep(frame),
            Poll::Ready(Some(Err(_))) => self.is_lost = true,
            _ => {}
        }
        frame
    }

    fn keep(&mut self, frame: &Frame<Bytes>) {
        let (piece, len) = match (frame.data_ref(), frame.trailers_ref()) {
            (Some(data), _) => (Piece::Data(data.clone()), data.len()),
            (None, Some(trailers)) => {
                let fields = trailers.iter();
                let len = fields.map(|(name, value)| name.as_str().len() + value.len());
                (Piece::Trailers(trailers.clone()), len.sum())
            }
            (None, None) => return,
        };
        match self.room.checked_sub(len) {
            Some(room) => {
                self.room = room.saturating_sub(FRAME_COST);
                self.kept.push(piece);
            }
            None => {
                self.is_lost = true;
                self.kept = Vec::new();
            }
        }
    }
}

/// A client's frame; of trailers, what may be among them.
fn filtered(
    mut frame: Poll<Option<Result<Frame<Bytes>, BoxError>>>,
) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
    if let Poll::Ready(Some(Ok(frame))) = &mut frame
        && let Some(trailers) = frame.trailers_mut()
    {
        trailers::filter(trailers);
    }
    frame
}

impl Copy {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut state = self.upload.state.borrow_mut();
        if state.turn != self.number {
            return Poll::Ready(Some(Err("the attempt was given up".into())));
        }
        if let Some(piece) = state.kept.get(self.n_sent) {
            self.n_sent += 1;
            return Poll::Ready(Some(Ok(match piece.clone() {
                Piece::Data(data) => Frame::data(data),
                Piece::Trailers(trailers) => Frame::trailers(trailers),
            })));
        }
        let frame = state.poll(cx, &self.upload.in_hand);
        self.n_sent = state.kept.len();
        self.upload.in_hand.upload_awaits_client(frame.is_pending());
        frame
    }

    fn is_end_stream(&self) -> bool {
        let state = self.upload.state.borrow();
        self.n_sent >= state.kept.len() && state.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let state = self.upload.state.borrow();
        let mut hint = state.incoming.size_hint();
        let kept = state
            .kept
            .iter()
            .skip(self.n_sent)
            .map(|piece| match piece {
                Piece::Data(data) => data.len() as u64,
                Piece::Trailers(_) => 0,
            });
        let kept: u64 = kept.sum();
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper.saturating_add(kept));
        }
        hint.set_lower(hint.lower().saturating_add(kept));
        hint
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match &mut *self {
            Self::Empty => Poll::Ready(None),
            Self::Once(once) => {
                let frame = filtered(once.incoming.poll_frame(cx, &once.in_hand));
                once.in_hand.upload_awaits_client(frame.is_pending());
                frame
            }
            Self::Kept(copy) => copy.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Once(once) => once.incoming.is_end_stream(),
            Self::Kept(copy) => copy.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Once(once) => once.incoming.size_hint(),
            Self::Kept(copy) => copy.size_hint(),
        }
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        match self {
            Self::Empty => {}
            Self::Once(once) => once.in_hand.upload_ended(),
            Self::Kept(copy) => {
                if copy.upload.state.borrow().turn == copy.number {
                    copy.upload.in_hand.upload_ended();
                }
            }
        }
    }
}
