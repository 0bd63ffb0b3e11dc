//! The API on a socket of its own, and a client that can also ask what no
//! well-behaved one asks.

use std::net::SocketAddr;
use std::sync::Arc;

use ringway::config::Config;
use ringway::native::admin::{Admin, serve};
use ringway::native::reload::{self, Reloader};
use ringway::native::shared::{Reports, Shared};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A running API. Ends with its test's runtime.
pub(crate) struct Api {
    pub(crate) address: SocketAddr,
    pub(crate) shared: Arc<Shared>,
    pub(crate) admin: Arc<Admin>,
    pub(crate) config: Arc<Config>,
    pub(crate) stop: CancellationToken,
    pub(crate) task: JoinHandle<()>,
    /// What a driver would run on; without one, no probe is ever sent.
    pub(crate) reports: Option<Reports>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// A header field's value, `""` without it.
    pub(crate) fn header(&self, name: &str) -> &str {
        let mut fields = self.headers.iter();
        fields
            .find(|(field, _)| field == name)
            .map_or("", |(_, value)| value)
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("the answer is text")
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {:?}", String::from_utf8_lossy(&self.body)))
    }

    /// The kind of problem it is about, without what all kinds begin with.
    pub(crate) fn problem(&self) -> String {
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{self:?}"
        );
        let problem = self.json();
        assert_eq!(problem["status"], self.status, "{problem}");
        assert!(!problem["title"].as_str().unwrap_or_default().is_empty());
        assert!(!problem["detail"].as_str().unwrap_or_default().is_empty());
        let kind = problem["type"].as_str().unwrap_or_default();
        kind.strip_prefix("urn:ringway:problem:")
            .expect("all kinds begin so")
            .to_owned()
    }

    /// The paths of the faults it lists.
    pub(crate) fn faults(&self) -> Vec<String> {
        let problem = self.json();
        let errors = problem["errors"].as_array().cloned().unwrap_or_default();
        let path = |error: &Value| error["path"].as_str().unwrap_or_default().to_owned();
        errors.iter().map(path).collect()
    }
}

/// A document with these servers, by name, address and port, that are never probed.
pub(crate) fn document(servers: &[(&str, &str, u16)]) -> Value {
    let servers: Vec<Value> = servers
        .iter()
        .map(|(name, address, port)| json!({ "name": name, "address": address, "port": port }))
        .collect();
    json!({ "servers": servers, "health_check": { "enabled": false } })
}

impl Api {
    /// Starts an API over the configuration in `document`.
    pub(crate) async fn start(document: Value) -> Self {
        Self::start_over(document, None).await
    }

    /// The same, with a file from which it is reloaded.
    pub(crate) async fn start_over(document: Value, file: Option<&std::path::Path>) -> Self {
        let config = Config::read(document).expect("the test gives a good configuration");
        let config = Arc::new(config);
        let (shared, reports) = Shared::new(&config, 1).expect("a good fleet");
        let reloader = file.map(|file| {
            let (_, stamp) = reload::read(file).expect("a good file");
            Reloader::new(file.to_owned(), stamp, Arc::clone(&shared))
        });
        Self::over(shared, reloader, Some(reports)).await
    }

    /// Starts an API over what runs already.
    pub(crate) async fn over(
        shared: Arc<Shared>,
        reloader: Option<Arc<Reloader>>,
        reports: Option<Reports>,
    ) -> Self {
        let config = shared.config();
        let admin = Admin::new(Arc::clone(&shared), reloader).expect("a readable token file");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let stop = CancellationToken::new();
        let task = tokio::spawn(serve(listener, Arc::clone(&admin), stop.clone()));
        Self {
            address,
            shared,
            admin,
            config,
            stop,
            task,
            reports,
        }
    }

    /// Sends these bytes on a connection of their own and reads to its end.
    pub(crate) async fn raw(&self, request: &[u8]) -> Option<Reply> {
        parse(&self.bytes(request).await)
    }

    /// The same, with all bytes that come back.
    pub(crate) async fn bytes(&self, request: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.address).await.expect("it listens");
        let (mut reading, mut writing) = stream.split();
        let mut answer = Vec::new();
        // A refusal may come before everything is written.
        let (_, _) = tokio::join!(
            async {
                let _ = writing.write_all(request).await;
            },
            reading.read_to_end(&mut answer)
        );
        answer
    }

    /// Sends a request as clients do. `extra` are further header fields.
    pub(crate) async fn send(&self, method: &str, target: &str, extra: &str, body: &[u8]) -> Reply {
        let mut head = format!("{method} {target} HTTP/1.1\r\nconnection: close\r\n");
        if !extra.lines().any(|line| line.starts_with("host:")) {
            head += "host: localhost:9090\r\n";
        }
        if !body.is_empty() {
            head += &format!("content-length: {}\r\n", body.len());
        }
        let request = [head.as_bytes(), extra.as_bytes(), b"\r\n", body].concat();
        let reply = self.raw(&request).await;
        reply.unwrap_or_else(|| panic!("no answer to {method} {target} {extra}"))
    }

    pub(crate) async fn get(&self, target: &str) -> Reply {
        self.send("GET", target, "", b"").await
    }

    pub(crate) async fn delete(&self, target: &str) -> Reply {
        self.send("DELETE", target, "", b"").await
    }

    pub(crate) async fn post(&self, target: &str, body: &Value) -> Reply {
        self.with_json("POST", target, "", body).await
    }

    pub(crate) async fn put(&self, target: &str, body: &Value) -> Reply {
        self.with_json("PUT", target, "", body).await
    }

    /// Sends JSON, with further header fields.
    pub(crate) async fn with_json(
        &self,
        method: &str,
        target: &str,
        extra: &str,
        body: &Value,
    ) -> Reply {
        let extra = format!("content-type: application/json\r\n{extra}");
        self.send(method, target, &extra, body.to_string().as_bytes())
            .await
    }

    /// All that a refusal must leave as it was.
    pub(crate) fn state(&self) -> String {
        let snapshot = self.shared.snapshot();
        let servers = snapshot.servers.iter();
        let servers: Vec<String> = servers
            .map(|server| format!("{:?} {:?} {:?}", server.id, server.server, server.state))
            .collect();
        let version = self.shared.table().version();
        format!("{version} {}", servers.join("\n"))
    }
}

/// The first answer in these bytes, if there is a whole one.
pub(crate) fn parse(bytes: &[u8]) -> Option<Reply> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut reply = Reply {
        status,
        headers,
        body: bytes[end + 4..].to_vec(),
    };
    if let Ok(length) = reply.header("content-length").parse() {
        reply.body.truncate(length);
    }
    Some(reply)
}
