//! One client's connection, from its acceptance to its end.
//!
//! First it is settled who the client is ([`Peer`]), then over what its bytes go
//! ([`Stream`]), and then HTTP is spoken.

mod http1;
mod peer;
mod stream;

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use tokio::net::TcpStream;

use super::client::Client;
use super::tls;
use super::worker::Worker;

pub(super) use http1::builder as http1_builder;
pub(super) use peer::Peer;
pub(super) use stream::Stream;

/// Serves one client until it leaves, times out, or the worker stops. It comes
/// from `address`.
pub(super) async fn serve(mut stream: TcpStream, address: SocketAddr, worker: Rc<Worker>) {
    let Some(peer) = peer::settle(&mut stream, address, &worker).await else {
        return;
    };
    let tls = worker.shared.tls.now().as_ref().map(Arc::clone);
    let (stream, certificate) = match tls {
        None => (Stream::Plain(stream), None),
        // Apart, so that connections in clear text do not have room for it.
        Some(tls) => match Box::pin(tls::secure(stream, tls, &worker)).await {
            Some(agreed) => (Stream::Tls(agreed.stream), Some(agreed.certificate)),
            None => return,
        },
    };
    let client = Rc::new(Client::new(peer, certificate, worker));
    http1::serve(stream, client).await;
}
