//! `ringway serve`: binds, starts the threads, and stops them in order.

use std::io;
use std::net::{TcpListener, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::admin::{self, Admin};
use super::cli::RecordArgs;
use super::driver;
use super::proxy;
use super::reload::{self, Reloader, Stamp};
use super::shared::Shared;
use super::telemetry::access_log::{self, AccessLog};
use super::telemetry::otlp;
use super::telemetry::record::Recorder;
use crate::config::{Api, Config};

/// Runs the proxy and the API until SIGTERM or SIGINT; then lets requests in
/// flight end. `file` is where `config` was read from, which is where it is
/// reloaded from; `record` says what is written down. `when_ready` is called once everything listens.
///
/// # Errors
/// When something cannot be bound or started; nothing is left running then.
pub fn serve(
    config: Config,
    file: Option<(PathBuf, Stamp)>,
    record: &RecordArgs,
    when_ready: impl FnOnce() -> io::Result<()>,
) -> io::Result<()> {
    let n_workers = n_workers(&config);
    let (shared, reports) = Shared::new(&config, n_workers).map_err(io::Error::other)?;
    let access_log = AccessLog::open(&config.access_log, Arc::clone(&shared.counts))?;
    let reloader = file.map(|(file, stamp)| {
        let reloader = Reloader::new(file, stamp, Arc::clone(&shared));
        reloader.switches(access_log.clone());
        reloader
    });
    let admin = Admin::new(Arc::clone(&shared), reloader.clone()).map_err(io::Error::other)?;
    let (host, port) = (config.listen.host.as_str(), config.listen.port.number());
    let listeners = proxy::listen::bind(host, port, n_workers).map_err(|error| {
        let message = format!("the proxy cannot listen on {host}:{port}: {error}");
        io::Error::new(error.kind(), message)
    })?;
    let api_listeners = bind_api(&config.api)?;
    let proxy_at = local_addresses(&listeners[..1])?;
    let api_at = local_addresses(&api_listeners)?;

    let recorder = record.record.as_ref().map(|file| {
        let bytes_max = u64::from(record.record_max) << 20;
        Recorder::new(Arc::clone(&shared), file.clone(), bytes_max)
    });
    let recorder = recorder.transpose()?;

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let stop = CancellationToken::new();
        // From here on whatever goes wrong, the threads are told to end.
        let _stop_on_return = stop.clone().drop_guard();
        // Before the first request, so that a signal always ends in order.
        let mut signals = Signals::new()?;
        let workers = proxy::start(&config, &shared, listeners, Some(&access_log), &stop)?;
        let mut tasks = vec![tokio::spawn(driver::run(
            Arc::clone(&shared),
            reports,
            stop.clone(),
        ))];
        // Without a file a hang-up ends the program, as it ends most.
        if let Some(reloader) = reloader {
            let hangups = signal(SignalKind::hangup())?;
            tasks.push(tokio::spawn(reload::run(reloader, hangups, stop.clone())));
        }
        let recording = recorder.map(|recorder| tokio::spawn(recorder.run(stop.clone())));
        tasks.extend(recording);
        // Always caught: without a log, a signal for it must not end the program.
        tasks.push(tokio::spawn(access_log::reopen_on(
            signal(SignalKind::user_defined1())?,
            access_log.clone(),
            stop.clone(),
        )));
        for listener in api_listeners {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            let api = admin::serve(listener, Arc::clone(&admin), stop.clone());
            tasks.push(tokio::spawn(api));
        }
        info!(
            proxy = proxy_at,
            api = api_at,
            workers = n_workers,
            "listening"
        );
        // Ends after the workers, whose last requests are of interest.
        let no_more_traces = CancellationToken::new();
        let traces = shared.traces().map(|queue| {
            let (shared, stop) = (Arc::clone(&shared), no_more_traces.clone());
            tokio::spawn(otlp::run(shared, queue, stop))
        });
        when_ready()?;

        signals.next().await;
        info!("stopping: no new connections, requests in flight may end");
        admin.stopping();
        stop.cancel();
        for task in tasks {
            if let Err(error) = task.await {
                warn!(%error, "a task of the control thread broke off");
            }
        }
        workers.join();
        // The last one to write has gone; what it wrote must reach the file.
        access_log.close();
        no_more_traces.cancel();
        if let Some(traces) = traces
            && let Err(error) = traces.await
        {
            warn!(%error, "the last traces were not sent");
        }
        info!("stopped");
        Ok(())
    })
}

fn n_workers(config: &Config) -> usize {
    match config.process.workers.number() {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        // At most 256.
        n => n as usize,
    }
}

/// Binds every address of the API's host that this machine has: «localhost»
/// often names an IPv6 address where there is no IPv6.
fn bind_api(api: &Api) -> io::Result<Vec<TcpListener>> {
    let (host, port) = (api.host.as_str(), api.port.number());
    let explain = |error: io::Error| {
        let message = format!("the API cannot listen on {host}:{port}: {error}");
        io::Error::new(error.kind(), message)
    };
    let mut listeners = Vec::new();
    let mut missing = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in (host, port).to_socket_addrs().map_err(explain)? {
        match TcpListener::bind(address) {
            Ok(listener) => {
                listener.set_nonblocking(true)?;
                listeners.push(listener);
            }
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => missing = error,
            Err(error) => return Err(explain(error)),
        }
    }
    if listeners.is_empty() {
        Err(explain(missing))
    } else {
        Ok(listeners)
    }
}

fn local_addresses(listeners: &[TcpListener]) -> io::Result<String> {
    let addresses: Vec<String> = listeners
        .iter()
        .map(|listener| Ok(listener.local_addr()?.to_string()))
        .collect::<io::Result<_>>()?;
    Ok(addresses.join(", "))
}

/// The signals that end the program.
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
