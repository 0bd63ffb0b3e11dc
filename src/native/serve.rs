//! `ringway serve`: binds, starts the threads, and stops them in order.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::admin::{self, Admin};
use super::cli::RecordArgs;
use super::driver;
use super::proxy;
use super::proxy::tls::Tls;
use super::reload::{self, Reloader, Stamp};
use super::shared::Shared;
use super::sockets::Sockets;
use super::state::{self, Keeper};
use super::systemd;
use super::telemetry::access_log::{self, AccessLog};
use super::telemetry::otlp;
use super::telemetry::record::Recorder;
use super::upgrade::{self, Predecessor};
use crate::config::{Config, Seconds};

/// Runs the proxy and the API until SIGTERM or SIGINT, or until another process
/// has taken over; then lets requests in flight end. `file` is where `config`
/// was read from, which is where it is reloaded from; `record` says what is
/// written down. `when_ready` is called once everything listens.
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
    let keeper = Keeper::default();
    // Without a file it is the demo, which nobody passes sockets to.
    let (mut predecessor, mut passed) = (None, Sockets::default());
    if file.is_some() {
        predecessor = Predecessor::of_this_process()?;
        passed = match &mut predecessor {
            Some(predecessor) => predecessor.sockets(),
            None => Sockets::of_systemd()?,
        };
    }
    let start = match &predecessor {
        Some(predecessor) => predecessor.start(&config)?,
        None => state::at_start(&config, &keeper)?,
    };
    let (shared, reports) =
        Shared::starting(&config, n_workers, start, keeper).map_err(io::Error::other)?;
    let tls = Tls::read(&config, None).map_err(io::Error::other)?;
    shared.tls.switch(tls);
    let access_log = AccessLog::open(&config.access_log, Arc::clone(&shared.counts))?;
    let reloader = file.map(|(file, stamp)| {
        let reloader = Reloader::new(file, stamp, Arc::clone(&shared));
        reloader.switches(access_log.clone());
        reloader
    });
    let admin = Admin::new(Arc::clone(&shared), reloader.clone()).map_err(io::Error::other)?;
    let sockets = passed.completed(&config, n_workers)?;
    let (proxy_at, api_at) = sockets.addresses()?;
    let recorder = record.record.as_ref().map(|file| {
        let bytes_max = u64::from(record.record_max) << 20;
        Recorder::new(Arc::clone(&shared), file.clone(), bytes_max)
    });
    let recorder = recorder.transpose()?;
    if predecessor.is_none() {
        let state_file = config.process.state_file.as_deref();
        shared.keeper().begin(state_file, &shared.fleet_state())?;
    }

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let stop = CancellationToken::new();
        // From here on whatever goes wrong, the threads are told to end.
        let _stop_on_return = stop.clone().drop_guard();
        // Before the first request, so that a signal always ends in order.
        let mut signals = Signals::new(reloader.is_some())?;
        let listeners = sockets.try_clone()?;
        let workers = proxy::start(&config, &shared, listeners.proxy, Some(&access_log), &stop)?;
        let mut tasks = vec![tokio::spawn(driver::run(
            Arc::clone(&shared),
            reports,
            stop.clone(),
        ))];
        if let Some(predecessor) = predecessor {
            predecessor.take_over().await?;
            shared.operations.upgrades.count(true);
            let state_file = config.process.state_file.as_deref();
            // There is no way back any more.
            if let Err(error) = shared.keeper().begin(state_file, &shared.fleet_state()) {
                error!("{error}");
            }
            info!("this process has taken over");
        }
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
        for listener in listeners.api {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            let api = admin::serve(listener, Arc::clone(&admin), stop.clone());
            tasks.push(tokio::spawn(api));
        }
        let watchdog = systemd::watch(Arc::clone(&shared), stop.clone());
        tasks.push(tokio::spawn(watchdog));
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
        systemd::ready("serving");

        match signals.ending(&shared, &sockets).await {
            Ending::Stop => {
                admin.stopping();
                systemd::stopping();
                let delay = shared.config().process.shutdown_delay;
                signals.delay(delay.map(Seconds::duration)).await;
                info!("stopping: no new connections, requests in flight may end");
            }
            Ending::Succeeded(pid) => {
                let (in_flight, tunnels) = (shared.n_in_flight(), shared.n_tunnels());
                info!(
                    pid,
                    in_flight,
                    tunnels,
                    "another process has taken over: requests in flight may end"
                );
            }
        }
        // What is left of them would be a queue that nobody serves.
        drop(sockets);
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

/// Why the program ends.
enum Ending {
    /// It is told to.
    Stop,
    /// The process of this number goes on.
    Succeeded(u32),
}

/// The signals that end the program, and the one that has another take over.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// `None` in the demo, which that signal ends as it ends most programs.
    upgrade: Option<Signal>,
}

impl Signals {
    fn new(can_be_upgraded: bool) -> io::Result<Self> {
        let upgrade = can_be_upgraded.then(|| signal(SignalKind::user_defined2()));
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            upgrade: upgrade.transpose()?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Waits until the program is to end.
    async fn ending(&mut self, shared: &Shared, sockets: &Sockets) -> Ending {
        loop {
            let Self {
                terminate,
                interrupt,
                upgrade,
            } = self;
            let asked = async {
                match upgrade {
                    Some(upgrade) => upgrade.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = terminate.recv() => return Ending::Stop,
                _ = interrupt.recv() => return Ending::Stop,
                _ = asked => {}
            }
            let result = tokio::select! {
                result = upgrade::hand_over(shared, sockets) => result,
                () = self.next() => return Ending::Stop,
            };
            match result {
                Ok(pid) => return Ending::Succeeded(pid),
                Err(why) => {
                    shared.operations.upgrades.count(false);
                    error!(why, "no other process has taken over; this one goes on");
                }
            }
        }
    }

    /// Goes on serving for a while, unless a further signal comes.
    async fn delay(&mut self, delay: Option<Duration>) {
        let Some(delay) = delay else {
            return;
        };
        info!(
            ?delay,
            "stopping: /readyz says so; connections are still taken"
        );
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = self.next() => {}
        }
    }
}
