//! What a proxy writes into its access log.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use ringway::config::AccessLogFormat;
use ringway::native::telemetry::access_log::AccessLog;

use super::client::Client;
use super::proxy::Proxy;

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The log of a proxy with these servers and settings, of requests that a
/// client sends as `ask` does.
pub(crate) fn text_of(
    servers: &[(&str, SocketAddr)],
    settings: &str,
    format: AccessLogFormat,
    ask: impl Fn(&mut Client),
) -> String {
    let sink = Sink::default();
    let log = AccessLog::to(sink.clone(), format).expect("a thread");
    let mut proxy = Proxy::start_with(servers, settings, 1, Some(&log));
    ask(&mut Client::connect(proxy.address));
    proxy.stop();
    proxy.join();
    log.close();
    let bytes = sink.0.lock().expect("no panic").clone();
    String::from_utf8(bytes).expect("text")
}
