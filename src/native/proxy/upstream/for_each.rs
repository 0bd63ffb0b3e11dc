//! A server that is told by the PROXY protocol for whom each connection is.
//!
//! A connection says that once, at its beginning, so no other client's request
//! may go over it. Each client has connections of its own therefore; who has not
//! asked for longest loses what is kept for it.

use core::time::Duration;
use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use super::Speaks;
use super::connect::Connector;
use crate::config::{self, Http1Codec};
use crate::engine::{ProxyProtocol, Server, Timestamp};
use crate::native::proxy::asker::Asker;
use crate::native::proxy::timer::Timers;
use crate::native::proxy_protocol;
use crate::native::server_tls::ServerTls;
use crate::native::shared::ServerRuntime;

/// What one server is told: who asks, and where.
type Told = (SocketAddr, SocketAddr);

/// One server's connections, by client.
pub(super) struct ForEach {
    server: Server,
    version: ProxyProtocol,
    codec: Http1Codec,
    runtime: Arc<ServerRuntime>,
    tls: Option<Arc<ServerTls>>,
    limits: RefCell<config::Pool>,
    timers: Rc<Timers>,
    /// Who has not asked for longest comes first.
    clients: RefCell<Vec<OfClient>>,
}

/// One client's connections.
struct OfClient {
    told: Told,
    speaks: Rc<Speaks>,
    asked: Timestamp,
}

impl ForEach {
    /// No connections yet.
    pub(super) fn new(
        server: &Server,
        version: ProxyProtocol,
        codec: Http1Codec,
        runtime: &Arc<ServerRuntime>,
        tls: Option<Arc<ServerTls>>,
        limits: &config::Pool,
        timers: &Rc<Timers>,
    ) -> Self {
        Self {
            server: server.clone(),
            version,
            codec,
            runtime: Arc::clone(runtime),
            tls,
            limits: RefCell::new(limits.clone()),
            timers: Rc::clone(timers),
            clients: RefCell::default(),
        }
    }

    /// The connections for `asker`.
    pub(super) fn of(&self, asker: &Asker) -> Rc<Speaks> {
        let told = told(asker);
        let mut clients = self.clients.borrow_mut();
        let known = clients.iter().position(|client| client.told == told);
        let speaks = match known.map(|at| clients.remove(at)) {
            Some(client) => client.speaks,
            None => Rc::new(self.connections(told)),
        };
        clients.push(OfClient {
            told,
            speaks: Rc::clone(&speaks),
            asked: self.timers.now(),
        });
        let n_over = clients.len().saturating_sub(self.n_max());
        clients.drain(..n_over);
        speaks
    }

    fn connections(&self, told: Told) -> Speaks {
        let header = proxy_protocol::header(self.version, Some(told));
        let (server, tls) = (&self.server, self.tls.clone());
        let connector = Connector::new(server, Some(header), &self.runtime, tls);
        let limits = self.limits.borrow().of_one();
        Speaks::new(server, connector, self.codec, &limits, &self.timers)
    }

    /// As many connections as may be kept, one of each client.
    fn n_max(&self) -> usize {
        self.limits.borrow().max_idle.number() as usize
    }

    /// Keeps connections by other limits from now on.
    pub(super) fn set_limits(&self, limits: &config::Pool) {
        let of_one = limits.of_one();
        let clients = self.clients.borrow();
        clients
            .iter()
            .for_each(|client| client.speaks.set_limits(&of_one));
        *self.limits.borrow_mut() = limits.clone();
    }

    /// Closes all connections without a request.
    pub(super) fn close_idle(&self) {
        let clients = self.clients.borrow();
        clients.iter().for_each(|client| client.speaks.close_idle());
    }

    /// Closes connections that need not be kept any longer.
    pub(super) fn sweep(&self, now: Timestamp) {
        let idle_max: Duration = self.limits.borrow().idle.duration();
        let mut clients = self.clients.borrow_mut();
        clients.retain(|client| now.since(client.asked) < idle_max);
        clients.iter().for_each(|client| client.speaks.sweep(now));
        let n_over = clients.len().saturating_sub(self.n_max());
        clients.drain(..n_over);
    }
}

/// What a server is told of `asker`: its address and port (0 if a proxy before
/// this one has named it, which knows the port alone), and the address to which
/// it has connected.
fn told(asker: &Asker) -> Told {
    let source = asker.source();
    let nowhere = match source.ip() {
        IpAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::from(Ipv6Addr::UNSPECIFIED),
    };
    let unknown = SocketAddr::new(nowhere, 0);
    (source, asker.destination().unwrap_or(unknown))
}
