//! One request in hand: whose turn it is, and for how long nothing may happen.
//!
//! A connection that speaks HTTP/1.1 has one, for one request after the other
//! and for the time between them; where requests come side by side, each has its
//! own.

use std::cell::Cell;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::client::Client;
use super::conn::Stream;
use super::head_bytes::HeadBytes;
use super::pace::Pace;
use super::timer::{Timer, Wait};
use super::upgrade::Tunnel;
use super::worker::{Rules, Waits};
use crate::engine::Timestamp;

/// How long a connection without a request may still bring one when the worker
/// stops: a client that sends one after the other has sent its next within a
/// round trip, and those that take longer are rare.
pub(super) const LAST_CALL: Duration = Duration::from_millis(500);

/// How long a connection that has brought nothing yet does not count as at rest:
/// longer than a first request is mostly under way.
const NEW: Duration = Duration::from_secs(1);

/// One request in hand, or what is awaited instead of it.
pub(super) struct InHand {
    /// Whose it is.
    pub(super) client: Rc<Client>,
    /// Its one deadline.
    pub(super) timer: Timer,
    /// What the connection becomes after an answer that says so.
    pub(super) tunnel: Cell<Option<Box<Tunnel>>>,
    /// Its head, as it came.
    pub(super) head_bytes: HeadBytes,
    /// The timeouts of the configuration that the last request met.
    waits: Cell<Waits>,
    turn: Cell<Turn>,
    /// When the client connected.
    came: Timestamp,
    /// Whether the last thing the upload waited for was the client.
    awaits_body: Cell<bool>,
    /// Whether the client has sent more than this request.
    has_sent_more: Cell<bool>,
    /// How fast the client sends a body, or takes an answer.
    pace: Pace,
    /// Whether its body was more than it may be.
    is_too_large: Cell<bool>,
}

/// What is being waited for, and so which limit holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// The client has connected and sent nothing yet.
    New,
    /// The client may send a request, or not.
    Idle,
    /// The client is sending the head of a request.
    Head,
    /// The client's body is on its way to a server.
    Upload,
    /// A server is to be connected to, or to answer.
    Server,
    /// The answer is on its way to the client.
    Answer,
}

impl InHand {
    /// What a client that has just connected may send first.
    pub(super) fn new(client: Rc<Client>) -> Self {
        let this = Self::at(Turn::New, client);
        this.timer.set(this.waits.get().client_header);
        this
    }

    /// A request whose head is here whole, beside others.
    pub(super) fn of_one(client: Rc<Client>) -> Self {
        Self::at(Turn::Head, client)
    }

    fn at(turn: Turn, client: Rc<Client>) -> Self {
        let waits = client.worker.fleet().rules().waits;
        let client_came = client.worker.timers.now();
        Self {
            timer: Timer::new(&client.worker.timers),
            client,
            tunnel: Cell::new(None),
            head_bytes: HeadBytes::default(),
            waits: Cell::new(waits),
            turn: Cell::new(turn),
            came: client_came,
            awaits_body: Cell::new(false),
            has_sent_more: Cell::new(false),
            pace: Pace::default(),
            is_too_large: Cell::new(false),
        }
    }

    /// A request has come, which is handled by these rules to its end.
    pub(super) fn follow(&self, rules: &Rules) {
        self.waits.set(rules.waits);
    }

    /// A server is to be asked; the client's body, if it has one, is still to
    /// come. The time for that is the attempt's to set.
    pub(super) fn asks_server(&self, has_body: bool) {
        if has_body {
            self.turn.set(Turn::Upload);
            self.pace.begin(self.waits.get().min_rate);
            self.awaits_body.set(false);
        } else {
            self.turn.set(Turn::Server);
        }
        self.timer.set_attentive(true);
    }

    /// The client's body has ended: from now on the server has to answer.
    pub(super) fn upload_ended(&self) {
        if self.turn.get() == Turn::Upload {
            self.turn.set(Turn::Server);
            self.timer.set(self.waits.get().response_header);
        }
    }

    /// Whether the upload now waits for the client, or for the server.
    pub(super) fn upload_awaits_client(&self, awaits_client: bool) {
        let before = self.awaits_body.replace(awaits_client);
        if before == awaits_client || self.turn.get() != Turn::Upload {
            return;
        }
        let waits = self.waits.get();
        if waits.min_rate.is_none() {
            return;
        }
        let now = self.client.worker.timers.now();
        if awaits_client {
            self.timer.set(waits.stream_idle.min(self.pace.waits(now)));
        } else {
            self.pace.goes_on(now);
            self.timer.set(waits.stream_idle);
        }
    }

    /// Its body is more than it may be.
    pub(super) fn is_over_limit(&self) {
        self.is_too_large.set(true);
    }

    /// Whether its body was more than it may be; once.
    pub(super) fn was_over_limit(&self) -> bool {
        self.is_too_large.replace(false)
    }

    /// Since when the connection rests, if it does: one that has brought nothing
    /// yet, only after a while, and behind those that wait for another request.
    pub(super) fn rest(&self, now: Timestamp) -> Option<(bool, Timestamp)> {
        let ends = self.timer.deadline();
        match self.turn.get() {
            Turn::Idle if !self.pace.is_awaited() => Some((false, ends)),
            Turn::New if now.since(self.came) >= NEW => Some((true, ends)),
            _ => None,
        }
    }

    /// Ends the connection, unless a request comes before that.
    pub(super) fn end_rest(&self) {
        self.timer.set(Duration::ZERO.into());
    }

    /// Whether its body is still on its way to a server.
    pub(super) fn is_uploading(&self) -> bool {
        self.turn.get() == Turn::Upload
    }

    /// Whether it is the client's body that the request waits for.
    pub(super) fn is_awaited(&self) -> bool {
        self.turn.get() == Turn::Upload && self.awaits_body.get()
    }

    /// An answer begins.
    pub(super) fn answer_began(&self) {
        self.turn.set(Turn::Answer);
        self.timer.set_attentive(false);
        let waits = self.waits.get();
        self.pace.begin(waits.min_rate);
        self.timer.set(waits.stream_idle);
    }

    /// The answer has ended, or was given up; some of it may still have to be
    /// written.
    pub(super) fn answer_ended(&self) {
        self.turn.set(Turn::Idle);
        self.has_sent_more.set(false);
        self.timer.set(self.idle_wait());
    }

    /// Whether a deadline that has come ends the connection; otherwise a
    /// request is being handled, and its handler deals with it.
    pub(super) fn ends_when_due(&self) -> bool {
        matches!(
            self.turn.get(),
            Turn::New | Turn::Idle | Turn::Head | Turn::Answer
        )
    }

    /// Whether a request has come of whose answer nothing has been written.
    pub(super) fn awaits_answer(&self) -> bool {
        matches!(self.turn.get(), Turn::Head | Turn::Upload | Turn::Server)
    }

    /// The worker stops. On a connection without a request one may be on its
    /// way, which would be lost if that were ended at once.
    pub(super) fn last_call(&self) {
        if matches!(self.turn.get(), Turn::New | Turn::Idle) {
            self.timer.set(LAST_CALL.into());
        }
    }

    /// For how long the next request is waited for.
    fn idle_wait(&self) -> Wait {
        if self.client.worker.is_stopping() {
            LAST_CALL.into()
        } else {
            self.waits.get().client_idle
        }
    }

    /// Whether the client has left while it was waiting for its answer; there
    /// is nobody to finish it for then. One that only ends its own side of the
    /// connection is taken to have left too, as the two look alike.
    ///
    /// What it has sent beyond its request hides whether it has left.
    pub(super) fn has_left(&self, stream: &mut Stream, cx: &mut Context<'_>) -> bool {
        if !matches!(self.turn.get(), Turn::Server | Turn::Answer) || self.has_sent_more.get() {
            return false;
        }
        match stream.poll_more(cx) {
            Poll::Pending => false,
            Poll::Ready(Ok(false) | Err(_)) => true,
            Poll::Ready(Ok(true)) => {
                self.has_sent_more.set(true);
                false
            }
        }
    }

    /// How long its tunnel may rest; `is_half` when one end has ended.
    pub(super) fn tunnel_wait(&self, is_half: bool) -> Wait {
        let waits = self.waits.get();
        if is_half {
            waits.tunnel_idle.min(waits.stream_idle)
        } else {
            waits.tunnel_idle
        }
    }

    /// Whether nothing has come yet.
    pub(super) fn is_new(&self) -> bool {
        self.turn.get() == Turn::New
    }

    /// A piece of the client's body has come.
    pub(super) fn body_came(&self) {
        if matches!(self.turn.get(), Turn::Upload | Turn::Answer) {
            self.timer.set(self.waits.get().stream_idle);
        }
    }

    /// These bytes have come from the client.
    pub(super) fn has_read(&self, bytes: &[u8]) {
        let waits = self.waits.get();
        match self.turn.get() {
            Turn::Idle => {
                self.turn.set(Turn::Head);
                self.timer.set(waits.client_header);
                self.head_bytes.begin();
                self.head_bytes.push(bytes);
            }
            Turn::New => {
                self.turn.set(Turn::Head);
                if self.client.worker.is_stopping() {
                    self.timer.set(waits.client_header);
                }
                self.head_bytes.push(bytes);
            }
            Turn::Head | Turn::Server => self.head_bytes.push(bytes),
            Turn::Upload => {
                let mut wait = waits.stream_idle;
                if let Some(rate) = waits.min_rate {
                    let now = self.client.worker.timers.now();
                    self.pace.moved(bytes.len(), rate, now);
                    if self.pace.is_awaited() {
                        wait = wait.min(self.pace.waits(now));
                    }
                }
                self.timer.set(wait);
            }
            // Who is waited for to take an answer does not put it off so.
            Turn::Answer if self.pace.is_awaited() => {}
            Turn::Answer => self.timer.set(waits.stream_idle),
        }
    }

    /// So many bytes have gone to the client.
    pub(super) fn has_written(&self, n: usize) {
        let waits = self.waits.get();
        let wait = match self.turn.get() {
            Turn::Answer => waits.stream_idle,
            // The end of an answer.
            Turn::Idle => self.idle_wait(),
            Turn::New | Turn::Head | Turn::Upload | Turn::Server => return,
        };
        if let Some(rate) = waits.min_rate
            && self.pace.is_awaited()
        {
            let now = self.client.worker.timers.now();
            self.pace.goes_on(now);
            self.pace.moved(n, rate, now);
        }
        self.timer.set(wait);
    }

    /// The client does not take what is there for it.
    pub(super) fn cannot_write(&self) {
        let waits = self.waits.get();
        let wait = match self.turn.get() {
            Turn::Answer => waits.stream_idle,
            Turn::Idle => self.idle_wait(),
            Turn::New | Turn::Head | Turn::Upload | Turn::Server => return,
        };
        if waits.min_rate.is_some() && !self.pace.is_awaited() {
            let now = self.client.worker.timers.now();
            self.timer.set(wait.min(self.pace.waits(now)));
        }
    }
}
