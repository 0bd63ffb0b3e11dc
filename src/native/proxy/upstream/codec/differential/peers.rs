//! What each of the two makes of one exchange, without a runtime: both are
//! polled in turns until nothing moves any more.

use std::fmt;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body::Body;
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper::ext::ReasonPhrase;
use hyper_util::rt::TokioIo;

use super::super::{Connection, Fault};
use super::generator::{Frames, Made};
use super::script::{Record, Script};

/// What came of an exchange. Why an answer was refused is not compared.
#[derive(Clone)]
pub(super) enum Verdict {
    /// No answer.
    None {
        end: Ended,
        why: Option<&'static str>,
    },
    /// An answer, or the beginning of one.
    Answer {
        status: StatusCode,
        reason: Option<Bytes>,
        headers: Vec<(String, Bytes)>,
        body: Vec<u8>,
        trailers: Vec<(String, Bytes)>,
        end: Ended,
        /// Whether the connection may be used again.
        is_reusable: bool,
        why: Option<&'static str>,
        asked_head: bool,
    },
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Whole,
    /// The connection ended first.
    Broken,
    /// What came was not well-formed.
    Malformed,
    /// It has not ended.
    Waits,
}

impl fmt::Debug for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None { end, why } => write!(f, "no answer, {end:?} {why:?}"),
            Self::Answer {
                status,
                reason,
                headers,
                body,
                trailers,
                end,
                is_reusable,
                why,
                ..
            } => write!(
                f,
                "{status} {reason:?} {headers:?}, {} bytes {:?}, {trailers:?}, {end:?} {why:?}, \
                 reusable: {is_reusable}",
                body.len(),
                Bytes::copy_from_slice(&body[..body.len().min(200)]),
            ),
        }
    }
}

impl PartialEq for Verdict {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::None { end: a, .. }, Self::None { end: b, .. }) => a == b,
            (
                Self::Answer {
                    status,
                    reason,
                    headers,
                    body,
                    trailers,
                    end,
                    is_reusable,
                    ..
                },
                Self::Answer {
                    status: status_b,
                    reason: reason_b,
                    headers: headers_b,
                    body: body_b,
                    trailers: trailers_b,
                    end: end_b,
                    is_reusable: is_reusable_b,
                    ..
                },
            ) => {
                (status, reason, headers, body) == (status_b, reason_b, headers_b, body_b)
                    && (trailers, end, is_reusable) == (trailers_b, end_b, is_reusable_b)
            }
            _ => false,
        }
    }
}

impl Verdict {
    /// Its place among the kinds of verdicts that there are.
    pub(super) fn kind(&self) -> usize {
        match self {
            Self::None { end, .. } => match end {
                Ended::Whole | Ended::Broken => 0,
                Ended::Malformed => 1,
                Ended::Waits => 2,
            },
            Self::Answer {
                end,
                is_reusable,
                trailers,
                ..
            } => match end {
                Ended::Broken | Ended::Malformed => 3,
                Ended::Waits => 4,
                Ended::Whole if !trailers.is_empty() => 5,
                Ended::Whole if *is_reusable => 6,
                Ended::Whole => 7,
            },
        }
    }

    pub(super) fn asked_head(&self) -> bool {
        matches!(
            self,
            Self::Answer {
                asked_head: true,
                ..
            }
        )
    }

    /// The same without trailers that frame or direct a message.
    pub(super) fn less_trailers(&self) -> Option<Self> {
        let mut verdict = self.clone();
        if let Self::Answer { trailers, .. } = &mut verdict {
            let dropped = [
                "connection",
                "content-length",
                "host",
                "te",
                "trailer",
                "transfer-encoding",
                "upgrade",
                "keep-alive",
                "proxy-connection",
            ];
            trailers.retain(|(name, _)| !dropped.contains(&&**name));
            return Some(verdict);
        }
        None
    }

    /// The same with a connection that is not used again.
    pub(super) fn used_up(mut self) -> Self {
        if let Self::Answer { is_reusable, .. } = &mut self {
            *is_reusable = false;
        }
        self
    }
}

fn lines(headers: &HeaderMap) -> Vec<(String, Bytes)> {
    let fields = headers.iter();
    fields
        .map(|(name, value)| (name.to_string(), Bytes::copy_from_slice(value.as_bytes())))
        .collect()
}

/// The fields of a head, `Connection` last and without what is so anyway: that
/// `keep-alive` we do not pass on.
fn fields(headers: &HeaderMap) -> Vec<(String, Bytes)> {
    let mut lines = lines(headers);
    lines.retain(|(name, value)| !(name == "connection" && value == "keep-alive"));
    lines.sort_by_key(|(name, _)| name == "connection");
    lines
}

fn request(asks_head: bool) -> Request<Empty<Bytes>> {
    let mut request = Request::new(Empty::new());
    if asks_head {
        *request.method_mut() = Method::HEAD;
    }
    request
}

/// After so many turns without anything to show, nothing more will come.
fn n_turns(script: &Script) -> usize {
    2 * script.n_pieces() + script.n_bytes() / 1000 + 8
}

/// What hyper makes of it.
pub(super) fn hyper(script: Script, asks_head: bool) -> Verdict {
    let mut cx = Context::from_waker(Waker::noop());
    let n_turns = n_turns(&script);
    let handshake = pin!(http1::handshake(TokioIo::new(script)));
    let Poll::Ready(Ok((mut sender, connection))) = handshake.poll(&mut cx) else {
        panic!("a handshake does not wait");
    };
    let mut connection = Some(Box::pin(connection));
    let mut sending = pin!(sender.try_send_request(request(asks_head)));
    let mut drive = |cx: &mut Context<'_>| {
        if let Some(running) = &mut connection
            && running.as_mut().poll(cx).is_ready()
        {
            connection = None;
        }
    };
    let mut response = None;
    for _ in 0..n_turns {
        drive(&mut cx);
        match sending.as_mut().poll(&mut cx) {
            Poll::Ready(Ok(answer)) => {
                response = Some(answer);
                break;
            }
            Poll::Ready(Err(error)) => {
                let end = match error.error().is_parse() {
                    true => Ended::Malformed,
                    false => Ended::Broken,
                };
                return Verdict::None { end, why: None };
            }
            Poll::Pending => {}
        }
    }
    let Some(response) = response else {
        return Verdict::None {
            end: Ended::Waits,
            why: None,
        };
    };
    let (head, mut incoming) = response.into_parts();
    let (mut body, mut trailers, mut end) = (Vec::new(), Vec::new(), Ended::Waits);
    let is_switched = head.status == StatusCode::SWITCHING_PROTOCOLS;
    let mut n_idle = 0;
    while end == Ended::Waits && n_idle < n_turns {
        match Pin::new(&mut incoming).poll_frame(&mut cx) {
            Poll::Ready(Some(Ok(frame))) => {
                n_idle = 0;
                match frame.into_data() {
                    Ok(data) => body.extend_from_slice(&data),
                    Err(frame) => trailers.extend(frame.trailers_ref().map(lines)),
                }
            }
            Poll::Ready(None) => end = Ended::Whole,
            Poll::Ready(Some(Err(_))) => end = Ended::Broken,
            Poll::Pending => {
                n_idle += 1;
                drive(&mut cx);
            }
        }
    }
    // It looks at what comes behind an answer in its own time.
    (0..n_turns).for_each(|_| drive(&mut cx));
    let is_reusable = end == Ended::Whole && sender.is_ready() && !is_switched;
    Verdict::Answer {
        status: head.status,
        reason: head
            .extensions
            .get::<ReasonPhrase>()
            .map(|words| Bytes::copy_from_slice(words.as_bytes())),
        headers: fields(&head.headers),
        body,
        trailers: trailers.concat(),
        end,
        is_reusable,
        why: None,
        asked_head: asks_head,
    }
}

fn refusal(fault: &Fault) -> (Ended, Option<&'static str>) {
    match fault {
        Fault::Bad(why) => (Ended::Malformed, Some(why.0)),
        _ => (Ended::Broken, None),
    }
}

/// What our codec makes of it.
pub(super) fn own(script: Script, asks_head: bool) -> Verdict {
    let mut cx = Context::from_waker(Waker::noop());
    let n_turns = n_turns(&script);
    let mut connection = Connection::new(script);
    let mut request = request(asks_head);
    let mut upload = connection.begin(&mut request).expect("a good request");
    let mut headers = HeaderMap::new();
    let mut answer = None;
    for _ in 0..n_turns {
        match connection.poll_answer(&mut cx, &mut upload, &mut headers) {
            Poll::Ready(Ok(head)) => {
                answer = Some(head);
                break;
            }
            Poll::Ready(Err(fault)) => {
                let (end, why) = refusal(&fault);
                return Verdict::None { end, why };
            }
            Poll::Pending => {}
        }
    }
    let Some(mut answer) = answer else {
        return Verdict::None {
            end: Ended::Waits,
            why: None,
        };
    };
    let (mut body, mut trailers, mut end, mut why) = (Vec::new(), Vec::new(), Ended::Waits, None);
    if let Some(whole) = connection.whole(&mut answer.decoder) {
        (body, end) = (whole.to_vec(), Ended::Whole);
    }
    for _ in 0..n_turns {
        while end == Ended::Waits {
            match connection.poll_body(&mut cx, &mut answer.decoder) {
                Poll::Ready(Ok(Some(frame))) => match frame.into_data() {
                    Ok(data) => body.extend_from_slice(&data),
                    Err(frame) => trailers.extend(frame.trailers_ref().map(lines)),
                },
                Poll::Ready(Ok(None)) => end = Ended::Whole,
                Poll::Ready(Err(fault)) => (end, why) = (Ended::Broken, refusal(&fault).1),
                Poll::Pending => break,
            }
        }
    }
    let is_reusable =
        end == Ended::Whole && answer.keeps && connection.is_at_rest() && connection.is_fit();
    Verdict::Answer {
        status: answer.status,
        reason: answer.reason,
        headers: fields(&headers),
        body,
        trailers: trailers.concat(),
        end,
        is_reusable,
        why,
        asked_head: asks_head,
    }
}

/// The bytes that hyper writes for a request.
pub(super) fn hyper_written(script: Script, made: &Made) -> Vec<u8> {
    let mut cx = Context::from_waker(Waker::noop());
    let record = Record::default();
    let mut builder = http1::Builder::new();
    builder.writev(false);
    let handshake = builder.handshake(TokioIo::new(script.recorded(&record)));
    let Poll::Ready(Ok((mut sender, mut connection))) = pin!(handshake).poll(&mut cx) else {
        panic!("a handshake does not wait");
    };
    let mut sending = pin!(sender.try_send_request(made.request()));
    until_quiet(&record, || {
        let is_over = Pin::new(&mut connection).poll(&mut cx).is_ready();
        sending.as_mut().poll(&mut cx).is_ready() || is_over
    });
    record.take()
}

/// The bytes that our codec writes for it.
pub(super) fn own_written(script: Script, made: &Made) -> Vec<u8> {
    let mut cx = Context::from_waker(Waker::noop());
    let record = Record::default();
    let mut connection = Connection::new(script.recorded(&record));
    let mut request: Request<Frames> = made.request();
    let Ok(mut upload) = connection.begin(&mut request) else {
        return record.take();
    };
    let mut headers = HeaderMap::new();
    until_quiet(&record, || {
        let answer = connection.poll_answer(&mut cx, &mut upload, &mut headers);
        answer.is_ready()
    });
    record.take()
}

/// Takes turns until it is over, or nothing is written any more.
fn until_quiet(record: &Record, mut turn: impl FnMut() -> bool) {
    let mut n_idle = 0;
    while n_idle < 10 {
        let n_before = record.borrow().len();
        if turn() {
            break;
        }
        n_idle = if record.borrow().len() == n_before {
            n_idle + 1
        } else {
            0
        };
    }
}
