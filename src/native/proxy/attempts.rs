//! The attempts of one request: each at its key's next candidate, until a
//! server answers or nothing more may be tried.

mod wait;

use std::future::{Future, poll_fn};
use std::mem;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use http::header::HOST;
use http::{HeaderValue, Method, Request, Response, StatusCode, Version, request};
use hyper::body::Body;

use super::asker::Asker;
use super::backoff::retry_after;
use super::body::InFlight;
use super::client::Client;
use super::error::ProxyError;
use super::headers;
use super::hold::Ahead;
use super::in_hand::InHand;
use super::retry::{self, Failure};
use super::trace::Trace;
use super::upgrade;
use super::upload::{RequestBody, Upload};
use super::upstream::{self, AttemptWaits, Connection};
use super::worker::{NoEntry, WorkerFleet, WorkerServer};
use crate::config::Retries;
use crate::engine::{NoServer, Outcome, Position, ServerIndex, Spread};
use crate::native::clock;
use crate::native::retries::{Reason, UnderWay};

/// What of a request decides where and how it may be sent.
pub(super) struct Sent {
    /// Who it comes from.
    pub(super) asker: Rc<Asker>,
    /// The value of the cookie that the client is given, if it is given one.
    pub(super) issued: Option<Box<str>>,
    /// Its method.
    pub(super) method: Method,
    /// Where its key stands, if it has one.
    pub(super) key: Option<Position>,
    /// How that key is spread, if it is.
    pub(super) spread: Option<Spread>,
    /// How many header fields it came with.
    pub(super) n_fields: usize,
    /// Whether it says itself what host it is for.
    pub(super) has_host: bool,
    /// Whether it came with a body.
    pub(super) has_body: bool,
    /// The protocol that it asks to change over to, if it does.
    pub(super) upgrade: Option<HeaderValue>,
    /// What it can be made of again, if it may be sent again and is not made of
    /// the bytes it came as.
    pub(super) kept: Option<Box<Kept>>,
    /// Its part in a trace, if it has one.
    pub(super) trace: Option<Rc<Trace>>,
}

/// A request, to be sent again.
pub(super) struct Kept {
    /// Its head, as it is sent.
    pub(super) head: request::Parts,
    /// Its body, if it has one.
    pub(super) upload: Option<Rc<Upload>>,
}

impl Kept {
    /// Whether all of it is still here.
    fn is_whole(&self) -> bool {
        let upload = self.upload.as_ref();
        upload.is_none_or(|upload| upload.is_kept())
    }
}

/// What came with a server's answer.
pub(super) struct Answered {
    /// What has come of its body.
    pub(super) ahead: Ahead,
    /// The fleet that decided.
    pub(super) fleet: Rc<WorkerFleet>,
    /// Whose answer it is.
    pub(super) index: ServerIndex,
    /// Where else it was tried.
    pub(super) tried: Vec<ServerIndex>,
    /// Counts it as in flight at the server that answered.
    pub(super) in_flight: InFlight,
}

/// An answer that was not taken for one.
struct Unwanted {
    response: Response<upstream::Body>,
    answered: Answered,
}

/// One request on its way.
pub(super) struct Attempts<'a> {
    in_hand: &'a Rc<InHand>,
    fleet: Rc<WorkerFleet>,
    sent: Sent,
    waits: AttemptWaits,
    /// The servers that failed.
    tried: Vec<ServerIndex>,
    /// What the client gets if nothing better comes: the last answer that was
    /// not taken for one.
    unwanted: Option<Box<Unwanted>>,
}

impl<'a> Attempts<'a> {
    /// Nothing is tried yet.
    pub(super) fn new(in_hand: &'a Rc<InHand>, fleet: Rc<WorkerFleet>, sent: Sent) -> Self {
        let waits = &fleet.rules().waits;
        let waits = AttemptWaits {
            connect: waits.connect,
            answer: if sent.has_body {
                waits.stream_idle
            } else {
                waits.response_header
            },
        };
        Self {
            in_hand,
            fleet,
            sent,
            waits,
            tried: Vec::new(),
            unwanted: None,
        }
    }

    /// The protocol that the request asks to change over to, if it does.
    pub(super) fn upgrade(&self) -> Option<&HeaderValue> {
        self.sent.upgrade.as_ref()
    }

    /// The value of the cookie that the client is given, if it is given one.
    pub(super) fn issued(&self) -> Option<&str> {
        self.sent.issued.as_deref()
    }

    /// Whether the request came over TLS.
    pub(super) fn is_over_tls(&self) -> bool {
        self.sent.asker.is_over_tls()
    }

    /// Sends `request`, which is there, until a server answers it, with what is
    /// `response` then. Once.
    ///
    /// # Errors
    /// When none does.
    pub(super) async fn run(
        &mut self,
        request: &mut Option<Request<RequestBody>>,
        response: &mut Option<Response<upstream::Body>>,
    ) -> Result<Answered, ProxyError> {
        let in_hand = self.in_hand;
        let (client, worker) = (&*in_hand.client, &*in_hand.client.worker);
        let mut connection = Connection::KeptOrNew;
        let mut failed = None;
        // Holds a place of the budget while a retry is under way.
        let mut place = None;
        loop {
            let (key, spread) = (self.sent.key, self.sent.spread);
            let entered = match self.fleet.enter(key, spread, &self.tried, worker) {
                Err(NoEntry::Full(at)) => Box::pin(self.wait(at)).await,
                Err(NoEntry::NoServer(why)) => Err(why),
                Ok(entered) => Ok(entered),
            };
            let (index, in_flight) = match entered {
                Ok(entered) => entered,
                // What went wrong at the last server says more than that there is
                // no other.
                Err(why) => {
                    let error = failed.unwrap_or_else(|| no_server(client, why));
                    return self.last_answer(response).ok_or(error);
                }
            };
            let server = in_flight.server();
            if let (false, Some(request)) = (self.sent.has_host, &mut *request) {
                request.headers_mut().insert(HOST, server.authority.clone());
            }
            if let (Some(trace), Some(request)) = (&self.sent.trace, &mut *request) {
                trace.attempt_begins(server, request.headers_mut());
            }
            in_hand.asks_server(self.sent.has_body);
            if !self.sent.has_body {
                in_flight.waits();
            }
            let began = clock::now();
            let mut result = {
                // Pinned where it is made: it is large.
                let upstream = &server.upstream;
                let (asker, waits) = (&self.sent.asker, self.waits);
                let exchange =
                    pin!(upstream.exchange(request, response, connection, in_hand, asker, waits));
                self.unless_taken_out(server, exchange).await
            };
            let took = clock::now().since(began);
            let mut ahead = Ahead::default();
            match (result, &mut *response) {
                (Ok(_), Some(answer)) if self.is_awaited_whole(answer.body()) => {
                    let body = answer.body_mut();
                    if let Err(failure) = self.awaited(server, body, &mut ahead).await {
                        *response = None;
                        result = Err(failure);
                    }
                }
                (Err(Failure::AnswerTimeout), _) => result = Err(self.timeout()),
                (Err(Failure::BadBody), _) if self.in_hand.was_over_limit() => {
                    result = Err(Failure::LargeBody);
                }
                (Err(Failure::Exhausted), _) => worker.free_descriptors(),
                _ => {}
            }
            if let Some(trace) = &self.sent.trace {
                trace.attempt_ended(result.map_err(|failure| failure.error()));
            }
            drop(place.take());
            let (failure, reason, asked_for) = match result {
                Ok(status) => {
                    in_flight.answered();
                    let outcome = Outcome::Status(status.as_u16());
                    server.record(outcome, took);
                    worker
                        .shared
                        .report(&server.runtime, in_flight.term, outcome);
                    if !self.is_unwanted(status) || !self.may_go_on(index) {
                        return Ok(Answered {
                            ahead,
                            fleet: Rc::clone(&self.fleet),
                            index,
                            tried: mem::take(&mut self.tried),
                            in_flight,
                        });
                    }
                    let answered = Answered {
                        ahead,
                        fleet: Rc::clone(&self.fleet),
                        index,
                        tried: self.tried.clone(),
                        in_flight,
                    };
                    let asked_for = self.put_aside(response, answered);
                    (None, Reason::Status, asked_for)
                }
                Err(failure) => {
                    if let Some(outcome) = failure.outcome() {
                        server.record(outcome, took);
                        if failure.is_judged() {
                            worker
                                .shared
                                .report(&server.runtime, in_flight.term, outcome);
                        }
                    }
                    // It is not there any more while the next one backs off.
                    drop(in_flight);
                    if !failure.may_try_again(&self.sent.method) {
                        self.tried.push(index);
                        return self.last_answer(response).ok_or(failure.error());
                    }
                    (Some(failure), failure.reason(), None)
                }
            };
            if request.is_none() {
                *request = self.again();
            }
            let error = failure.map_or(ProxyError::Broken, Failure::error);
            if request.is_none() {
                self.tried.push(index);
                return self.last_answer(response).ok_or(error);
            }
            if failure.is_some_and(Failure::keeps_server) {
                connection = Connection::New;
                continue;
            }
            connection = Connection::KeptOrNew;
            failed = Some(error);
            match self.move_on(index, reason, asked_for).await {
                Some(next) => place = next,
                None => return self.last_answer(response).ok_or(error),
            }
        }
    }

    /// What `exchange` with `server` comes to, unless the server is taken out
    /// before that and the request can go elsewhere.
    async fn unless_taken_out<T>(
        &self,
        server: &WorkerServer,
        mut exchange: Pin<&mut impl Future<Output = Result<T, Failure>>>,
    ) -> Result<T, Failure> {
        poll_fn(|cx| match exchange.as_mut().poll(cx) {
            Poll::Pending if server.is_out.get() && self.may_leave(server) => {
                Poll::Ready(Err(Failure::TakenOut))
            }
            poll => poll,
        })
        .await
    }

    /// Waits until all of `body` has come.
    async fn awaited(
        &self,
        server: &WorkerServer,
        body: &mut upstream::Body,
        ahead: &mut Ahead,
    ) -> Result<(), Failure> {
        let whole = pin!(poll_fn(|cx| match ahead.poll_whole(body, cx) {
            Poll::Ready(Ok(())) => Poll::Ready(Ok(())),
            Poll::Ready(Err(_)) => Poll::Ready(Err(Failure::Broken)),
            Poll::Pending if self.in_hand.timer.is_due() => {
                // Slow is not broken: unless attempts have their own limit,
                // the client gets what is there and then the rest.
                let failure = self.timeout();
                Poll::Ready(match failure {
                    Failure::TryTimeout => Err(failure),
                    _ => Ok(()),
                })
            }
            Poll::Pending => Poll::Pending,
        }));
        self.unless_taken_out(server, whole).await
    }

    fn retries(&self) -> &Retries {
        &self.fleet.rules().config.retries
    }

    /// Whether all of an answer is awaited: where it is short and another server
    /// could still be asked.
    fn is_awaited_whole(&self, body: &upstream::Body) -> bool {
        if body.is_here() || body.is_end_stream() {
            return false;
        }
        let retries = self.retries();
        let length = body.size_hint().exact();
        length.is_some_and(|length| length <= retries.hold_answer.number())
            && (self.tried.len() as u64) < retries.attempts.number()
            && self.sent.method.is_idempotent()
            && self.fleet.n_servers() > self.tried.len() + 1
            && !self.in_hand.is_uploading()
    }

    /// What it is when the answer does not come in time.
    #[cold]
    fn timeout(&self) -> Failure {
        match self.retries().per_try_timeout {
            Some(_) => Failure::TryTimeout,
            None => Failure::AnswerTimeout,
        }
    }

    /// Whether an answer with this status is one that another server may better.
    fn is_unwanted(&self, status: StatusCode) -> bool {
        let status = u64::from(status.as_u16());
        status >= 400
            && self.sent.method.is_idempotent()
            && self
                .retries()
                .on_status
                .iter()
                .any(|unwanted| unwanted.number() == status)
    }

    /// Whether, after the server at `index`, there is another attempt to be made
    /// and another server for it.
    #[cold]
    fn may_go_on(&self, index: ServerIndex) -> bool {
        let has_attempts = (self.tried.len() as u64) < self.retries().attempts.number();
        has_attempts && self.can_be_made_again() && {
            let (fleet, tried) = self.newest(index);
            fleet.has_candidate(self.sent.key, &tried)
        }
    }

    /// Whether a request that waits for `server`, which was taken out, can go
    /// elsewhere.
    #[cold]
    fn may_leave(&self, server: &WorkerServer) -> bool {
        let index = self.fleet.index_of(server);
        self.sent.method.is_idempotent() && index.is_some_and(|index| self.may_go_on(index))
    }

    /// The fleet of this moment, and what was tried of it once the server at
    /// `index` was too.
    fn newest(&self, index: ServerIndex) -> (Rc<WorkerFleet>, Vec<ServerIndex>) {
        let mut tried = self.tried.clone();
        tried.push(index);
        let fleet = self.in_hand.client.worker.fleet();
        match fleet.places(&self.fleet, &tried) {
            Some(tried) => (fleet, tried),
            // Its key would stand elsewhere now: this one goes by the old rules to its end.
            None => (Rc::clone(&self.fleet), tried),
        }
    }

    /// Goes on after the server at `index`, as soon as it may. `None` when no
    /// further attempt may be made; otherwise with a place of the budget, if it
    /// takes one.
    #[cold]
    async fn move_on(
        &mut self,
        index: ServerIndex,
        reason: Reason,
        asked_for: Option<Duration>,
    ) -> Option<Option<UnderWay<'a>>> {
        let worker = &*self.in_hand.client.worker;
        let n = self.tried.len() + 1;
        if n as u64 > self.retries().attempts.number() {
            self.tried.push(index);
            return None;
        }
        let wait = self.fleet.rules().backoff;
        let wait = wait.wait(n, reason, asked_for, &worker.jitter);
        if !wait.is_zero() && self.may_go_on(index) {
            tokio::time::sleep(wait).await;
        }
        (self.fleet, self.tried) = self.newest(index);
        if !self.fleet.has_candidate(self.sent.key, &self.tried) {
            return None;
        }
        let retries = worker.shared.retries();
        let place = if retry::is_budgeted(reason) {
            let settings = self.retries();
            let (percent, min) = (settings.budget_percent, settings.budget_min);
            let n_in_flight = self.fleet.n_in_flight();
            let limit = retry::budget(n_in_flight, percent.number(), min.number());
            Some(retries.begin(limit)?)
        } else {
            None
        };
        retries.count(reason);
        Some(place)
    }

    /// Keeps `response`, which another server may better, in case none does.
    /// Returns how long its server asks to be spared.
    #[cold]
    fn put_aside(
        &mut self,
        response: &mut Option<Response<upstream::Body>>,
        answered: Answered,
    ) -> Option<Duration> {
        let response = response.take()?;
        let asked_for = retry_after(response.headers());
        self.unwanted = Some(Box::new(Unwanted { response, answered }));
        asked_for
    }

    /// The last answer that was not taken for one, if there was one; it is
    /// `response` then.
    #[cold]
    fn last_answer(&mut self, response: &mut Option<Response<upstream::Body>>) -> Option<Answered> {
        let unwanted = *self.unwanted.take()?;
        *response = Some(unwanted.response);
        let mut answered = unwanted.answered;
        if Rc::ptr_eq(&answered.fleet, &self.fleet) {
            answered.tried = mem::take(&mut self.tried);
            answered.tried.retain(|&index| index != answered.index);
        }
        Some(answered)
    }

    fn can_be_made_again(&self) -> bool {
        match &self.sent.kept {
            Some(kept) => kept.is_whole(),
            None => self.sent_anew().is_some(),
        }
    }

    /// Makes the request in hand anew: what was sent is gone.
    #[cold]
    fn again(&self) -> Option<Request<RequestBody>> {
        match &self.sent.kept {
            Some(kept) => {
                let head = kept.is_whole().then(|| kept.head.clone())?;
                let upload = kept.upload.as_ref();
                let body = upload.map_or(RequestBody::Empty, Upload::again);
                Some(Request::from_parts(head, body))
            }
            None => self.sent_anew(),
        }
    }

    /// Makes a request without a body from the bytes it came as; copies
    /// beforehand would cost every request.
    #[cold]
    fn sent_anew(&self) -> Option<Request<RequestBody>> {
        let Self { in_hand, sent, .. } = self;
        let client = &*in_hand.client;
        if sent.has_body {
            return None;
        }
        let (mut head, ()) = in_hand.head_bytes.parse()?.into_parts();
        let parts = sent.asker.key_parts(&head, sent.issued.as_deref());
        let key_now = self.fleet.key(parts);
        let is_same = head.method == sent.method
            && key_now == sent.key
            && head.headers.len() == sent.n_fields;
        if !is_same {
            // The bytes of another request: this one's are not all there.
            return None;
        }
        let new_id = || client.worker.request_ids.next();
        let rules = &self.fleet.rules().heads;
        headers::prepare_request(&mut head, &sent.asker, rules, new_id, || false).ok()?;
        client.certificate.tell(&mut head.headers);
        head.version = Version::HTTP_11;
        upgrade::ask(sent.upgrade.as_ref(), &mut head.headers);
        Some(Request::from_parts(head, RequestBody::Empty))
    }
}

#[cold]
fn no_server(client: &Client, why: NoServer) -> ProxyError {
    client
        .worker
        .unrouted()
        .record(Outcome::NoAnswer, core::time::Duration::ZERO);
    ProxyError::NoServer(why)
}
