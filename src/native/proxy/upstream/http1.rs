//! Plain HTTP/1.1 to one server, over hyper, with connections kept by this
//! thread alone.
//!
//! A kept connection is used again last in, first out, so that those that a
//! quieter time does not need grow old and are closed.

use core::time::Duration;
use std::cell::{Cell, RefCell};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::gate::Gate;
use super::{AttemptWaits, Connection, Exchange};
use crate::config;
use crate::engine::{Server, Timestamp};
use crate::native::proxy::in_hand::InHand;
use crate::native::proxy::listen;
use crate::native::proxy::retry::Failure;
use crate::native::proxy::timer::Timers;
use crate::native::proxy::upload::RequestBody;

/// One server's connections.
pub(in crate::native::proxy) struct Pool {
    place: Place,
    /// The longest unused ones first.
    idle: RefCell<Vec<Kept>>,
    limits: Cell<Limits>,
    timers: Rc<Timers>,
}

/// How many connections are kept, and how long.
#[derive(Clone, Copy)]
struct Limits {
    n_max: usize,
    idle_max: Duration,
    age_max: Duration,
}

impl From<&config::Pool> for Limits {
    fn from(limits: &config::Pool) -> Self {
        Self {
            n_max: limits.max_idle.number() as usize,
            idle_max: limits.idle.duration(),
            age_max: limits.max_age.duration(),
        }
    }
}

/// Where the server listens.
enum Place {
    Ip(SocketAddr),
    Name(String, u16),
}

/// A connection without a request on it.
struct Kept {
    sender: SendRequest<RequestBody>,
    gate: Arc<Gate>,
    made: Timestamp,
    since: Timestamp,
}

/// A connection with a request on it.
struct Lease {
    pool: Rc<Pool>,
    sender: SendRequest<RequestBody>,
    gate: Arc<Gate>,
    made: Timestamp,
}

/// The body of an answer; with its end, the connection is free again.
pub(in crate::native::proxy) struct ServerBody {
    incoming: Incoming,
    lease: Option<Lease>,
}

impl Pool {
    /// No connections yet.
    pub(in crate::native::proxy) fn new(
        server: &Server,
        limits: &config::Pool,
        timers: &Rc<Timers>,
    ) -> Rc<Self> {
        let (address, port) = (server.address.as_str(), server.port.number());
        let place = match address.parse::<IpAddr>() {
            Ok(ip) => Place::Ip(SocketAddr::new(ip, port)),
            Err(_) => Place::Name(address.to_owned(), port),
        };
        Rc::new(Self {
            place,
            idle: RefCell::default(),
            limits: Cell::new(limits.into()),
            timers: Rc::clone(timers),
        })
    }

    /// Keeps connections by other limits from now on.
    pub(in crate::native::proxy) fn set_limits(&self, limits: &config::Pool) {
        self.limits.set(limits.into());
    }

    /// Closes connections that have not been used for too long, and those that
    /// are too many.
    pub(in crate::native::proxy) fn sweep(&self, now: Timestamp) {
        let limits = self.limits.get();
        let mut idle = self.idle.borrow_mut();
        idle.retain(|kept| {
            !kept.sender.is_closed()
                && now.since(kept.since) < limits.idle_max
                && now.since(kept.made) < limits.age_max
        });
        let n_over = idle.len().saturating_sub(limits.n_max);
        idle.drain(..n_over);
    }

    /// A kept connection that is fit for a request.
    fn take(self: &Rc<Self>) -> Option<Lease> {
        let mut idle = self.idle.borrow_mut();
        while let Some(kept) = idle.pop() {
            let Kept {
                sender, gate, made, ..
            } = kept;
            // What the server has ended since, or what has not come to rest
            // (an upload that the answer overtook), is closed.
            if sender.is_ready() {
                return Some(Lease {
                    pool: Rc::clone(self),
                    sender,
                    gate,
                    made,
                });
            }
        }
        None
    }

    async fn connect(self: &Rc<Self>) -> io::Result<Lease> {
        let stream = match &self.place {
            Place::Ip(address) => TcpStream::connect(address).await?,
            Place::Name(name, port) => TcpStream::connect((name.as_str(), *port)).await?,
        };
        listen::prepare(&stream);
        let (sender, connection) = http1::Builder::new()
            // Most requests have a short body or none: joining it to the head
            // is cheaper than handing over a list of pieces.
            .writev(false)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        // It ends when the sender is dropped, when it becomes a tunnel, or with
        // an error that the request on it is told of too.
        let gate = Arc::<Gate>::default();
        let run = Arc::clone(&gate).run(connection.with_upgrades());
        tokio::task::spawn_local(async move { drop(run.await) });
        Ok(Lease {
            pool: Rc::clone(self),
            sender,
            gate,
            made: self.timers.now(),
        })
    }
}

impl Lease {
    fn give_back(self) {
        let Self {
            pool,
            sender,
            gate,
            made,
        } = self;
        let since = pool.timers.now();
        let mut idle = pool.idle.borrow_mut();
        let limits = pool.limits.get();
        if idle.len() < limits.n_max && since.since(made) < limits.age_max {
            idle.push(Kept {
                sender,
                gate,
                made,
                since,
            });
        }
    }
}

impl Exchange for Pool {
    type Body = ServerBody;

    async fn exchange(
        self: &Rc<Self>,
        request: &mut Option<Request<RequestBody>>,
        answer: &mut Option<Response<ServerBody>>,
        connection: Connection,
        in_hand: &InHand,
        waits: AttemptWaits,
    ) -> Result<StatusCode, Failure> {
        let kept = match connection {
            Connection::KeptOrNew => self.take(),
            Connection::New => None,
        };
        let was_kept = kept.is_some();
        let mut lease = match kept {
            Some(lease) => lease,
            None => {
                in_hand.timer.set(waits.connect);
                match in_hand.timer.limit(self.connect()).await {
                    Some(Ok(lease)) => lease,
                    Some(Err(_)) => return Err(Failure::Connect),
                    None => return Err(Failure::ConnectTimeout),
                }
            }
        };
        in_hand.timer.set(waits.answer);
        let Some(request_now) = request.take() else {
            return Err(Failure::Broken);
        };
        // Pinned where it is made: it has room for a request.
        let sending = pin!(lease.sender.try_send_request(request_now));
        let mut error = match in_hand.timer.limit(sending).await {
            Some(Ok(response)) => {
                let status = response.status();
                // A connection that changes over is none for requests any more.
                let is_http = status != StatusCode::SWITCHING_PROTOCOLS;
                let lease = is_http.then_some(lease);
                *answer = Some(response.map(|incoming| ServerBody::new(incoming, lease)));
                return Ok(status);
            }
            Some(Err(error)) => error,
            None if in_hand.is_awaited() => return Err(Failure::BodyTimeout),
            None => return Err(Failure::AnswerTimeout),
        };
        *request = error.take_message();
        let error = error.into_error();
        Err(match (was_kept, request.is_some()) {
            _ if error.is_user() => Failure::BadBody,
            (true, true) => Failure::Unsent,
            (true, false) if !error.is_parse() => Failure::Stale,
            _ => Failure::Broken,
        })
    }
}

impl ServerBody {
    fn new(incoming: Incoming, lease: Option<Lease>) -> Self {
        let mut body = Self { incoming, lease };
        body.release_at_end();
        body
    }

    fn release_at_end(&mut self) {
        if self.incoming.is_end_stream() {
            self.release();
        }
    }

    fn release(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
    }
}

impl Body for ServerBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = &mut *self;
        let gate = this.lease.as_ref().map(|lease| &lease.gate);
        if let Some(gate) = gate {
            gate.shut();
        }
        let frame = Pin::new(&mut this.incoming).poll_frame(cx);
        if let Some(gate) = gate {
            // The connection knew that this was the last piece when it gave it.
            gate.open(this.incoming.is_end_stream());
        }
        match &frame {
            Poll::Ready(None) => this.release(),
            Poll::Ready(Some(Ok(_))) => this.release_at_end(),
            Poll::Ready(Some(Err(_))) => this.lease = None,
            Poll::Pending => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
