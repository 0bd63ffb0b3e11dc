//! What happens to the fleet, as lines that any number of readers follow: live
//! streams, a recording.
//!
//! Each line is serialised once and kept in a ring, for whoever comes back and
//! wants what it missed. A reader is a number, that of the last line it had; one
//! that is so slow that the ring has gone past it has lost its place.

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::watch;

/// The most lines that are kept: with one each second, a quarter of an hour.
const LINES_MAX: usize = 1024;

/// The most bytes that they have: ticks of a thousand servers are 60 KB, so this
/// is two minutes of such a fleet, and never reached by one of ten.
const BYTES_MAX: usize = 8 << 20;

/// The lines, and who is to know that there are more.
#[derive(Debug)]
pub struct Feed {
    /// Tells the lines of this process from those of one before it.
    boot: String,
    ring: Mutex<Ring>,
    last: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Ring {
    /// The number of the last line; the first one's is 1.
    last: u64,
    lines: VecDeque<Line>,
    n_bytes: usize,
}

/// One line.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its number.
    pub seq: u64,
    /// What it is.
    pub kind: Kind,
    frame: Bytes,
    json: Range<usize>,
}

/// What a line is to its readers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Something that happened, or figures.
    News,
    /// The whole state, since so much has changed.
    Snapshot,
    /// The whole state, for those who begin to read here; others know it.
    Keyframe,
}

/// The lines that were asked for are there no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

impl Default for Feed {
    fn default() -> Self {
        Self::new()
    }
}

impl Feed {
    /// Without a line.
    #[expect(
        clippy::disallowed_types,
        reason = "a name for this process that no other has; nothing is routed by it"
    )]
    pub fn new() -> Self {
        // The standard library keys its hasher by the system's randomness.
        let random = std::hash::RandomState::new().hash_one("boot");
        Self {
            boot: format!("{random:016x}"),
            ring: Mutex::default(),
            last: watch::Sender::new(0),
        }
    }

    /// The name of this process, unlike that of any other.
    pub fn boot(&self) -> &str {
        &self.boot
    }

    /// Whether anybody waits for further lines.
    pub fn is_followed(&self) -> bool {
        self.last.receiver_count() > 0
    }

    /// The number of the last line.
    pub fn last(&self) -> u64 {
        self.lock().last
    }

    /// Adds a line of this kind; `make` gets its number and says what it is called.
    pub fn push<T: Serialize>(&self, kind: Kind, make: impl FnOnce(u64) -> (&'static str, T)) {
        let mut ring = self.lock();
        ring.last += 1;
        let seq = ring.last;
        let (name, shape) = make(seq);
        let line = self.line(seq, kind, name, &shape);
        ring.n_bytes += line.frame.len();
        ring.lines.push_back(line);
        while ring.lines.len() > LINES_MAX || ring.n_bytes > BYTES_MAX && ring.lines.len() > 1 {
            let gone = ring.lines.pop_front();
            ring.n_bytes -= gone.map_or(0, |line| line.frame.len());
        }
        drop(ring);
        self.last.send_replace(seq);
    }

    /// A line that is not kept.
    pub fn line<T: Serialize>(&self, seq: u64, kind: Kind, name: &str, shape: &T) -> Line {
        let mut frame = format!("id: {}.{seq}\nevent: {name}\ndata: ", self.boot).into_bytes();
        let start = frame.len();
        // Shapes have only texts for keys and no serialiser of their own that fails.
        let _ = serde_json::to_writer(&mut frame, shape);
        frame.extend_from_slice(b"\n\n");
        Line {
            seq,
            kind,
            json: start..frame.len() - 1,
            frame: frame.into(),
        }
    }

    /// The lines after the line `seq`, at most `n_max`.
    ///
    /// # Errors
    /// When there are some that are kept no longer.
    pub fn after(&self, seq: u64, n_max: usize) -> Result<Vec<Line>, Gone> {
        let ring = self.lock();
        let first = ring.last + 1 - ring.lines.len() as u64;
        let Some(skip) = (seq + 1).checked_sub(first) else {
            return Err(Gone);
        };
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        Ok(ring.lines.iter().skip(skip).take(n_max).cloned().collect())
    }

    /// The lines that are kept, from the first that has the whole state.
    pub fn recent(&self) -> Vec<Line> {
        let ring = self.lock();
        let lines = ring.lines.iter();
        let from_state = lines.skip_while(|line| line.kind == Kind::News);
        from_state.cloned().collect()
    }

    /// The line by whose `id` a reader comes back, if it is one of this process.
    pub fn seq_of(&self, id: &str) -> Option<u64> {
        let (boot, seq) = id.split_once('.')?;
        let seq = seq.parse().ok()?;
        (boot == self.boot && seq <= self.last()).then_some(seq)
    }

    /// Tells of each further line.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.last.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    /// As an event of `text/event-stream`.
    pub fn event(&self) -> Bytes {
        self.frame.clone()
    }

    /// As an object of JSON, with the end of its line.
    pub fn json(&self) -> Bytes {
        self.frame.slice(self.json.clone())
    }

    /// The same without that.
    pub fn message(&self) -> Bytes {
        self.frame.slice(self.json.start..self.json.end - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(feed: &Feed, kind: Kind, size: usize) {
        feed.push(kind, |seq| ("x", (seq, "x".repeat(size))));
    }

    #[test]
    fn readers_find_every_line_or_that_they_are_too_late() {
        let feed = Feed::new();
        assert_eq!(feed.after(0, 9).map(|lines| lines.len()), Ok(0));
        for _ in 0..LINES_MAX {
            push(&feed, Kind::News, 1);
        }
        let lines = feed.after(0, 2).expect("all are there");
        assert_eq!([lines[0].seq, lines[1].seq], [1, 2]);
        assert_eq!(lines[0].json(), "[1,\"x\"]\n");
        let frame = format!("id: {}.1\nevent: x\ndata: [1,\"x\"]\n\n", feed.boot());
        assert_eq!(lines[0].event(), frame);
        push(&feed, Kind::News, 1);
        assert_eq!(feed.after(0, 2).err(), Some(Gone));
        assert_eq!(feed.after(1, 2).expect("these are").len(), 2);
        let last = feed.last();
        assert_eq!(feed.after(last, 2).expect("none").len(), 0);
        assert_eq!(feed.seq_of(&format!("{}.7", feed.boot())), Some(7));
        for foreign in ["", "7", "x.7", &format!("{}.9999", feed.boot())] {
            assert_eq!(feed.seq_of(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn lines_are_kept_up_to_so_many_bytes_and_read_from_a_state_on() {
        let feed = Feed::new();
        push(&feed, Kind::Keyframe, BYTES_MAX / 4);
        push(&feed, Kind::News, BYTES_MAX / 4);
        assert_eq!(feed.recent().len(), 2);
        push(&feed, Kind::News, BYTES_MAX / 4);
        push(&feed, Kind::Snapshot, BYTES_MAX / 4);
        push(&feed, Kind::News, 1);
        let seqs: Vec<u64> = feed.recent().iter().map(|line| line.seq).collect();
        assert_eq!(seqs, [4, 5]);
        push(&feed, Kind::News, 2 * BYTES_MAX);
        assert_eq!(feed.after(5, 9).expect("the last is kept").len(), 1);
        assert_eq!(feed.recent().len(), 0);
    }
}
