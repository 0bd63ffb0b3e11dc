//! Connections that requests share: few, each with as many requests side by side
//! as the server takes. A further one is made when all are full; a request that
//! finds no room waits, for as long as connecting may take.

use core::time::Duration;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::{Ping, PingPong, SendStream};
use http::Request;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use super::super::connect::{Connector, Stream};
use crate::config;
use crate::engine::Timestamp;
use crate::native::proxy::retry::Failure;
use crate::native::proxy::timer::{Timers, Wait};

/// How much of one answer may be under way before its client has taken any: what
/// a line of 1 Gbit/s holds in 2 ms, so that a server nearby is never waited for.
const STREAM_WINDOW: u32 = 256 * 1024;

/// The longest head of an answer, as its fields take up memory.
const HEAD_MAX: u32 = 64 * 1024;

/// How long a server may take to say that it is still there; less where it is
/// asked more often than that.
const PONG_MAX: Duration = Duration::from_secs(10);

/// One server's connections.
pub(super) struct Connections {
    connector: Rc<Connector>,
    limits: Cell<Limits>,
    timers: Rc<Timers>,
    /// The oldest first: those that a quieter time does not need are the youngest.
    all: RefCell<Vec<Rc<Link>>>,
    /// Requests for which there is no room, the first that came first.
    waiting: RefCell<VecDeque<Waiting>>,
    /// One is made at a time: it may have room for all that wait.
    is_connecting: Cell<bool>,
}

/// Tells a request that there may be room, or that there is no hope for it.
type Waiting = oneshot::Sender<Result<(), Failure>>;

/// How many connections there may be, how full, and how long.
#[derive(Clone, Copy)]
struct Limits {
    n_max: usize,
    n_streams: usize,
    idle_max: Duration,
    age_max: Duration,
    ping: Option<Duration>,
}

impl From<&config::Pool> for Limits {
    fn from(limits: &config::Pool) -> Self {
        Self {
            n_max: limits.max_connections.number() as usize,
            n_streams: limits.max_streams.number() as usize,
            idle_max: limits.idle.duration(),
            age_max: limits.max_age.duration(),
            ping: limits.ping.map(|ping| ping.duration()),
        }
    }
}

/// One connection; it is closed once nobody has this any more.
struct Link {
    requests: SendRequest<Bytes>,
    n_streams: Cell<usize>,
    was_used: Cell<bool>,
    /// Whether the server takes no more requests over it.
    is_retired: Cell<bool>,
    pulse: Rc<Pulse>,
    pings: RefCell<PingPong>,
    pinged: Cell<Option<Timestamp>>,
    made: Timestamp,
    /// When it had a request last.
    since: Cell<Timestamp>,
    task: AbortHandle,
}

/// What a connection's own task knows of it.
struct Pulse {
    is_over: Cell<bool>,
    /// When the server was heard last.
    heard: Cell<Timestamp>,
    /// Whether the server did not accept this end's certificate.
    was_refused: Cell<bool>,
}

/// Says that a connection is over, however that came about.
struct End {
    pulse: Rc<Pulse>,
    /// They may be gone before it.
    of: Weak<Connections>,
}

impl Drop for End {
    fn drop(&mut self) {
        self.pulse.is_over.set(true);
        if let Some(of) = self.of.upgrade() {
            of.wake();
        }
    }
}

/// Room for one request on a connection.
pub(super) struct Place {
    link: Rc<Link>,
    was_used: bool,
    of: Rc<Connections>,
}

impl Connections {
    pub(super) fn new(
        connector: Connector,
        limits: &config::Pool,
        timers: &Rc<Timers>,
    ) -> Rc<Self> {
        Rc::new(Self {
            connector: Rc::new(connector),
            limits: Cell::new(limits.into()),
            timers: Rc::clone(timers),
            all: RefCell::default(),
            waiting: RefCell::default(),
            is_connecting: Cell::new(false),
        })
    }

    pub(super) fn set_limits(&self, limits: &config::Pool) {
        self.limits.set(limits.into());
    }

    /// Whether one is being made.
    pub(super) fn is_connecting(&self) -> bool {
        self.is_connecting.get()
    }

    /// Counts that the server has reset a stream.
    pub(super) fn stream_reset(&self) {
        self.connector.runtime().connections.stream_reset();
    }

    /// Room for a request, as soon as there is some. A connection that is made for
    /// it has `connect` to come about.
    ///
    /// # Errors
    /// When there is no connection to be had.
    pub(super) async fn place(self: &Rc<Self>, connect: Wait) -> Result<Place, Failure> {
        loop {
            if let Some(place) = self.free() {
                return Ok(place);
            }
            let (tell, told) = oneshot::channel();
            self.waiting.borrow_mut().push_back(tell);
            self.connect(connect);
            // Nobody lets go of it without a word.
            told.await.unwrap_or(Err(Failure::Connect))?;
        }
    }

    /// Room on a connection that is there.
    fn free(self: &Rc<Self>) -> Option<Place> {
        let (limits, now) = (self.limits.get(), self.timers.now());
        let mut all = self.all.borrow_mut();
        all.retain(|link| link.is_fit() && now.since(link.made) < limits.age_max);
        let mut roomy = all.iter().filter(|link| link.room(limits.n_streams) > 0);
        let link = roomy.find(|link| link.takes_requests())?;
        Some(Place::new(link, self))
    }

    /// Makes a further connection, unless one is being made or there are as many
    /// as there may be. By a task of its own: whoever waits for it may leave.
    fn connect(self: &Rc<Self>, limit: Wait) {
        if self.is_connecting.get() || self.all.borrow().len() >= self.limits.get().n_max {
            return;
        }
        self.is_connecting.set(true);
        let this = Rc::clone(self);
        tokio::task::spawn_local(async move {
            let made = tokio::time::timeout(limit.duration(), this.make()).await;
            this.is_connecting.set(false);
            let failure = match made {
                Ok(Ok(link)) => {
                    this.all.borrow_mut().push(link);
                    this.wake();
                    if !this.waiting.borrow().is_empty() {
                        this.connect(limit);
                    }
                    return;
                }
                Ok(Err(_)) => Failure::Connect,
                Err(_) => Failure::ConnectTimeout,
            };
            for waiting in this.waiting.take() {
                let _ = waiting.send(Err(failure));
            }
        });
    }

    async fn make(self: &Rc<Self>) -> io::Result<Rc<Link>> {
        let stream = self.connector.connect().await?;
        let now = self.timers.now();
        let pulse = Rc::new(Pulse {
            is_over: Cell::new(false),
            heard: Cell::new(now),
            was_refused: Cell::new(false),
        });
        let stream = Heard {
            stream,
            pulse: Rc::clone(&pulse),
            connector: Rc::clone(&self.connector),
            timers: Rc::clone(&self.timers),
        };
        let n_streams = self.limits.get().n_streams;
        // As much for the connection as all its streams may have: one whose client
        // does not read takes nothing from the others.
        let window = STREAM_WINDOW.saturating_mul(n_streams as u32);
        let (requests, mut connection) = Builder::new()
            .enable_push(false)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(window.min(i32::MAX as u32))
            .max_header_list_size(HEAD_MAX)
            .handshake(stream)
            .await
            .map_err(io::Error::other)?;
        let pings = connection.ping_pong();
        let pings = pings.ok_or_else(|| io::Error::other("its pings are taken"))?;
        let end = End {
            pulse: Rc::clone(&pulse),
            of: Rc::downgrade(self),
        };
        let task = tokio::task::spawn_local(async move {
            let _end = end;
            // Its requests are told what it ended with.
            let _ = connection.await;
        });
        Ok(Rc::new(Link {
            requests,
            n_streams: Cell::new(0),
            was_used: Cell::new(false),
            is_retired: Cell::new(false),
            pulse,
            pings: RefCell::new(pings),
            pinged: Cell::new(None),
            made: now,
            since: Cell::new(now),
            task: task.abort_handle(),
        }))
    }

    /// Tells as many of those that wait as there is room for. When no connection is
    /// left, all: one of them makes another.
    fn wake(&self) {
        if self.waiting.borrow().is_empty() {
            return;
        }
        let n_streams = self.limits.get().n_streams;
        let all = self.all.borrow();
        let fit = all.iter().filter(|link| link.is_fit());
        let (n_fit, n_room) = fit.fold((0, 0_usize), |(n_fit, n_room), link| {
            (n_fit + 1, n_room.saturating_add(link.room(n_streams)))
        });
        let mut n = if n_fit == 0 { usize::MAX } else { n_room };
        let mut waiting = self.waiting.borrow_mut();
        while n > 0
            && let Some(first) = waiting.pop_front()
        {
            // Who has left needs none.
            if first.send(Ok(())).is_ok() {
                n -= 1;
            }
        }
    }

    /// Closes connections that have not been used for too long, and asks those
    /// from which nothing has come for a time whether they are still there.
    pub(super) fn sweep(&self, now: Timestamp) {
        let limits = self.limits.get();
        self.all.borrow_mut().retain(|link| {
            let is_idle = link.n_streams.get() == 0;
            link.is_fit()
                && now.since(link.made) < limits.age_max
                && !(is_idle && now.since(link.since.get()) >= limits.idle_max)
        });
        for link in &*self.all.borrow() {
            link.check(limits.ping, now);
        }
        // One that was told of room may have left before it took it.
        self.wake();
    }
}

impl Link {
    /// Whether it is there, and takes requests.
    fn is_fit(&self) -> bool {
        !self.pulse.is_over.get() && !self.is_retired.get()
    }

    /// For how many further requests there is room.
    fn room(&self, n_max: usize) -> usize {
        let n_max = n_max.min(self.requests.current_max_send_streams());
        n_max.saturating_sub(self.n_streams.get())
    }

    /// Asks it: what the server has said since, as that it goes away, is not known
    /// before.
    fn takes_requests(&self) -> bool {
        let ready = (self.requests.clone()).poll_ready(&mut Context::from_waker(Waker::noop()));
        let is_so = matches!(ready, Poll::Ready(Ok(())));
        self.is_retired.set(!is_so);
        is_so
    }

    /// Ends a connection with requests on it that does not answer when it is asked
    /// whether it is still there, which it is once nothing has come for `after`.
    fn check(&self, after: Option<Duration>, now: Timestamp) {
        let heard = self.pulse.heard.get();
        match self.pinged.get() {
            Some(pinged) if heard > pinged => self.pinged.set(None),
            Some(pinged) if now.since(pinged) >= after.unwrap_or(PONG_MAX).min(PONG_MAX) => {
                return self.task.abort();
            }
            Some(_) => return,
            None => {}
        }
        if self.n_streams.get() > 0 && after.is_some_and(|after| now.since(heard) >= after) {
            let mut pings = self.pings.borrow_mut();
            // The answer to the one before is no news any more.
            let _ = pings.poll_pong(&mut Context::from_waker(Waker::noop()));
            if pings.send_ping(Ping::opaque()).is_ok() {
                self.pinged.set(Some(now));
            }
        }
    }
}

impl Place {
    fn new(link: &Rc<Link>, of: &Rc<Connections>) -> Self {
        link.n_streams.set(link.n_streams.get() + 1);
        Self {
            link: Rc::clone(link),
            was_used: link.was_used.replace(true),
            of: Rc::clone(of),
        }
    }

    /// Sends the head of a request, of which nothing follows if it `is_whole`.
    ///
    /// # Errors
    /// When the connection takes none any more.
    pub(super) fn send(
        &self,
        request: Request<()>,
        is_whole: bool,
    ) -> Result<(ResponseFuture, SendStream<Bytes>), h2::Error> {
        let sent = self.link.requests.clone().send_request(request, is_whole);
        if sent.is_err() {
            self.link.is_retired.set(true);
        }
        sent
    }

    /// Whether the connection had requests before this one.
    pub(super) fn was_used(&self) -> bool {
        self.was_used
    }

    /// Whether the server did not accept this end's certificate, and so read
    /// nothing.
    pub(super) fn was_refused(&self) -> bool {
        self.link.pulse.was_refused.get()
    }

    /// Whether the connection is encrypted.
    pub(super) fn is_encrypted(&self) -> bool {
        self.of.connector.is_encrypted()
    }

    /// Counts that the server has reset a stream.
    pub(super) fn stream_reset(&self) {
        self.of.stream_reset();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.link.n_streams.set(self.link.n_streams.get() - 1);
        self.link.since.set(self.of.timers.now());
        self.of.wake();
    }
}

/// A connection's stream; takes note when the server is heard.
struct Heard {
    stream: Stream,
    pulse: Rc<Pulse>,
    connector: Rc<Connector>,
    timers: Rc<Timers>,
}

impl AsyncRead for Heard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        match &read {
            Poll::Ready(Ok(())) => self.pulse.heard.set(self.timers.now()),
            Poll::Ready(Err(error)) if self.connector.was_refused(error) => {
                self.pulse.was_refused.set(true);
            }
            _ => {}
        }
        read
    }
}

impl AsyncWrite for Heard {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
