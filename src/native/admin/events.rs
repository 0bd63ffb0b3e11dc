//! `GET /api/events`: what happens to the fleet, as it happens or as it did.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use http_body::Frame;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::call::{Answer, Call, answer};
use super::problem::{Kind as Refusal, Problem};
use crate::native::shared::Shared;
use crate::native::telemetry::feed::{Gone, Kind};
use crate::wire::Faults;

/// Live streams at a time. Each takes one of the 256 connections for as long as
/// it lives, and most of these must be left to everybody else.
pub(super) const STREAMS_MAX: usize = 32;

/// When a client that has lost its stream should come back, in milliseconds.
const RETRY_MS: u32 = 2000;

/// Lines that a stream takes from the feed at a time.
const BATCH: usize = 64;

/// The formats, by the value of `format`.
pub(super) const FORMATS: [&str; 2] = ["jsonl", "sse"];

/// The streams that there are.
#[derive(Debug)]
pub(super) struct Streams {
    places: Arc<Semaphore>,
    is_over: CancellationToken,
}

impl Streams {
    /// None yet.
    pub(super) fn new() -> Self {
        Self {
            places: Arc::new(Semaphore::new(STREAMS_MAX)),
            is_over: CancellationToken::new(),
        }
    }

    /// Ends them all, each after what it has in hand.
    pub(super) fn end(&self) {
        self.is_over.cancel();
    }
}

pub(super) fn events(call: &Call) -> Answer {
    match call.text("format") {
        None if asks_for_stream(&call.headers) => stream(call),
        None => recent(call),
        Some(format) => match &*format {
            "jsonl" => recent(call),
            "sse" => stream(call),
            _ => {
                let allowed = FORMATS.join(" or ");
                let message = format_args!("{format:?} is not allowed; give {allowed}");
                Err(Faults::new("format", message).into())
            }
        },
    }
}

/// The last minutes, from a whole state on.
fn recent(call: &Call) -> Answer {
    let shared = &call.admin.shared;
    let mut lines = shared.feed.recent();
    if lines.is_empty() {
        lines.push(shared.state_line());
    }
    let lines: Vec<Bytes> = (lines.iter().enumerate())
        .filter(|(i, line)| *i == 0 || line.kind != Kind::Keyframe)
        .map(|(_, line)| line.json())
        .collect();
    Ok(answer(StatusCode::OK, "application/jsonl", lines.concat()))
}

fn asks_for_stream(headers: &HeaderMap) -> bool {
    headers.get_all(header::ACCEPT).iter().any(|value| {
        let medias = value.as_bytes().split(|&b| b == b',');
        let mut medias = medias.filter_map(|media| media.split(|&b| b == b';').next());
        medias.any(|media| {
            media
                .trim_ascii()
                .eq_ignore_ascii_case(b"text/event-stream")
        })
    })
}

fn stream(call: &Call) -> Answer {
    let Streams { places, is_over } = &call.admin.streams;
    let Ok(place) = Arc::clone(places).try_acquire_owned() else {
        let detail = format!("there are {STREAMS_MAX} streams, the most at a time; try later");
        return Err(Problem::new(Refusal::TooManyStreams, detail)
            .with_header(header::RETRY_AFTER, HeaderValue::from_static("5")));
    };
    let shared = Arc::clone(&call.admin.shared);
    let id = call.headers.get("last-event-id");
    let seq = id.and_then(|id| shared.feed.seq_of(id.to_str().ok()?));
    // Whoever missed more than is kept begins anew.
    let seq = seq.filter(|&seq| shared.feed.after(seq, 0).is_ok());
    let mut chunks = VecDeque::from([Bytes::from(format!("retry: {RETRY_MS}\n\n"))]);
    let news = wait(shared.feed.watch());
    let seq = seq.unwrap_or_else(|| {
        let state = shared.state_line();
        chunks.push_back(state.event());
        state.seq
    });
    shared.counts.streams.fetch_add(1, Relaxed);
    let stream = Stream {
        shared,
        seq,
        chunks,
        news,
        is_over: Box::pin(is_over.clone().cancelled_owned()),
        _place: place,
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
    shared: Arc<Shared>,
    /// The last line that was taken from the feed.
    seq: u64,
    /// What is to be sent before another is taken.
    chunks: VecDeque<Bytes>,
    news: News,
    is_over: Pin<Box<WaitForCancellationFutureOwned>>,
    _place: OwnedSemaphorePermit,
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
            match this.shared.feed.after(this.seq, BATCH) {
                Ok(lines) => {
                    this.seq = lines.last().map_or(this.seq, |line| line.seq);
                    let news = lines.iter().filter(|line| line.kind != Kind::Keyframe);
                    this.chunks.extend(news.map(|line| line.event()));
                    if !lines.is_empty() {
                        continue;
                    }
                }
                Err(Gone) => {
                    // It would be told a story with a hole in it.
                    this.shared.counts.streams_cut.fetch_add(1, Relaxed);
                    return Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into())));
                }
            }
            match this.news.as_mut().poll(cx) {
                Poll::Ready(news) => this.news = wait(news),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.shared.counts.streams.fetch_sub(1, Relaxed);
    }
}
