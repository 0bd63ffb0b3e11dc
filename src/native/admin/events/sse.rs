//! The feed as server-sent events.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};
use http_body::Frame;
use tokio::sync::watch;
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::follower::Follower;
use crate::native::admin::call::{Answer, Call, answer};
use crate::native::telemetry::feed::{Gone, Line};

/// When a client that has lost its stream should come back, in milliseconds.
const RETRY_MS: u32 = 2000;

pub(super) fn start(call: &Call) -> Answer {
    let (follower, state) = Follower::new(call)?;
    let mut chunks = VecDeque::from([Bytes::from(format!("retry: {RETRY_MS}\n\n"))]);
    chunks.extend(state.as_ref().map(Line::event));
    let stream = Stream {
        news: wait(follower.news.clone()),
        is_over: Box::pin(follower.is_over.clone().cancelled_owned()),
        follower,
        chunks,
    };
    let mut response = answer(StatusCode::OK, "text/event-stream", Body::new(stream));
    // Proxies that gather what they pass on would hold events back.
    let name = HeaderName::from_static("x-accel-buffering");
    response
        .headers_mut()
        .insert(name, HeaderValue::from_static("no"));
    Ok(response)
}

type News = Pin<Box<dyn Future<Output = watch::Receiver<u64>> + Send>>;

/// Ends when there is a line that was not there at its beginning.
fn wait(mut news: watch::Receiver<u64>) -> News {
    Box::pin(async move {
        // The sender lives as long as the feed, and that as long as the stream.
        let _ = news.changed().await;
        news
    })
}

/// The body of a live stream.
struct Stream {
    follower: Follower,
    /// What is to be sent before another is taken.
    chunks: VecDeque<Bytes>,
    news: News,
    is_over: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl http_body::Body for Stream {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = &mut *self;
        loop {
            if let Some(chunk) = this.chunks.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(chunk))));
            }
            if this.is_over.as_mut().poll(cx).is_ready() {
                return Poll::Ready(None);
            }
            match this.follower.take() {
                Ok(Some(lines)) => {
                    this.chunks.extend(lines.iter().map(Line::event));
                    continue;
                }
                Ok(None) => {}
                Err(Gone) => return Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into()))),
            }
            match this.news.as_mut().poll(cx) {
                Poll::Ready(news) => this.news = wait(news),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
