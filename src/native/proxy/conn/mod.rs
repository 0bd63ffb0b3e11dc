//! One client's connection, from its acceptance to its end.
//!
//! First it is settled who the client is ([`Peer`]), then over what its bytes go
//! ([`Stream`]), and then HTTP is spoken.

mod http1;
mod http2;
mod peer;
mod stream;

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use tokio::net::TcpStream;

use super::client::Client;
use super::tls::{self, Tls};
use super::worker::Worker;

pub(super) use http1::builder as http1_builder;
pub(super) use http2::builder as http2_builder;
pub(super) use peer::Peer;
pub(super) use stream::Stream;

/// Serves one client until it leaves, times out, or the worker stops. It comes
/// from `address`.
pub(super) async fn serve(mut stream: TcpStream, address: SocketAddr, worker: Rc<Worker>) {
    let Some(peer) = peer::settle(&mut stream, address, &worker).await else {
        return;
    };
    let tls = worker.shared.tls.now().as_ref().map(Arc::clone);
    let Some(tls) = tls else {
        let client = Client::new(peer, None, worker);
        return http1::serve(Stream::Plain(stream), Rc::new(client)).await;
    };
    // Apart, so that connections in clear text do not have room for it.
    Box::pin(serve_secured(stream, peer, tls, worker)).await;
}

async fn serve_secured(stream: TcpStream, peer: Peer, tls: Arc<Tls>, worker: Rc<Worker>) {
    let Some(agreed) = tls::secure(stream, tls, &worker).await else {
        return;
    };
    let client = Client::new(peer, Some(agreed.certificate), worker);
    let (stream, client) = (Stream::Tls(agreed.stream), Rc::new(client));
    match agreed.is_http2 {
        true => http2::serve(stream, Bytes::new(), client).await,
        false => http1::serve(stream, client).await,
    }
}
