//! The recording: every line of the feed in a file, from which the history of
//! the fleet can be told again.
//!
//! It begins with the whole state. A file that is full is set aside, as
//! `FILE.1`, and a new one begins in the same way; so there are never more than
//! two, and each can be read by itself.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::feed::{Gone, Kind, Line};
use crate::native::shared::Shared;

/// Lines that are written at a time.
const BATCH: usize = 256;

/// What is recorded, and where.
#[derive(Debug)]
pub struct Recorder {
    shared: Arc<Shared>,
    file: PathBuf,
    bytes_max: u64,
    out: BufWriter<File>,
    n_bytes: u64,
    /// The last line that is in the file.
    seq: u64,
    /// Whether the last line may be half written.
    is_broken: bool,
}

impl Recorder {
    /// Appends to `file`, of which there are never more than about `bytes_max`
    /// bytes, and as many in the one set aside.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn new(shared: Arc<Shared>, file: PathBuf, bytes_max: u64) -> io::Result<Self> {
        let (out, n_bytes) = append_to(&file)?;
        let mut recorder = Self {
            shared,
            file,
            bytes_max,
            out,
            n_bytes,
            seq: 0,
            is_broken: false,
        };
        recorder.begin()?;
        recorder.out.flush()?;
        Ok(recorder)
    }

    /// Records until `stop` is cancelled, and to the last line before that.
    pub async fn run(self, stop: CancellationToken) {
        let shared = Arc::clone(&self.shared);
        let mut news = shared.feed.watch();
        let mut recorder = self;
        loop {
            let is_over = tokio::select! {
                () = stop.cancelled() => true,
                // The sender lives as long as `shared`.
                _ = news.changed() => false,
            };
            // On a thread where waiting for a disk harms nobody.
            let written = tokio::task::spawn_blocking(move || {
                recorder.follow();
                recorder
            });
            match written.await {
                Ok(back) if !is_over => recorder = back,
                Ok(_) => return,
                Err(error) => {
                    error!(%error, "the recording has ended");
                    return;
                }
            }
        }
    }

    /// Writes what is new. A full disk is told of once, and again when it was
    /// whole meanwhile.
    fn follow(&mut self) {
        match self.write_news() {
            Ok(()) => self.is_broken = false,
            Err(error) => {
                self.shared.counts.record_failed.fetch_add(1, Relaxed);
                if !self.is_broken {
                    error!(%error, file = %self.file.display(), "cannot record; trying on");
                }
                self.is_broken = true;
            }
        }
    }

    fn write_news(&mut self) -> io::Result<()> {
        if self.is_broken {
            // What is half written must not spoil what follows.
            (self.out, self.n_bytes) = append_to(&self.file)?;
            self.put(b"\n")?;
            self.begin()?;
        }
        loop {
            match self.shared.feed.after(self.seq, BATCH) {
                Ok(lines) if lines.is_empty() => break,
                Ok(lines) => self.write(&lines)?,
                Err(Gone) => {
                    warn!("the recording has missed lines; it begins anew");
                    self.begin()?;
                }
            }
            if self.n_bytes > self.bytes_max {
                self.set_aside()?;
            }
        }
        self.out.flush()
    }

    fn write(&mut self, lines: &[Line]) -> io::Result<()> {
        for line in lines {
            if line.kind != Kind::Keyframe {
                self.put(&line.json())?;
            }
            self.seq = line.seq;
        }
        Ok(())
    }

    /// Writes the whole state; what comes after it is new.
    fn begin(&mut self) -> io::Result<()> {
        let state = self.shared.state_line();
        self.put(&state.json())?;
        self.seq = state.seq;
        Ok(())
    }

    /// Begins a new file. What happened before its state is in the old one.
    fn set_aside(&mut self) -> io::Result<()> {
        let state = self.shared.state_line();
        while self.seq < state.seq {
            let n = usize::try_from(state.seq - self.seq).unwrap_or(BATCH);
            let Ok(lines) = self.shared.feed.after(self.seq, n.min(BATCH)) else {
                break;
            };
            self.write(&lines)?;
        }
        self.out.flush()?;
        let mut aside = self.file.clone().into_os_string();
        aside.push(".1");
        fs::rename(&self.file, aside)?;
        (self.out, self.n_bytes) = append_to(&self.file)?;
        self.put(&state.json())?;
        self.seq = state.seq;
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.n_bytes += bytes.len() as u64;
        self.out.write_all(bytes)
    }
}

fn append_to(path: &Path) -> io::Result<(BufWriter<File>, u64)> {
    let explain = |error: io::Error| {
        let message = format!("--record {}: cannot be opened: {error}", path.display());
        io::Error::new(error.kind(), message)
    };
    let file = OpenOptions::new().create(true).append(true).open(path);
    let file = file.map_err(explain)?;
    let n_bytes = file.metadata().map_err(explain)?.len();
    Ok((BufWriter::new(file), n_bytes))
}
