//! The attempts of one request: each at its key's next candidate, until a
//! server answers or nothing more may be tried.

use std::rc::Rc;

use http::header::HOST;
use http::{Method, Request, Response, Version};

use super::body::{InFlight, RequestBody};
use super::conn::Client;
use super::error::ProxyError;
use super::headers;
use super::upstream::{self, AttemptWaits, Connection, Exchange};
use super::worker::WorkerFleet;
use crate::engine::{NoServer, Outcome, Position, ServerIndex, Spread};
use crate::native::clock;

/// What of a request decides where and how it may be sent.
pub(super) struct Sent {
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
}

/// A server's answer.
pub(super) struct Answered {
    /// The answer.
    pub(super) response: Response<upstream::Body>,
    /// The fleet that decided.
    pub(super) fleet: Rc<WorkerFleet>,
    /// Whose answer it is.
    pub(super) index: ServerIndex,
    /// Where it was tried before that.
    pub(super) tried: Vec<ServerIndex>,
    /// Counts it as in flight at the server that answered.
    pub(super) in_flight: InFlight,
}

/// One request on its way.
pub(super) struct Attempts<'a> {
    client: &'a Rc<Client>,
    fleet: Rc<WorkerFleet>,
    sent: Sent,
    waits: AttemptWaits,
    /// The servers that failed.
    tried: Vec<ServerIndex>,
}

impl<'a> Attempts<'a> {
    /// Nothing is tried yet.
    pub(super) fn new(client: &'a Rc<Client>, fleet: Rc<WorkerFleet>, sent: Sent) -> Self {
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
            client,
            fleet,
            sent,
            waits,
            tried: Vec::new(),
        }
    }

    /// Sends `request` until a server answers it.
    ///
    /// # Errors
    /// When none does.
    pub(super) async fn run(
        mut self,
        request: Request<RequestBody>,
    ) -> Result<Answered, ProxyError> {
        let (client, worker) = (self.client, &*self.client.worker);
        let mut request = Some(request);
        let mut connection = Connection::KeptOrNew;
        let mut failed = None;
        loop {
            let (key, spread) = (self.sent.key, self.sent.spread);
            let entered = self.fleet.enter(key, spread, &self.tried, worker.bounded());
            let (index, server, in_flight) = match entered {
                Ok(route) => route,
                // What went wrong at the last server says more than that there is
                // no other.
                Err(why) => return Err(failed.unwrap_or_else(|| no_server(client, why))),
            };
            if let (false, Some(request)) = (self.sent.has_host, &mut request) {
                request.headers_mut().insert(HOST, server.authority.clone());
            }
            client.asks_server(self.sent.has_body);
            let began = clock::now();
            let result = server
                .pool
                .exchange(&mut request, connection, client, self.waits)
                .await;
            let took = clock::now().since(began);
            let failure = match result {
                Ok(response) => {
                    let outcome = Outcome::Status(response.status().as_u16());
                    server.record(outcome, took);
                    worker.shared.report(&server.runtime, outcome);
                    return Ok(Answered {
                        response,
                        fleet: self.fleet,
                        index,
                        tried: self.tried,
                        in_flight,
                    });
                }
                Err(failure) => failure,
            };
            if let Some(outcome) = failure.outcome() {
                server.record(outcome, took);
                worker.shared.report(&server.runtime, outcome);
            }
            if !failure.may_try_again(&self.sent.method) {
                return Err(failure.error());
            }
            if request.is_none() && !self.sent.has_body {
                request = self.again();
            }
            if request.is_none() {
                return Err(failure.error());
            }
            if failure.keeps_server() {
                connection = Connection::New;
                continue;
            }
            connection = Connection::KeptOrNew;
            failed = Some(failure.error());
            self.tried.push(index);
            let n_further = self.fleet.rules().config.retries.attempts.number();
            if self.tried.len() as u64 > n_further {
                return Err(failure.error());
            }
        }
    }

    /// Makes the request in hand anew, from the bytes it came as: what was sent
    /// is gone, and copies beforehand would cost every request.
    #[cold]
    fn again(&self) -> Option<Request<RequestBody>> {
        let Self { client, sent, .. } = self;
        let (mut head, ()) = client.head_bytes.parse()?.into_parts();
        let key_now = client.key(&self.fleet, &head);
        let is_same = head.method == sent.method
            && key_now == sent.key
            && head.headers.len() == sent.n_fields;
        if !is_same {
            // The bytes of another request: this one's are not all there.
            return None;
        }
        let new_id = || client.worker.request_ids.next();
        headers::prepare_request(&mut head, &client.fields, new_id, || false).ok()?;
        head.version = Version::HTTP_11;
        Some(Request::from_parts(head, RequestBody::empty()))
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
