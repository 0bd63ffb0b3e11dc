//! A running proxy on loopback, without API and probes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ringway::config::Config;
use ringway::engine::{Observation, ServerId, Verdict};
use ringway::native::clock;
use ringway::native::driver;
use ringway::native::proxy::tls::Tls;
use ringway::native::proxy::{Workers, listen, start};
use ringway::native::shared::{Reports, Shared};
use ringway::native::telemetry::access_log::AccessLog;
use tokio_util::sync::CancellationToken;

/// A running proxy; stops when it is dropped.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    pub(crate) shared: Arc<Shared>,
    /// What workers reported of servers; nobody judges it.
    pub(crate) reports: Reports,
    stop: CancellationToken,
    workers: Option<Workers>,
}

impl Proxy {
    /// One worker in front of `servers`, with `settings` (members of the
    /// configuration's object, as JSON without the braces).
    pub(crate) fn start(servers: &[(&str, SocketAddr)], settings: &str) -> Self {
        Self::start_with(servers, settings, 1, None)
    }

    /// The same with more workers, or a log.
    pub(crate) fn start_with(
        servers: &[(&str, SocketAddr)],
        settings: &str,
        n_workers: usize,
        access_log: Option<&AccessLog>,
    ) -> Self {
        let servers: Vec<String> = servers
            .iter()
            .map(|(name, address)| {
                let (ip, port) = (address.ip(), address.port());
                format!(r#"{{"name": "{name}", "address": "{ip}", "port": {port}}}"#)
            })
            .collect();
        Self::of(&servers, settings, n_workers, access_log)
    }

    /// The same with `servers` as they stand in the configuration.
    pub(crate) fn of(
        servers: &[String],
        settings: &str,
        n_workers: usize,
        access_log: Option<&AccessLog>,
    ) -> Self {
        let comma = if settings.is_empty() { "" } else { ", " };
        let document = format!(
            r#"{{"servers": [{}]{comma}{settings}}}"#,
            servers.join(", ")
        );
        let config = Config::parse(document.as_bytes()).expect("a good configuration");
        let (shared, reports) = Shared::new(&config, n_workers).expect("a good fleet");
        let tls = Tls::read(&config, None).expect("good files");
        shared.tls.switch(tls);
        let listeners = listen::bind("127.0.0.1", 0, n_workers).expect("loopback can be bound");
        let address = listeners[0].local_addr().expect("it is bound");
        let stop = CancellationToken::new();
        let workers = start(&config, &shared, listeners, access_log, &stop).expect("threads");
        Self {
            address,
            shared,
            reports,
            stop,
            workers: Some(workers),
        }
    }

    /// Has the servers probed, and judged by what the workers report.
    pub(crate) fn judge(&mut self) {
        let (_, nothing) = tokio::sync::mpsc::channel(1);
        let reports = std::mem::replace(&mut self.reports, nothing);
        let driving = driver::run(Arc::clone(&self.shared), reports, self.stop.clone());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        std::thread::spawn(move || runtime.block_on(driving));
    }

    /// Tells the proxy to stop, without waiting for it.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits until it has stopped.
    pub(crate) fn join(&mut self) {
        if let Some(workers) = self.workers.take() {
            workers.join();
        }
    }

    /// Goes over to its configuration as `change` makes it, as a reload does.
    pub(crate) fn reload(&self, change: impl FnOnce(&mut serde_json::Value)) {
        let before = self.shared.config();
        let mut document = serde_json::to_value(&*before).expect("JSON");
        change(&mut document);
        let config = Config::read(document).expect("a good configuration");
        before.can_become(&config).expect("no restart");
        let tls = Tls::read(&config, self.shared.tls.now().as_deref()).expect("good files");
        let applied = self.shared.reconfigure(config, |_| true);
        applied.expect("a good fleet").expect("it may");
        self.shared.tls.switch(tls);
    }

    /// The next verdict of a request, and on whom.
    pub(crate) fn judged(&mut self) -> (ServerId, Verdict) {
        loop {
            match self.reports.blocking_recv() {
                Some(Observation::Judged {
                    server, verdict, ..
                }) => return (server, verdict),
                Some(_) => {}
                None => panic!("no verdict comes any more"),
            }
        }
    }

    /// Requests in flight, of all servers.
    pub(crate) fn in_flight(&self) -> u32 {
        let fleet = self.shared.fleet().load();
        fleet.servers.iter().map(|s| s.in_flight.number()).sum()
    }

    /// The name of the server that gets a request for `path` when the key is
    /// the path.
    pub(crate) fn owner_of(&self, path: &str) -> String {
        let table = self.shared.table();
        let position = ringway::engine::Position::of_key(path.as_bytes());
        let route = table
            .route(Some(position), &ringway::engine::Idle, &[])
            .expect("a server");
        table.server(route.server).server.name.to_string()
    }

    /// The first of the paths `/0`, `/1`, … that `server` owns.
    pub(crate) fn path_of(&self, server: &str) -> String {
        let paths = (0..).map(|i| format!("/{i}"));
        let mut owned = paths.filter(|path| self.owner_of(path) == server);
        owned.next().expect("every server owns some")
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop();
        self.join();
    }
}

/// Waits until `is_so`; a test that fails here says `what` it waited for.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = clock::now();
    while !is_so() {
        let waited = clock::now().since(began);
        assert!(waited < Duration::from_secs(20), "in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
