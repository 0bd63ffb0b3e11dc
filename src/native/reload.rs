//! Reading the configuration file anew while the proxy runs: all of it is
//! checked, then all of it is in effect, or nothing is.
//!
//! What the file says is the truth, as at start: servers that were added
//! through the API and are not in it leave.

use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::signal::unix::Signal;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::health;
use super::proxy::tls::Tls;
use super::server_tls;
use super::shared::Shared;
use super::state::Refused;
use super::systemd;
use super::telemetry::access_log::AccessLog;
use crate::config::{Config, Part};
use crate::engine::{Algorithm, CommandError, Plan};
use crate::wire::{Faults, ReloadView, SettingView};

/// The largest configuration file: one server a line, a hundred thousand servers.
const BYTES_MAX: u64 = 16 << 20;

/// How often a watched file is looked at. A change is taken when it has rested
/// for as long, so that a file half written is not read.
const WATCH: Duration = Duration::from_secs(1);

/// What tells one state of a file from another without reading it. Links are
/// followed, and the file they lead to has another number after a swap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp([i64; 7]);

impl From<Metadata> for Stamp {
    fn from(file: Metadata) -> Self {
        Self([
            file.dev() as i64,
            file.ino() as i64,
            file.len() as i64,
            file.mtime(),
            file.mtime_nsec(),
            file.ctime(),
            file.ctime_nsec(),
        ])
    }
}

/// Reads a configuration file, with what it was like when it was read.
///
/// # Errors
/// When it cannot be read, or is not good.
pub fn read(file: &Path) -> Result<(Config, Stamp), Refusal> {
    let (text, stamp) = read_text(file);
    let config = text.and_then(|text| Config::parse(&text).map_err(Refusal::Invalid))?;
    // A text that was read has a stamp.
    let stamp = stamp.unwrap_or(Stamp([0; 7]));
    Ok((config, stamp))
}

/// The same for a proxy that is to run by it: the files that it names are there.
///
/// # Errors
/// As [`read`], and when such a file cannot be used.
pub fn read_ready(file: &Path) -> Result<(Config, Stamp), Refusal> {
    let (config, stamp) = read(file)?;
    health::check_files(&config).map_err(Refusal::Invalid)?;
    Tls::read(&config, None).map_err(Refusal::Invalid)?;
    server_tls::check_files(&config).map_err(Refusal::Invalid)?;
    Ok((config, stamp))
}

fn read_text(file: &Path) -> (Result<Vec<u8>, Refusal>, Option<Stamp>) {
    let mut stamp = None;
    let mut text = Vec::new();
    let mut read = || -> io::Result<()> {
        let file = File::open(file)?;
        stamp = Some(file.metadata()?.into());
        file.take(BYTES_MAX + 1).read_to_end(&mut text)?;
        if text.len() as u64 > BYTES_MAX {
            let message = format!("it is larger than {BYTES_MAX} bytes");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
        }
        Ok(())
    };
    let result = read();
    let unreadable =
        |error| Refusal::Unreadable(format!("{} cannot be read: {error}", file.display()));
    (result.map(|()| text).map_err(unreadable), stamp)
}

/// Reads the configuration of a running proxy anew.
#[derive(Debug)]
pub struct Reloader {
    file: PathBuf,
    shared: Arc<Shared>,
    /// What was last read; also the turn of whoever reads it, so that an older
    /// state never follows a newer one.
    last_read: Mutex<LastRead>,
    /// What lines of requests are written to, if anything ever is.
    access_log: OnceLock<AccessLog>,
}

/// What files were like when they were last read; `None`: not there.
#[derive(Clone, Debug, PartialEq)]
struct LastRead {
    file: Option<Stamp>,
    /// Those that the configuration names.
    named: Vec<(String, Option<Stamp>)>,
}

impl LastRead {
    fn new(file: Option<Stamp>, config: &Config) -> Self {
        let named = config.files_read().map(|file| (file.to_owned(), None));
        let mut read = Self {
            file,
            named: named.collect(),
        };
        read.look();
        read
    }

    /// Takes in what the named ones are like now.
    fn look(&mut self) {
        for (file, stamp) in &mut self.named {
            *stamp = std::fs::metadata(file).ok().map(Stamp::from);
        }
    }
}

/// What is wanted.
#[derive(Clone, Copy, Debug)]
pub enum Asked {
    /// To know what a reload would move; nothing is done.
    Plan,
    /// To reload, unless more than this part of all keys would move; `None` is
    /// as configured.
    Reload(Option<f64>),
}

/// What came of it.
#[derive(Debug)]
pub enum Outcome {
    /// What a reload would move.
    Planned(Plan),
    /// What a reload did.
    Reloaded(ReloadView),
}

/// Why nothing was changed.
#[derive(Debug)]
pub enum Refusal {
    /// The file cannot be read.
    Unreadable(String),
    /// The access log that it asks for cannot be written.
    Unwritable(String),
    /// It is not a good configuration.
    Invalid(Faults),
    /// It is, but for another process.
    NeedsRestart(Faults),
    /// Its servers cannot form a fleet.
    Refused(CommandError),
    /// The fleet cannot be stored, or is no longer this process's.
    NotKept(Refused),
    /// More keys would move than may.
    MovesTooMuch {
        /// What would.
        plan: Box<Plan>,
        /// What may, as a fraction.
        max_moved: f64,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(why) | Self::Unwritable(why) => f.write_str(why),
            Self::Invalid(faults) | Self::NeedsRestart(faults) => faults.fmt(f),
            Self::Refused(error) => error.fmt(f),
            Self::NotKept(refused) => refused.fmt(f),
            Self::MovesTooMuch { plan, max_moved } => write!(
                f,
                "{:.2}% of all keys would move, and process.max_moved allows {:.2}%",
                100.0 * plan.moved.total.fraction(),
                100.0 * max_moved
            ),
        }
    }
}

impl std::error::Error for Refusal {}

impl Reloader {
    /// Over the proxy that was started with `file` as `stamp` has it.
    pub fn new(file: PathBuf, stamp: Stamp, shared: Arc<Shared>) -> Arc<Self> {
        Arc::new(Self {
            file,
            last_read: Mutex::new(LastRead::new(Some(stamp), &shared.config())),
            shared,
            access_log: OnceLock::new(),
        })
    }

    /// From now on `log` goes where the configuration says after a reload.
    pub fn switches(&self, log: AccessLog) {
        // Told once, at start.
        let _ = self.access_log.set(log);
    }

    /// Does what is asked, on a thread where waiting for a disk harms nobody.
    ///
    /// # Errors
    /// When nothing was changed, and why.
    pub async fn reload(self: Arc<Self>, asked: Asked) -> Result<Outcome, Refusal> {
        let task = tokio::task::spawn_blocking(move || {
            let outcome = self.reload_now(asked);
            if let Asked::Reload(_) = asked {
                self.shared.operations.reloads.count(outcome.is_ok());
            }
            outcome
        });
        task.await.unwrap_or_else(|error| {
            Err(Refusal::Unreadable(format!("reloading broke off: {error}")))
        })
    }

    fn reload_now(&self, asked: Asked) -> Result<Outcome, Refusal> {
        let mut last_read = self
            .last_read
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (text, stamp) = read_text(&self.file);
        if let Asked::Reload(_) = asked {
            last_read.file = stamp;
            // Before they are read: what comes meanwhile is news.
            last_read.look();
        }
        let after = Config::parse(&text?).map_err(Refusal::Invalid)?;
        if let Asked::Reload(_) = asked {
            *last_read = LastRead::new(stamp, &after);
        }
        health::check_files(&after).map_err(Refusal::Invalid)?;
        let tls = Tls::read(&after, self.shared.tls.now().as_deref()).map_err(Refusal::Invalid)?;
        server_tls::check_files(&after).map_err(Refusal::Invalid)?;
        let mut turn = self
            .shared
            .keeper()
            .blocking_turn()
            .map_err(Refusal::NotKept)?;
        let before = self.shared.config();
        before.can_become(&after).map_err(Refusal::NeedsRestart)?;
        let settings = before.differences(&after).into_iter();
        let settings = settings.map(|difference| SettingView {
            path: difference.path,
            before: difference.before,
            after: difference.after,
        });
        let settings = settings.collect();
        if let Asked::Plan = asked {
            for config in [&*before, &after] {
                if let Algorithm::Keyless(rule) = config.settings().algorithm {
                    return Err(Refusal::Refused(CommandError::NoKeys(rule)));
                }
            }
        }
        let max_moved = match asked {
            Asked::Reload(max_moved) => max_moved.or(before.process.max_moved.map(Part::fraction)),
            Asked::Plan => None,
        };
        let may = |plan: &Plan| match (asked, max_moved) {
            (Asked::Plan, _) => false,
            (Asked::Reload(_), Some(max_moved)) => plan.moved.total.fraction() <= max_moved,
            (Asked::Reload(_), None) => true,
        };
        // What can fail of it comes before anything is changed.
        let mut log = None;
        if before.access_log != after.access_log
            && matches!(asked, Asked::Reload(_))
            && let Some(access_log) = self.access_log.get()
        {
            let prepared = access_log.prepare(&after.access_log);
            let prepared = prepared.map_err(|error| Refusal::Unwritable(error.to_string()))?;
            log = Some((access_log, prepared));
        }
        if let (Asked::Reload(_), Some(path)) = (asked, &after.process.state_file) {
            // What will be refused below must not be stored.
            let planned = self.shared.reconfigure(after.clone(), |_| false);
            if let Err(plan) = planned.map_err(Refusal::Refused)?
                && may(&plan)
            {
                let state = self.shared.foreseen_with(&after);
                turn.store_now(Some(path), &state)
                    .map_err(Refusal::NotKept)?;
            }
        }
        match self
            .shared
            .reconfigure(after, may)
            .map_err(Refusal::Refused)?
        {
            Ok((applied, plan)) => {
                self.shared.server_tls.read_again();
                if let Some((access_log, prepared)) = log {
                    access_log.switch(prepared);
                }
                self.shared.tls.switch(tls);
                let view = ReloadView::new(&applied.before, &applied.after, &plan, settings);
                Ok(Outcome::Reloaded(view))
            }
            Err(plan) => match max_moved {
                Some(max_moved) => Err(Refusal::MovesTooMuch {
                    plan: Box::new(plan),
                    max_moved,
                }),
                None => Ok(Outcome::Planned(plan)),
            },
        }
    }

    /// Reloads because of `why`, and tells the log what came of it.
    async fn reload_and_log(self: &Arc<Self>, why: &str) {
        let file = self.file.display().to_string();
        systemd::reloading();
        match Arc::clone(self).reload(Asked::Reload(None)).await {
            Ok(Outcome::Reloaded(view)) if view.changed => {
                let settings: Vec<&str> = view.settings.iter().map(|s| s.path.as_str()).collect();
                let settings = settings.join(", ");
                let moved = format!("{:.2}%", 100.0 * view.moved.fraction);
                info!(why, file, settings, moved, "configuration reloaded");
                systemd::ready("configuration reloaded");
            }
            Ok(_) => {
                info!(why, file, "configuration reloaded: nothing has changed");
                systemd::ready("configuration reloaded: nothing has changed");
            }
            Err(refusal) => {
                error!(why, file, "configuration not reloaded; nothing was changed");
                for line in refusal.to_string().lines() {
                    error!("{line}");
                }
                systemd::ready("configuration not reloaded: the log says why");
            }
        }
    }

    /// What the file is like, and those that it names, if that is not how they
    /// were last read.
    fn news(&self) -> Option<LastRead> {
        let stamp = std::fs::metadata(&self.file).ok()?.into();
        let last_read = self
            .last_read
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut now = LastRead {
            file: Some(stamp),
            named: last_read.named.clone(),
        };
        now.look();
        (*last_read != now).then_some(now)
    }
}

/// Reloads on each hang-up signal and, if configured, when the file has
/// changed; until `stop` is cancelled.
pub async fn run(reloader: Arc<Reloader>, mut hangups: Signal, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(WATCH);
    let mut seen = None;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            Some(()) = hangups.recv() => reloader.reload_and_log("SIGHUP").await,
            _ = ticks.tick() => {
                if !reloader.shared.config().process.watch_config {
                    continue;
                }
                let looking = Arc::clone(&reloader);
                let news = tokio::task::spawn_blocking(move || looking.news()).await;
                let news = news.unwrap_or_default();
                if news.is_some() && news == seen {
                    reloader.reload_and_log("file changed").await;
                }
                seen = news;
            }
        }
    }
}
