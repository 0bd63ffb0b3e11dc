//! The access log: a line for each request, written when its answer has ended.
//!
//! Workers never wait for it. Lines go through a bounded queue to one thread
//! that writes; what finds the queue full is dropped and counted. A file can be
//! opened anew, or exchanged for another, between two lines.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};

use http::{HeaderValue, Method, StatusCode, Uri, Version, header, request};
use tokio::signal::unix::Signal;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::Counts;
use super::log_format::CommonLine;
use crate::config::{self, AccessLogFormat};
use crate::engine::{ServerName, Timestamp};
use crate::wire::{AccessLogLine, rfc3339};

/// Lines waiting to be written: at 100,000 requests a second, 80 ms of them,
/// and about 4 MiB.
const QUEUE_MAX: usize = 8192;

/// Hands entries to the thread that writes them; clone one for each worker.
#[derive(Clone, Debug)]
pub struct AccessLog(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// What lines are written, by [`number`]; 0 while none are.
    format: AtomicU8,
    /// There from the first line that is wanted; it takes memory.
    queue: OnceLock<SyncSender<Message>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    counts: Arc<Counts>,
}

/// What the thread that writes is told.
#[derive(Debug)]
enum Message {
    Entry(Box<Entry>),
    /// Open the file anew, by its path.
    Reopen,
    /// Write there from now on.
    Switch(Option<Sink>),
    /// Nothing comes after this.
    End,
}

/// Where lines go.
struct Sink {
    out: BufWriter<Box<dyn Write + Send>>,
    /// The file's, if it is one.
    path: Option<PathBuf>,
    format: AccessLogFormat,
}

/// A log that can be gone over to: what can fail has been done.
#[derive(Debug)]
pub struct Prepared(Option<Sink>);

/// What is noted of one request.
#[derive(Debug)]
pub struct Entry {
    /// The client's IP address.
    client_ip: Box<str>,
    /// That of the proxy that asked for the client, if one did.
    proxy_ip: Option<IpAddr>,
    method: Method,
    uri: Uri,
    version: Version,
    /// What only some formats show.
    more: Option<More>,
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

/// Header fields of a request.
#[derive(Debug)]
struct More {
    referer: Option<HeaderValue>,
    user_agent: Option<HeaderValue>,
    authorization: Option<HeaderValue>,
}

impl AccessLog {
    /// The log that configuration asks for; with none it can be switched on
    /// later, and costs nothing until then.
    ///
    /// # Errors
    /// When its file cannot be opened, or no thread can be made.
    pub fn open(config: &config::AccessLog, counts: Arc<Counts>) -> io::Result<Self> {
        let log = Self(Arc::new(Inner {
            format: AtomicU8::new(0),
            queue: OnceLock::new(),
            writer: Mutex::new(None),
            counts,
        }));
        let prepared = log.prepare(config)?;
        log.switch(prepared);
        Ok(log)
    }

    /// A log of such lines that is written to `sink`.
    ///
    /// # Errors
    /// When no thread can be made.
    pub fn to(sink: impl Write + Send + 'static, format: AccessLogFormat) -> io::Result<Self> {
        let log = Self::open(&config::AccessLog::default(), Arc::default())?;
        log.start()?;
        log.switch(Prepared(Some(Sink {
            out: BufWriter::new(Box::new(sink)),
            path: None,
            format,
        })));
        Ok(log)
    }

    /// Opens what `config` asks for; lines go on as before until
    /// [`switch`](Self::switch).
    ///
    /// # Errors
    /// When its file cannot be opened, or no thread can be made.
    pub fn prepare(&self, config: &config::AccessLog) -> io::Result<Prepared> {
        let Some(to) = config.to.as_deref() else {
            return Ok(Prepared(None));
        };
        let (out, path): (Box<dyn Write + Send>, _) = if to == "stdout" {
            (Box::new(io::stdout()), None)
        } else {
            let path = PathBuf::from(to);
            (Box::new(append_to(&path)?), Some(path))
        };
        self.start()?;
        Ok(Prepared(Some(Sink {
            out: BufWriter::new(out),
            path,
            format: config.format,
        })))
    }

    /// Goes over to what was prepared. Lines before this go where they went.
    /// May wait for a disk.
    pub fn switch(&self, prepared: Prepared) {
        let Prepared(sink) = prepared;
        let format = sink.as_ref().map_or(0, |sink| number(sink.format));
        self.tell(Message::Switch(sink));
        self.0.format.store(format, Relaxed);
    }

    /// Opens the file anew, by its path: lines before this go to the old one.
    /// May wait for a disk.
    pub fn reopen(&self) {
        self.tell(Message::Reopen);
    }

    /// What lines are wanted, if any are.
    pub fn format(&self) -> Option<AccessLogFormat> {
        match self.0.format.load(Relaxed) {
            0 => None,
            1 => Some(AccessLogFormat::Json),
            2 => Some(AccessLogFormat::Combined),
            _ => Some(AccessLogFormat::Common),
        }
    }

    /// Has `entry` written; never waits.
    pub fn write(&self, entry: Box<Entry>) {
        let queue = self.0.queue.get();
        let sent = queue.is_some_and(|queue| queue.try_send(Message::Entry(entry)).is_ok());
        if !sent {
            self.0.counts.log_dropped.fetch_add(1, Relaxed);
        }
    }

    /// Waits until everything is written; blocks the thread. What comes later
    /// is dropped.
    pub fn close(&self) {
        self.tell(Message::End);
        let writer = self.0.writer.lock();
        let writer = writer.unwrap_or_else(PoisonError::into_inner).take();
        if writer.is_some_and(|writer| writer.join().is_err()) {
            error!("the thread of the access log has panicked");
        }
    }

    /// Waits for a place in the queue, which is there as long as the disk is.
    fn tell(&self, message: Message) {
        if let Some(queue) = self.0.queue.get() {
            // Fails only after the end.
            let _ = queue.send(message);
        }
    }

    /// Sees to it that there is a thread that writes.
    fn start(&self) -> io::Result<()> {
        let mut writer = self.0.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if self.0.queue.get().is_some() {
            return Ok(());
        }
        let (queue, messages) = sync_channel(QUEUE_MAX);
        let counts = Arc::clone(&self.0.counts);
        let thread = thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || write_all(&messages, &counts))?;
        *writer = Some(thread);
        // Nobody else sets it: they would hold the lock.
        let _ = self.0.queue.set(queue);
        Ok(())
    }
}

fn number(format: AccessLogFormat) -> u8 {
    match format {
        AccessLogFormat::Json => 1,
        AccessLogFormat::Combined => 2,
        AccessLogFormat::Common => 3,
    }
}

fn append_to(path: &PathBuf) -> io::Result<File> {
    let opened = OpenOptions::new().create(true).append(true).open(path);
    opened.map_err(|error| {
        let message = format!(
            "access_log.to: {} cannot be opened: {error}",
            path.display()
        );
        io::Error::new(error.kind(), message)
    })
}

/// Opens the log's file anew on each `signal`, until `stop` is cancelled.
pub async fn reopen_on(mut signal: Signal, log: AccessLog, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            Some(()) = signal.recv() => {}
        }
        let log = log.clone();
        if let Err(error) = tokio::task::spawn_blocking(move || log.reopen()).await {
            error!(%error, "the access log was not opened anew");
        }
    }
}

impl std::fmt::Debug for Sink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (path, format) = (&self.path, self.format);
        f.debug_struct("Sink")
            .field("path", path)
            .field("format", &format)
            .finish_non_exhaustive()
    }
}

impl Sink {
    fn write(&mut self, entry: &Entry) -> io::Result<()> {
        match self.format {
            AccessLogFormat::Json => entry.line().write_to(&mut self.out),
            AccessLogFormat::Combined => entry.common().write_combined(&mut self.out),
            AccessLogFormat::Common => entry.common().write_common(&mut self.out),
        }
    }

    /// Goes over to a new file at the path; goes on with the old one if that
    /// cannot be had.
    fn reopen(&mut self) {
        let Some(path) = &self.path else { return };
        match append_to(path) {
            Ok(file) => {
                self.out = BufWriter::new(Box::new(file));
                info!(path = %path.display(), "access log opened anew");
            }
            Err(error) => error!(%error, "the access log goes on in the file it has"),
        }
    }
}

impl Entry {
    /// What is known when the request has come.
    pub fn new(
        client_ip: &str,
        proxy_ip: Option<IpAddr>,
        request: &request::Parts,
        now: Timestamp,
        format: AccessLogFormat,
    ) -> Self {
        let field = |name| request.headers.get(name).cloned();
        Self {
            client_ip: client_ip.into(),
            proxy_ip,
            method: request.method.clone(),
            uri: request.uri.clone(),
            version: request.version,
            more: (format != AccessLogFormat::Json).then(|| More {
                referer: field(header::REFERER),
                user_agent: field(header::USER_AGENT),
                authorization: field(header::AUTHORIZATION),
            }),
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
            proxy_ip: self.proxy_ip,
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

    fn common(&self) -> CommonLine<'_> {
        let more = self.more.as_ref();
        let bytes = |value| Option::as_ref(value).map(HeaderValue::as_bytes);
        CommonLine {
            client_ip: &self.client_ip,
            authorization: more.and_then(|more| bytes(&more.authorization)),
            epoch_millis: self.began.as_millis(),
            method: self.method.as_str(),
            uri: &self.uri,
            version: self.version,
            status: self.status.as_u16(),
            bytes: self.n_bytes,
            referer: more.and_then(|more| bytes(&more.referer)),
            user_agent: more.and_then(|more| bytes(&more.user_agent)),
        }
    }
}

/// Writes lines until there are no more, and sees to it that they can be read
/// as soon as there is a pause.
fn write_all(messages: &Receiver<Message>, counts: &Counts) {
    let mut sink: Option<Sink> = None;
    let mut n_dropped_told = 0;
    let mut is_broken = false;
    let mut is_over = false;
    while !is_over && let Ok(first) = messages.recv() {
        let mut next = Some(first);
        let mut result = Ok(());
        while let Some(message) = next {
            match message {
                Message::Entry(entry) => {
                    let written = sink.as_mut().map_or(Ok(()), |sink| sink.write(&entry));
                    if written.is_err() {
                        counts.log_failed.fetch_add(1, Relaxed);
                    }
                    result = result.and(written);
                }
                Message::Reopen => {
                    result = result.and(flush(&mut sink));
                    if let Some(sink) = &mut sink {
                        sink.reopen();
                    }
                }
                Message::Switch(to) => {
                    result = result.and(flush(&mut sink));
                    sink = to;
                }
                Message::End => is_over = true,
            }
            next = messages.try_recv().ok();
        }
        result = result.and(flush(&mut sink));
        // A full disk is told of once, and again when it was whole meanwhile.
        match result {
            Err(error) if !is_broken => {
                error!(%error, "cannot write the access log; trying on");
                is_broken = true;
            }
            result => is_broken = result.is_err(),
        }
        let n = counts.log_dropped.load(Relaxed);
        if n != n_dropped_told {
            warn!(
                dropped = n,
                "the access log cannot keep up; lines were dropped"
            );
            n_dropped_told = n;
        }
    }
}

fn flush(sink: &mut Option<Sink>) -> io::Result<()> {
    sink.as_mut().map_or(Ok(()), |sink| sink.out.flush())
}
