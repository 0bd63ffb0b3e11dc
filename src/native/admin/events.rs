//! `GET /api/events`: what happens to the fleet, as it happens or as it did.

mod follower;
mod sse;
mod websocket;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::call::{Answer, Call, answer};
use crate::native::telemetry::feed::{Kind, Line};
use crate::wire::Faults;

/// Live streams at a time. Each takes one of the 256 connections for as long as
/// it lives, and most of these must be left to everybody else.
pub(super) const STREAMS_MAX: usize = 32;

/// The formats, by the value of `format`.
pub(super) const FORMATS: [&str; 2] = ["jsonl", "sse"];

/// The streams that there are.
#[derive(Debug)]
pub(super) struct Streams {
    places: Arc<Semaphore>,
    is_over: CancellationToken,
    /// Those that have left their connection's task.
    sockets: TaskTracker,
}

impl Streams {
    /// None yet.
    pub(super) fn new() -> Self {
        Self {
            places: Arc::new(Semaphore::new(STREAMS_MAX)),
            is_over: CancellationToken::new(),
            sockets: TaskTracker::new(),
        }
    }

    /// Ends them all, each after what it has in hand.
    pub(super) fn end(&self) {
        self.is_over.cancel();
        self.sockets.close();
    }

    /// Waits until the WebSockets have ended, too.
    pub(super) async fn ended(&self) {
        self.sockets.wait().await;
    }
}

pub(super) fn events(call: &Call) -> Answer {
    if websocket::is_asked_for(&call.headers) {
        return websocket::start(call);
    }
    match call.text("format") {
        None if asks_for_stream(&call.headers) => sse::start(call),
        None => lines(call),
        Some(format) => match &*format {
            "jsonl" => lines(call),
            "sse" => sse::start(call),
            _ => {
                let allowed = FORMATS.join(" or ");
                let message = format_args!("{format:?} is not allowed; give {allowed}");
                Err(Faults::new("format", message).into())
            }
        },
    }
}

/// The lines after the one that is known, or those of the last minutes.
fn lines(call: &Call) -> Answer {
    let shared = &call.admin.shared;
    shared.asks_for_lines();
    let known = call.text("after").map(|id| {
        let seq = shared.feed.seq_of(&id);
        seq.and_then(|seq| shared.feed.after(seq, usize::MAX).ok())
    });
    let lines = match known {
        Some(Some(lines)) => news(&lines),
        Some(None) => vec![shared.state_line().json()],
        None => recent(call),
    };
    Ok(answer(StatusCode::OK, "application/jsonl", lines.concat()))
}

/// The last minutes, from a whole state on.
fn recent(call: &Call) -> Vec<Bytes> {
    let shared = &call.admin.shared;
    let lines = shared.feed.recent();
    let Some((state, lines)) = lines.split_first() else {
        return vec![shared.state_line().json()];
    };
    let mut texts = vec![state.json()];
    texts.append(&mut news(lines));
    texts
}

/// What is new to who knows the state.
fn news(lines: &[Line]) -> Vec<Bytes> {
    let lines = lines.iter().filter(|line| line.kind != Kind::Keyframe);
    lines.map(Line::json).collect()
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
