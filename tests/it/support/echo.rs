//! A server that answers with what it was sent, or as its path says.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Starts one on a free port of loopback; it ends with the test's runtime.
///
/// `/bytes` answers with bytes that are no text, `/large` with 1.5 MiB, `/cut`
/// with less than it promises, `/mute` never, `/health` with 200.
pub(crate) async fn start() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream));
        }
    });
    address
}

async fn answer(mut stream: TcpStream) {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    let (head, body) = loop {
        let Ok(n @ 1..) = stream.read(&mut buffer).await else {
            return;
        };
        request.extend_from_slice(&buffer[..n]);
        let text = String::from_utf8_lossy(&request).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            let is_length = name.eq_ignore_ascii_case("content-length");
            is_length.then(|| value.parse().ok())?
        });
        if body.len() >= length.unwrap_or(0) {
            break (head.to_owned(), body.to_owned());
        }
    };
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let (kind, promised, content) = match path.as_str() {
        "/bytes" => ("application/octet-stream", 3, vec![0xff, 0, 0xfe]),
        "/large" => ("text/plain", 3 << 19, vec![b'x'; 3 << 19]),
        "/cut" => ("text/plain", 100, b"only this".to_vec()),
        "/mute" => return std::future::pending().await,
        "/health" => ("text/plain", 2, b"ok".to_vec()),
        _ => {
            let line = head.lines().next().unwrap_or_default();
            let line = line.trim_end_matches(" HTTP/1.1");
            let mut fields: Vec<&str> = head.lines().skip(1).collect();
            fields.sort_unstable();
            let content = format!("{line}\n{}\n\n{body}", fields.join("\n"));
            ("text/plain", content.len(), content.into_bytes())
        }
    };
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {promised}\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n\r\n"
    );
    let _ = stream
        .write_all(&[head.as_bytes(), &content].concat())
        .await;
}
