//! WebSocket by another implementation, at both ends.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::Role;
use tungstenite::{Message, WebSocket};

use super::origin::{After, Got, Origin, ok};

/// Consents to change over.
pub(crate) fn switch(got: &Got, stream: &mut TcpStream) {
    let key = got.all("sec-websocket-key").concat();
    let accept = derive_accept_key(key.as_bytes());
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: WebSocket\r\n\
         sec-websocket-accept: {accept}\r\nx-inner: 1\r\nkeep-alive: 1\r\n\r\n"
    );
    let _ = stream.write_all(head.as_bytes());
}

/// Changes over, and sends every message back until the other end has ended.
pub(crate) fn echo_all(got: &Got, stream: &mut TcpStream) -> After {
    switch(got, stream);
    let stream = stream.try_clone().expect("a handle");
    let mut socket = WebSocket::from_raw_socket(stream, Role::Server, None);
    while let Ok(message) = socket.read() {
        if message.is_text() || message.is_binary() {
            let _ = socket.send(message);
        }
    }
    After::Close
}

/// A WebSocket server that sends every message back.
pub(crate) fn echo() -> Origin {
    Origin::at_head(|got, stream| {
        if got.all("upgrade").is_empty() {
            ok(stream, "no upgrade");
            return After::Keep;
        }
        echo_all(got, stream)
    })
}

/// Changes over through the proxy at `address`.
pub(crate) fn connect(address: SocketAddr, path: &str) -> WebSocket<TcpStream> {
    let stream = TcpStream::connect(address).expect("the proxy takes connections");
    let patience = Some(Duration::from_secs(20));
    stream.set_read_timeout(patience).expect("a timeout");
    let (socket, answer) =
        tungstenite::client(format!("ws://shop.test{path}"), stream).expect("a handshake");
    assert_eq!(answer.status(), 101);
    socket
}

/// Sends a message, and waits until it comes back.
pub(crate) fn says(socket: &mut WebSocket<TcpStream>, text: &str) {
    socket.send(Message::text(text)).expect("it is open");
    assert_eq!(socket.read().expect("an echo"), Message::text(text));
}
