//! HTTP/1.1 to one server, by the codec of our own: one request at a time on a
//! connection, driven by the task of the client whose request it is.

use core::time::Duration;
use std::future::poll_fn;
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Frame, SizeHint};
use hyper::ext::ReasonPhrase;

use super::codec::{self, Answer, Carrier, Decoder, Fault};
use super::connect::{Connector, Stream};
use super::pool::{Kept, Lease, Pool};
use super::{AttemptWaits, BodyError, Connection, Exchange};
use crate::native::proxy::in_hand::InHand;
use crate::native::proxy::retry::Failure;
use crate::native::proxy::upload::RequestBody;

/// How long a body may go on behind its answer. Mostly it is there already; a
/// server that has answered and takes no more would hold it for ever.
const FINISH: Duration = Duration::from_secs(300);

/// One server that speaks HTTP/1.1.
pub(super) struct Own {
    connector: Connector,
    pool: Rc<Pool<Line>>,
}

/// A connection. Boxed, for it is handed about.
pub(super) type Line = Box<codec::Connection<Stream>>;

type Upload = codec::Upload<RequestBody>;

impl Kept for Line {
    fn is_ready(&mut self) -> bool {
        self.is_fit()
    }
}

impl Carrier for Stream {
    fn is_quiet(&mut self) -> bool {
        self.is_quiet()
    }

    fn is_direct(&self) -> bool {
        self.is_direct()
    }
}

/// The body of an answer; with its end, the connection is free again.
pub(in crate::native::proxy) struct Body {
    /// All of it, where all of it came with the head.
    whole: Bytes,
    decoder: Decoder,
    lease: Option<Lease<Line>>,
    keeps: bool,
    /// The request's body, where the answer has overtaken it.
    upload: Option<Box<Upload>>,
    /// What has gone wrong, and is not told yet.
    fault: Option<Box<Fault>>,
}

impl Own {
    /// Over the connections that `connector` makes and `pool` keeps.
    pub(super) fn new(connector: Connector, pool: Rc<Pool<Line>>) -> Self {
        Self { connector, pool }
    }

    /// Its connections.
    pub(super) fn pool(&self) -> &Pool<Line> {
        &self.pool
    }
}

impl Exchange for Own {
    async fn exchange(
        &self,
        request: &mut Option<Request<RequestBody>>,
        answer: &mut Option<Response<super::Body>>,
        connection: Connection,
        in_hand: &InHand,
        waits: AttemptWaits,
    ) -> Result<StatusCode, Failure> {
        let kept = match connection {
            Connection::KeptOrNew => self.pool.take(),
            Connection::New => None,
        };
        let was_kept = kept.is_some();
        let mut lease = match kept {
            Some(lease) => lease,
            None => {
                in_hand.timer.set(waits.connect);
                match in_hand.timer.limit(self.connector.connect()).await {
                    Some(Ok(stream)) => {
                        let line = Box::new(codec::Connection::new(stream));
                        self.pool.add(line)
                    }
                    Some(Err(_)) => return Err(Failure::Connect),
                    None => return Err(Failure::ConnectTimeout),
                }
            }
        };
        in_hand.timer.set(waits.answer);
        let sending = Sending(request);
        let Some(sent) = &mut *sending.0 else {
            return Err(Failure::Broken);
        };
        let Ok(mut upload) = lease.connection.begin(sent) else {
            return Err(Failure::BadBody);
        };
        // The fields of the answer take the place of the request's, which have
        // been written.
        let headers = sent.headers_mut();
        let answered = poll_fn(|cx| lease.connection.poll_answer(cx, &mut upload, headers));
        let fault = match in_hand.timer.limit(answered).await {
            Some(Ok(head)) => {
                let status = head.status;
                let headers = mem::take(sent.headers_mut());
                *answer = Some(answer_of(head, headers, lease, upload));
                return Ok(status);
            }
            Some(Err(fault)) => fault,
            None if in_hand.is_awaited() => return Err(Failure::BodyTimeout),
            None => return Err(Failure::AnswerTimeout),
        };
        if let Fault::Ended {
            error: Some(error), ..
        } = &fault
            && !was_kept
            && self.connector.is_encrypted()
            && self.connector.was_refused(error)
        {
            return Err(Failure::Connect);
        }
        Err(match fault {
            Fault::Body => Failure::BadBody,
            Fault::Unsent if was_kept => {
                match upload.map(Upload::untouched) {
                    None => sending.give_back(),
                    Some(Some(body)) => {
                        *sent.body_mut() = body;
                        sending.give_back();
                    }
                    // It is not all there any more.
                    Some(None) => {}
                }
                Failure::Unsent
            }
            Fault::Ended { began: false, .. } if was_kept => Failure::Stale,
            _ => Failure::Broken,
        })
    }
}

/// A request that is being sent. It is gone afterwards, also when the attempt
/// is given up, unless nothing of it has left.
struct Sending<'a>(&'a mut Option<Request<RequestBody>>);

impl Sending<'_> {
    fn give_back(self) {
        mem::forget(self);
    }
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        *self.0 = None;
    }
}

fn answer_of(
    head: Answer,
    headers: http::HeaderMap,
    lease: Lease<Line>,
    upload: Option<Upload>,
) -> Response<super::Body> {
    let Answer {
        status,
        reason,
        decoder,
        keeps,
    } = head;
    let mut body = Body {
        whole: Bytes::new(),
        decoder,
        lease: Some(lease),
        keeps,
        upload: upload.map(Box::new),
        fault: None,
    };
    if status != StatusCode::SWITCHING_PROTOCOLS {
        body.take_whole();
    }
    let mut response = Response::new(super::Body::Own(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    if let Some(reason) = reason
        && let Ok(reason) = ReasonPhrase::try_from(reason)
    {
        response.extensions_mut().insert(reason);
    }
    response
}

impl Body {
    /// Frees the connection at once if all of the body is here.
    fn take_whole(&mut self) {
        let Some(lease) = &mut self.lease else {
            return;
        };
        if let Some(whole) = lease.connection.whole(&mut self.decoder) {
            self.whole = whole;
            self.release();
        }
    }

    /// Whether all of it has come.
    pub(super) fn is_here(&self) -> bool {
        self.decoder.is_ended()
    }

    /// What the connection becomes that has changed over to another protocol,
    /// and what has come over it since.
    pub(super) fn into_stream(self) -> Option<(Stream, Bytes)> {
        let line = self.lease?.connection;
        Some(line.into_parts())
    }

    /// The body has ended: the connection is kept if it may be.
    fn release(&mut self) {
        let Some(lease) = self.lease.take() else {
            return;
        };
        match self.upload.take() {
            Some(upload) => finish(lease, *upload, self.keeps),
            None if self.keeps && lease.connection.is_at_rest() => lease.give_back(),
            None => {}
        }
    }
}

/// Sends what is left of a request's body whose answer has come and gone. The
/// client would not know what to make of it if nobody took the rest.
#[cold]
fn finish(mut lease: Lease<Line>, upload: Upload, keeps: bool) {
    tokio::task::spawn_local(async move {
        let mut upload = Some(upload);
        let sending = poll_fn(|cx| lease.connection.poll_send(cx, &mut upload));
        let sent = tokio::time::timeout(FINISH, sending).await;
        if matches!(sent, Ok(Ok(()))) && keeps && lease.connection.is_at_rest() {
            lease.give_back();
        }
    });
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if !this.whole.is_empty() {
            let whole = mem::take(&mut this.whole);
            return Poll::Ready(Some(Ok(Frame::data(whole))));
        }
        let Some(lease) = &mut this.lease else {
            let fault = this.fault.take();
            return Poll::Ready(fault.map(|fault| Err(fault as BodyError)));
        };
        if this.upload.is_some() {
            let mut upload = this.upload.take().map(|upload| *upload);
            let sent = lease.connection.poll_send(cx, &mut upload);
            this.upload = upload.map(Box::new);
            if let Poll::Ready(Err(_)) = sent {
                (this.upload, this.keeps) = (None, false);
            }
        }
        let frame = ready!(lease.connection.poll_body(cx, &mut this.decoder));
        Poll::Ready(match frame {
            Ok(frame) => {
                if this.decoder.is_ended() {
                    this.release();
                }
                frame.map(Ok)
            }
            Err(fault) => {
                this.lease = None;
                // In its next turn: what came before it is on its way to the
                // client, and would be lost if that heard of it now.
                this.fault = Some(Box::new(fault));
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.whole.is_empty() && self.decoder.is_ended()
    }

    fn size_hint(&self) -> SizeHint {
        match self.decoder.left() {
            Some(left) => SizeHint::with_exact(left + self.whole.len() as u64),
            None => SizeHint::default(),
        }
    }
}
