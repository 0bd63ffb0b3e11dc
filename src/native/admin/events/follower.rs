//! One who follows the feed, by whatever means it is told.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use http::{HeaderValue, header};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio_util::sync::CancellationToken;

use super::{STREAMS_MAX, Streams};
use crate::native::admin::call::Call;
use crate::native::admin::problem::{Kind as Refusal, Problem};
use crate::native::shared::Shared;
use crate::native::telemetry::feed::{Gone, Kind, Line};

/// Lines that are taken from the feed at a time.
const BATCH: usize = 64;

/// A place in the feed, and one among the streams for as long as it lives.
pub(super) struct Follower {
    pub(super) shared: Arc<Shared>,
    /// The last line that was taken.
    seq: u64,
    /// Tells that there are more.
    pub(super) news: watch::Receiver<u64>,
    /// Tells that all streams end.
    pub(super) is_over: CancellationToken,
    _place: OwnedSemaphorePermit,
}

impl Follower {
    /// Follows from the line on that `call` knows, or else from the whole state,
    /// which is to be told first then.
    ///
    /// # Errors
    /// When there are as many as may be.
    pub(super) fn new(call: &Call) -> Result<(Self, Option<Line>), Problem> {
        let Streams {
            places, is_over, ..
        } = &call.admin.streams;
        let Ok(place) = Arc::clone(places).try_acquire_owned() else {
            let detail = format!("there are {STREAMS_MAX} streams, the most at a time; try later");
            return Err(Problem::new(Refusal::TooManyStreams, detail)
                .with_header(header::RETRY_AFTER, HeaderValue::from_static("5")));
        };
        let shared = Arc::clone(&call.admin.shared);
        let news = shared.feed.watch();
        let id = call.headers.get("last-event-id");
        let seq = match id {
            Some(id) => id.to_str().ok().and_then(|id| shared.feed.seq_of(id)),
            None => call.text("after").and_then(|id| shared.feed.seq_of(&id)),
        };
        // Whoever missed more than is kept begins anew.
        let seq = seq.filter(|&seq| shared.feed.after(seq, 0).is_ok());
        let state = seq.is_none().then(|| shared.state_line());
        shared.counts.streams.fetch_add(1, Relaxed);
        let follower = Self {
            seq: seq
                .or(state.as_ref().map(|line| line.seq))
                .unwrap_or_default(),
            shared,
            news,
            is_over: is_over.clone(),
            _place: place,
        };
        Ok((follower, state))
    }

    /// The next lines, some of them; `None` when there are none now.
    ///
    /// # Errors
    /// When some are kept no longer: it would be told a story with a hole in it.
    pub(super) fn take(&mut self) -> Result<Option<Vec<Line>>, Gone> {
        let taken = self.shared.feed.after(self.seq, BATCH).inspect_err(|_| {
            self.shared.counts.streams_cut.fetch_add(1, Relaxed);
        })?;
        let Some(last) = taken.last() else {
            return Ok(None);
        };
        self.seq = last.seq;
        let news = taken.into_iter().filter(|line| line.kind != Kind::Keyframe);
        Ok(Some(news.collect()))
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.shared.counts.streams.fetch_sub(1, Relaxed);
    }
}
