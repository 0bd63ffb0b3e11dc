//! Answers on their way to a client over HTTP/2, as fast as it takes them.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, SendStream};
use http::header::{CONNECTION, CONTENT_LENGTH, DATE};
use http::{HeaderValue, Response, StatusCode, Version};
use http_body::{Body, Frame};

use crate::native::clock;
use crate::native::proxy::body::ResponseBody;
use crate::native::proxy::in_hand::InHand;

/// Sends an answer, whole unless either side gives it up; to a HEAD request
/// without its body.
pub(super) async fn send(
    response: Response<ResponseBody>,
    mut respond: SendResponse<Bytes>,
    in_hand: &InHand,
    is_to_head: bool,
) {
    let (mut head, body) = response.into_parts();
    head.version = Version::HTTP_2;
    let headers = &mut head.headers;
    // What the proxy itself says of connections that carry one request at a time.
    headers.remove(CONNECTION);
    if !headers.contains_key(DATE) {
        headers.insert(DATE, date());
    }
    if let Some(length) = body.size_hint().exact()
        && !headers.contains_key(CONTENT_LENGTH)
        && has_length(head.status, length, is_to_head)
    {
        headers.insert(CONTENT_LENGTH, length.into());
    }
    let is_end = is_to_head || body.is_end_stream();
    let Ok(to) = respond.send_response(Response::from_parts(head, ()), is_end) else {
        // Of no consequence if the client has left.
        return respond.send_reset(Reason::INTERNAL_ERROR);
    };
    if !is_end {
        pass(body, to, in_hand).await;
    }
}

/// Whether the length of a body is said: not where there cannot be one, nor
/// where it is that of what HEAD leaves out.
fn has_length(status: StatusCode, length: u64, is_to_head: bool) -> bool {
    let has_none = status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    !has_none && (length > 0 || !is_to_head)
}

/// The time of an answer that does not say it.
fn date() -> HeaderValue {
    let now = UNIX_EPOCH + Duration::from_nanos(clock::now().as_nanos());
    // A date has only letters, digits and the like.
    HeaderValue::try_from(httpdate::fmt_http_date(now)).unwrap_or(HeaderValue::from_static(""))
}

/// Why an answer ends early.
enum Cut {
    /// The client has given it up.
    ByClient,
    /// The server has broken it off.
    ByServer,
    /// Nothing has moved for too long.
    Late,
}

async fn pass(mut body: ResponseBody, mut to: SendStream<Bytes>, in_hand: &InHand) {
    let passed = pass_frames(&mut body, &mut to, in_hand).await;
    match passed {
        Ok(()) | Err(Cut::ByClient) => {}
        // Else what it has would pass for all of it.
        Err(Cut::ByServer) => to.send_reset(Reason::INTERNAL_ERROR),
        Err(Cut::Late) => to.send_reset(Reason::CANCEL),
    }
}

async fn pass_frames(
    body: &mut ResponseBody,
    to: &mut SendStream<Bytes>,
    in_hand: &InHand,
) -> Result<(), Cut> {
    let gone = |_| Cut::ByClient;
    while let Some(frame) = next(body, to, in_hand).await? {
        match frame.into_data() {
            Ok(mut data) => {
                let is_last = body.is_end_stream();
                if data.is_empty() && is_last {
                    break;
                }
                while !data.is_empty() {
                    let room = room(to, data.len(), in_hand).await?;
                    let part = data.split_to(room.min(data.len()));
                    to.send_data(part, is_last && data.is_empty())
                        .map_err(gone)?;
                    in_hand.has_written();
                }
                if is_last {
                    return Ok(());
                }
            }
            Err(frame) => {
                if let Ok(trailers) = frame.into_trailers() {
                    return to.send_trailers(trailers).map_err(gone);
                }
            }
        }
    }
    to.send_data(Bytes::new(), true).map_err(gone)
}

/// The next frame of the body.
async fn next(
    body: &mut ResponseBody,
    to: &mut SendStream<Bytes>,
    in_hand: &InHand,
) -> Result<Option<Frame<Bytes>>, Cut> {
    poll_fn(|cx| {
        in_hand.timer.watch(cx);
        if let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(cx) {
            return Poll::Ready(frame.transpose().map_err(|_| Cut::ByServer));
        }
        if to.poll_reset(cx).is_ready() {
            return Poll::Ready(Err(Cut::ByClient));
        }
        match in_hand.timer.is_due() {
            true => Poll::Ready(Err(Cut::Late)),
            false => Poll::Pending,
        }
    })
    .await
}

/// How many of `n` bytes the client takes now.
async fn room(to: &mut SendStream<Bytes>, n: usize, in_hand: &InHand) -> Result<usize, Cut> {
    to.reserve_capacity(n);
    poll_fn(|cx| {
        in_hand.timer.watch(cx);
        loop {
            let room = to.capacity();
            if room > 0 {
                return Poll::Ready(Ok(room));
            }
            match to.poll_capacity(cx) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(Err(Cut::ByClient)),
                Poll::Pending if in_hand.timer.is_due() => return Poll::Ready(Err(Cut::Late)),
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await
}
