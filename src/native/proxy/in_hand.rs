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
use super::timer::{Timer, Wait};
use super::upgrade::Tunnel;
use super::worker::{Rules, Waits};

/// How long a connection without a request may still bring one when the worker
/// stops: a client that sends one after the other has sent its next within a
/// round trip, and those that take longer are rare.
pub(super) const LAST_CALL: Duration = Duration::from_millis(500);

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
    /// Whether the last thing the upload waited for was the client.
    awaits_body: Cell<bool>,
    /// Whether the client has sent more than this request.
    has_sent_more: Cell<bool>,
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
        Self {
            timer: Timer::new(&client.worker.timers),
            client,
            tunnel: Cell::new(None),
            head_bytes: HeadBytes::default(),
            waits: Cell::new(waits),
            turn: Cell::new(turn),
            awaits_body: Cell::new(false),
            has_sent_more: Cell::new(false),
        }
    }

    /// A request has come, which is handled by these rules to its end.
    pub(super) fn follow(&self, rules: &Rules) {
        self.waits.set(rules.waits);
    }

    /// A server is to be asked; the client's body, if it has one, is still to
    /// come. The time for that is the attempt's to set.
    pub(super) fn asks_server(&self, has_body: bool) {
        self.turn
            .set(if has_body { Turn::Upload } else { Turn::Server });
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
        self.awaits_body.set(awaits_client);
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
        self.timer.set(self.waits.get().stream_idle);
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
            Turn::Upload | Turn::Answer => self.timer.set(waits.stream_idle),
        }
    }

    /// Bytes have gone to the client.
    pub(super) fn has_written(&self) {
        let waits = self.waits.get();
        match self.turn.get() {
            Turn::Answer => self.timer.set(waits.stream_idle),
            Turn::Idle => self.timer.set(self.idle_wait()),
            Turn::New | Turn::Head | Turn::Upload | Turn::Server => {}
        }
    }
}
