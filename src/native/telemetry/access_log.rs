//! The access log: a line of JSON for each request, written when its answer
//! has ended.
//!
//! Workers never wait for it. Lines go through a bounded queue to one thread
//! that writes; what finds the queue full is dropped and counted.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use http::{HeaderValue, Method, Request, StatusCode, Uri};
use tracing::{error, warn};

use crate::config;
use crate::engine::{ServerName, Timestamp};
use crate::wire::{AccessLogLine, rfc3339};

/// Lines waiting to be written: at 100,000 requests a second, 80 ms of them,
/// and about 4 MiB.
const QUEUE_MAX: usize = 8192;

/// Hands entries to the thread that writes them; clone one for each worker.
#[derive(Clone, Debug)]
pub struct AccessLog {
    queue: SyncSender<Entry>,
    n_dropped: Arc<AtomicU64>,
}

/// The thread that writes; ends, with everything written, when every
/// [`AccessLog`] is gone.
#[derive(Debug)]
pub struct Writer(JoinHandle<()>);

/// What is noted of one request.
#[derive(Debug)]
pub struct Entry {
    /// The client's IP address.
    client_ip: Box<str>,
    method: Method,
    uri: Uri,
    /// The id it was forwarded under; `None` if it was refused.
    pub request_id: Option<HeaderValue>,
    began: Timestamp,
    status: StatusCode,
    answered: Timestamp,
    ended: Timestamp,
    /// The server that answered, if one did.
    pub server: Option<ServerName>,
    /// How many servers were tried for that.
    pub n_attempts: usize,
    /// Bytes of the answer's body that were passed on.
    pub n_bytes: u64,
}

impl AccessLog {
    /// Opens the log that configuration asks for, if it asks for one.
    ///
    /// # Errors
    /// When its file cannot be opened.
    pub fn open(config: &config::AccessLog) -> io::Result<Option<(Self, Writer)>> {
        let sink: Box<dyn Write + Send> = match config.to.as_deref() {
            None => return Ok(None),
            Some("stdout") => Box::new(io::stdout()),
            Some(path) => Box::new(OpenOptions::new().create(true).append(true).open(path)?),
        };
        Self::to(sink).map(Some)
    }

    /// A log that is written to `sink`.
    ///
    /// # Errors
    /// When no thread can be made.
    pub fn to(sink: impl Write + Send + 'static) -> io::Result<(Self, Writer)> {
        let (queue, lines) = sync_channel(QUEUE_MAX);
        let n_dropped = Arc::new(AtomicU64::new(0));
        let log = Self {
            queue,
            n_dropped: Arc::clone(&n_dropped),
        };
        let writer = thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || write_all(&lines, BufWriter::new(sink), &n_dropped))?;
        Ok((log, Writer(writer)))
    }

    /// Has `entry` written; never waits.
    pub fn write(&self, entry: Entry) {
        if self.queue.try_send(entry).is_err() {
            self.n_dropped.fetch_add(1, Relaxed);
        }
    }

    /// Lines that were dropped because writing could not keep up.
    pub fn dropped(&self) -> u64 {
        self.n_dropped.load(Relaxed)
    }
}

impl Writer {
    /// Waits until everything is written; blocks the thread.
    pub fn join(self) {
        if self.0.join().is_err() {
            error!("the thread of the access log has panicked");
        }
    }
}

impl Entry {
    /// What is known when the request has come.
    pub fn new<B>(client_ip: &str, request: &Request<B>, now: Timestamp) -> Self {
        Self {
            client_ip: client_ip.into(),
            method: request.method().clone(),
            uri: request.uri().clone(),
            request_id: None,
            began: now,
            status: StatusCode::OK,
            answered: now,
            ended: now,
            server: None,
            n_attempts: 0,
            n_bytes: 0,
        }
    }

    /// The head of its answer has been found.
    pub fn answered(&mut self, status: StatusCode, now: Timestamp) {
        self.status = status;
        self.answered = now;
    }

    /// Its answer has ended.
    pub fn ended(&mut self, now: Timestamp) {
        self.ended = now;
    }

    fn line(&self) -> AccessLogLine<'_> {
        AccessLogLine {
            time: rfc3339(self.began.as_millis()),
            client_ip: &self.client_ip,
            method: self.method.as_str(),
            path: self.uri.path_and_query().map_or("", |path| path.as_str()),
            status: self.status.as_u16(),
            bytes: self.n_bytes,
            head_ms: self.answered.since(self.began).as_secs_f64() * 1e3,
            total_ms: self.ended.since(self.began).as_secs_f64() * 1e3,
            server: self.server.as_ref().map(ServerName::as_str),
            attempts: self.n_attempts,
            request_id: self.request_id.as_ref().and_then(|id| id.to_str().ok()),
        }
    }
}

/// Writes lines until there are no more, and sees to it that they can be read
/// as soon as there is a pause.
fn write_all(lines: &Receiver<Entry>, mut sink: BufWriter<impl Write>, n_dropped: &AtomicU64) {
    let mut n_dropped_told = 0;
    let mut is_broken = false;
    while let Ok(first) = lines.recv() {
        let mut next = Some(first);
        let mut result = Ok(());
        while let Some(entry) = next {
            result = result.and(entry.line().write_to(&mut sink));
            next = lines.try_recv().ok();
        }
        result = result.and(sink.flush());
        // A full disk is told of once, and again when it was whole meanwhile.
        match result {
            Err(error) if !is_broken => {
                error!(%error, "cannot write the access log; trying on");
                is_broken = true;
            }
            result => is_broken = result.is_err(),
        }
        let n = n_dropped.load(Relaxed);
        if n != n_dropped_told {
            warn!(
                dropped = n,
                "the access log cannot keep up; lines were dropped"
            );
            n_dropped_told = n;
        }
    }
}
