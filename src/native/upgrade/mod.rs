//! Another process takes over while this one runs: by the same command, so of
//! whatever version of the program and of the configuration is there now.
//!
//! The new process is given the listening sockets themselves, so no connection
//! is refused or lost on the way, and what is known of the servers. The order:
//!
//! 1. The old process starts the new one, with its end of a channel as
//!    standard input, and sends sockets and a [`Handover`]. It goes on serving;
//!    changes of the fleet wait.
//! 2. The new process starts as ever, listens on these sockets, and says
//!    `ready`. If it cannot, or takes too long, it ends, and nothing has
//!    happened.
//! 3. The old process says `go`, takes no further connections, and ends when
//!    its requests have. From `go` on the new one may write the state file.

mod channel;

use std::ffi::OsString;
use std::io;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::timeout;
use tracing::info;

use super::shared::Shared;
use super::sockets::Sockets;
use super::state::Start;
use super::systemd;
use crate::config::Config;
use crate::wire::Handover;
use channel::{Channel, Received};

/// Tells the new process that its standard input is the channel.
const VARIABLE: &str = "RINGWAY_TAKES_OVER";

/// How long the new process may take until it is ready. Reading a configuration
/// and resolving names takes a second or two.
const READY_WAIT: Duration = Duration::from_secs(60);

/// How long one that is not ready may take to end before it is killed.
const END_WAIT: Duration = Duration::from_secs(5);

/// Has another process take over. When this returns the number of the process,
/// it has; this one has to take no further connections, and to end.
///
/// # Errors
/// Why it has not; everything is as it was.
pub async fn hand_over(shared: &Shared, sockets: &Sockets) -> Result<u32, String> {
    let turn = shared.keeper().turn().await.map_err(|e| e.to_string())?;
    let config = shared.config();
    let handover = Handover::new(
        places(&config),
        (sockets.proxy.len(), sockets.api.len()),
        shared.fleet_state(),
        shared.memories(),
    );
    let (channel, theirs) = Channel::pair().map_err(|e| format!("there is no channel: {e}"))?;
    let mut args = std::env::args_os();
    let program = args.next().unwrap_or_else(|| OsString::from("ringway"));
    let started = Command::new(&program)
        .args(args)
        .stdin(theirs)
        .env(VARIABLE, "1")
        // They speak of this process.
        .env_remove("WATCHDOG_PID")
        .env_remove("LISTEN_PID")
        .env_remove("LISTEN_FDS")
        .env_remove("LISTEN_FDNAMES")
        .spawn();
    let child = started.map_err(|e| format!("{} cannot be started: {e}", program.display()))?;
    let Some(pid) = child.id() else {
        return Err("the new process has ended at once".to_owned());
    };
    info!(pid, "upgrade: a new process has been started");
    let mut successor = Successor {
        child,
        is_ready: false,
    };
    let greeting = async {
        channel.send(sockets, &handover.line()).await?;
        channel.hear(channel::READY).await
    };
    match timeout(READY_WAIT, greeting).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            // It has something to say before it ends.
            let status = successor.end(END_WAIT).await;
            return Err(format!(
                "the new process {status} before it was ready ({error})"
            ));
        }
        Err(_) => {
            let (wait, status) = (READY_WAIT.as_secs(), successor.end(Duration::ZERO).await);
            return Err(format!(
                "the new process was not ready within {wait} s; it {status}"
            ));
        }
    }
    successor.is_ready = true;
    systemd::succeeded_by(pid);
    turn.hand_over();
    // It goes on just so when it does not hear this.
    let _ = channel.say(channel::GO).await;
    Ok(pid)
}

/// The new process; ended with this unless it is ready.
struct Successor {
    child: Child,
    is_ready: bool,
}

impl Successor {
    /// Waits until it has ended by itself, or has it end, and says how it did.
    async fn end(&mut self, patience: Duration) -> String {
        let mut ended = timeout(patience, self.child.wait()).await;
        if ended.is_err() {
            self.terminate();
            ended = timeout(END_WAIT, self.child.wait()).await;
        }
        let status = match ended {
            Ok(status) => status,
            Err(_) => {
                // It may have ended just now.
                let _ = self.child.start_kill();
                self.child.wait().await
            }
        };
        match status {
            Ok(status) => format!("ended with {status}"),
            Err(error) => format!("cannot be waited for: {error}"),
        }
    }

    fn terminate(&self) {
        // Without a number it has been waited for.
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok());
        if let Some(pid) = pid.and_then(Pid::from_raw) {
            // It may have ended by itself.
            let _ = kill_process(pid, Signal::TERM);
        }
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        if !self.is_ready {
            self.terminate();
        }
    }
}

/// The process that this one takes over from.
#[derive(Debug)]
pub struct Predecessor {
    channel: Channel,
    handover: Handover,
    sockets: Option<Sockets>,
}

impl Predecessor {
    /// The one that has started this process to take over, if that is so. To be
    /// called before there are threads, and outside of a runtime.
    ///
    /// # Errors
    /// When it hands over nothing that could be used.
    pub fn of_this_process() -> io::Result<Option<Self>> {
        if std::env::var_os(VARIABLE).is_none() {
            return Ok(None);
        }
        let explain = |error: io::Error| {
            let message = format!("nothing can be taken over: {error}");
            io::Error::new(error.kind(), message)
        };
        let received = channel::of_standard_input().map_err(explain)?;
        let Received {
            channel,
            line,
            sockets,
        } = received;
        let handover = Handover::parse(&line)
            .map_err(io::Error::other)
            .map_err(explain)?;
        let (n_proxy, n_api) = (handover.proxy_sockets, handover.api_sockets);
        if sockets.len() != n_proxy + n_api {
            let (n, said) = (sockets.len(), n_proxy + n_api);
            return Err(explain(io::Error::other(format!(
                "{n} sockets came of {said}"
            ))));
        }
        let mut sockets = sockets.into_iter();
        let sockets = Sockets {
            proxy: sockets.by_ref().take(n_proxy).collect(),
            api: sockets.collect(),
        };
        Ok(Some(Self {
            channel,
            handover,
            sockets: Some(sockets),
        }))
    }

    /// The sockets to listen on.
    pub fn sockets(&mut self) -> Sockets {
        self.sockets.take().unwrap_or_default()
    }

    /// The fleet to go on with by this configuration.
    ///
    /// # Errors
    /// When it is none for a process that takes over.
    pub fn start(&self, config: &Config) -> io::Result<Start> {
        let Handover { listen, api, .. } = &self.handover;
        let (new_listen, new_api) = places(config);
        for (what, old, new) in [("listen", listen, new_listen), ("api", api, new_api)] {
            if *old != new {
                let message = format!(
                    "{what}: a change from {old} to {new} needs a restart; an upgrade keeps the sockets"
                );
                return Err(io::Error::other(message));
            }
        }
        let start = Start::over(config, &self.handover.fleet).map_err(|why| {
            let message = format!("the servers with what the API made of them: {why}");
            io::Error::other(message)
        })?;
        Ok(Start {
            memories: Some(self.handover.memories()),
            ..start
        })
    }

    /// Says that this process is ready, and waits until it may go on alone.
    ///
    /// # Errors
    /// When the channel is of no use.
    pub async fn take_over(self) -> io::Result<()> {
        self.channel.say(channel::READY).await?;
        match self.channel.hear(channel::GO).await {
            // It has ended, for whatever reason; somebody has to go on.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(()),
            result => result,
        }
    }
}

/// Where the proxy and the API are configured to listen.
fn places(config: &Config) -> (String, String) {
    let (listen, api) = (&config.listen, &config.api);
    (
        format!("{}:{}", listen.host, listen.port.number()),
        format!("{}:{}", api.host, api.port.number()),
    )
}
