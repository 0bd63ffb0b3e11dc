//! What operators have made of the fleet while the proxy ran, kept in
//! `process.state_file` so that it survives a restart.
//!
//! A change is first on the disk, then in effect, then answered. So nothing
//! that was answered is lost, whatever ends the process, and what cannot be
//! stored is refused as a whole. Changes take turns for that; the turn is also
//! what one process gives up when another takes over.

mod file;

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use tokio::sync::{Mutex, MutexGuard};
use tracing::{error, info, warn};

use crate::config::Config;
use crate::engine::{LoadBalancer, Memory, Server, ServerName, Timestamp};
use crate::wire::FleetState;

/// The fleet that a process starts with.
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// The servers, in order.
    pub servers: Vec<Server>,
    /// Those that are drained.
    pub drained: BTreeSet<ServerName>,
    /// What another process knows of them, if it hands them over.
    pub memories: Option<Vec<Memory>>,
}

impl Start {
    /// The servers as they are configured.
    pub fn as_configured(config: &Config) -> Self {
        Self {
            servers: config.servers(),
            ..Self::default()
        }
    }

    /// The servers as operators had made them.
    ///
    /// # Errors
    /// Why they cannot be a fleet by this configuration.
    pub fn over(config: &Config, state: &FleetState) -> Result<Self, String> {
        let (servers, drained) = state.over(&config.servers);
        LoadBalancer::new(config.settings(), servers.clone(), Timestamp::ZERO)
            .map_err(|error| error.to_string())?;
        Ok(Self {
            servers,
            drained,
            memories: None,
        })
    }
}

/// The fleet to start with: as configured, with what is in the state file, if
/// there is one. A file that is of no use is set aside: a proxy that serves the
/// configured fleet and says so is better than none.
///
/// # Errors
/// When the file cannot be read, or not be set aside.
pub fn at_start(config: &Config, keeper: &Keeper) -> io::Result<Start> {
    let Some(path) = config.process.state_file.as_deref().map(Path::new) else {
        return Ok(Start::as_configured(config));
    };
    let cannot = |what: &str, error: io::Error| {
        let message = format!(
            "the state file {} cannot be {what}: {error}",
            path.display()
        );
        io::Error::new(error.kind(), message)
    };
    let Some(text) = file::read(path).map_err(|error| cannot("read", error))? else {
        info!(file = %path.display(), "no state file yet: the servers are as configured");
        return Ok(Start::as_configured(config));
    };
    let state = FleetState::parse(&text).map_err(|faults| faults.to_string());
    let start = state.and_then(|state| Start::over(config, &state));
    start.or_else(|why| {
        let aside = file::set_aside(path).map_err(|error| cannot("set aside", error))?;
        keeper.figures.is_set_aside.store(true, Relaxed);
        let (file, aside) = (path.display(), aside.display());
        error!(%file, %aside, "the state file is of no use; the servers are as configured");
        for line in why.lines() {
            error!("{line}");
        }
        error!(
            "changes made through the API before are in {aside}: make them again, or stop, mend \
             that file, and name it {file}"
        );
        Ok(Start::as_configured(config))
    })
}

/// Keeps the state file, and the order of those who change the fleet.
#[derive(Debug, Default)]
pub struct Keeper {
    turn: Mutex<Kept>,
    figures: Figures,
}

#[derive(Debug, Default)]
struct Kept {
    /// What is on the disk, as far as is known.
    written: Option<(PathBuf, Vec<u8>)>,
    /// Whether another process has taken over.
    is_over: bool,
}

#[derive(Debug, Default)]
struct Figures {
    n_written: AtomicU64,
    n_failed: AtomicU64,
    has_failed: AtomicBool,
    is_set_aside: AtomicBool,
}

/// What became of the file so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileFigures {
    /// How often it was written.
    pub n_written: u64,
    /// How often it could not be written.
    pub n_failed: u64,
    /// Whether the last time it could.
    pub is_good: bool,
    /// Whether the one found at start was of no use.
    pub is_set_aside: bool,
}

/// Why a change cannot be made.
#[derive(Debug)]
pub enum Refused {
    /// Another process has taken over.
    Over,
    /// It cannot be stored.
    NotStored(String),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Over => f.write_str("another process has taken over; ask again"),
            Self::NotStored(why) => write!(f, "{why}; nothing was changed"),
        }
    }
}

impl std::error::Error for Refused {}

/// The right to change the fleet; others wait.
#[derive(Debug)]
pub struct Turn<'a> {
    kept: MutexGuard<'a, Kept>,
    figures: &'a Figures,
}

impl Keeper {
    /// Waits for the turn to change the fleet.
    ///
    /// # Errors
    /// When another process has taken over.
    pub async fn turn(&self) -> Result<Turn<'_>, Refused> {
        self.own(self.turn.lock().await)
    }

    /// The same, blocking the thread.
    ///
    /// # Errors
    /// When another process has taken over.
    pub fn blocking_turn(&self) -> Result<Turn<'_>, Refused> {
        self.own(self.turn.blocking_lock())
    }

    fn own<'a>(&'a self, kept: MutexGuard<'a, Kept>) -> Result<Turn<'a>, Refused> {
        if kept.is_over {
            return Err(Refused::Over);
        }
        Ok(Turn {
            kept,
            figures: &self.figures,
        })
    }

    /// Writes down the fleet that the proxy starts with, so that what
    /// configuration has overruled does not come back later.
    ///
    /// # Errors
    /// When no such file can be there at all. A disk that is full today is
    /// only told of.
    pub fn begin(&self, path: Option<&str>, state: &FleetState) -> io::Result<()> {
        let Some(path) = path.map(Path::new) else {
            return Ok(());
        };
        let text = state.text();
        let result = match file::read(path)? {
            Some(found) if found == text => Ok(()),
            _ => self.figures.count(file::replace(path, &text)),
        };
        let Err(error) = result else {
            // Nobody has a turn before the proxy runs.
            if let Ok(mut kept) = self.turn.try_lock() {
                kept.written = Some((path.to_owned(), text));
            }
            return Ok(());
        };
        use io::ErrorKind as K;
        let message = format!(
            "the state file {} cannot be written: {error}",
            path.display()
        );
        match error.kind() {
            K::NotFound | K::PermissionDenied | K::NotADirectory | K::IsADirectory => {
                Err(io::Error::new(error.kind(), message))
            }
            _ => {
                warn!("{message}; changes through the API are refused until it can");
                Ok(())
            }
        }
    }

    /// What became of the file so far.
    pub fn figures(&self) -> FileFigures {
        let figures = &self.figures;
        FileFigures {
            n_written: figures.n_written.load(Relaxed),
            n_failed: figures.n_failed.load(Relaxed),
            is_good: !figures.has_failed.load(Relaxed),
            is_set_aside: figures.is_set_aside.load(Relaxed),
        }
    }
}

impl Figures {
    fn count<T, E>(&self, result: Result<T, E>) -> Result<T, E> {
        let n = match result {
            Ok(_) => &self.n_written,
            Err(_) => &self.n_failed,
        };
        n.fetch_add(1, Relaxed);
        self.has_failed.store(result.is_err(), Relaxed);
        result
    }
}

impl Turn<'_> {
    /// Has `state` be in the file, on a thread where waiting for the disk harms
    /// nobody. Without a file there is nothing to do.
    ///
    /// # Errors
    /// When it cannot be written; the file has what it had then.
    pub async fn store(&mut self, path: Option<&str>, state: &FleetState) -> Result<(), Refused> {
        let Some((path, text)) = self.news(path, state) else {
            return Ok(());
        };
        let task = tokio::task::spawn_blocking(move || {
            let result = file::replace(&path, &text);
            (path, text, result)
        });
        match task.await {
            Ok((path, text, result)) => self.written(path, text, result),
            Err(error) => Err(Refused::NotStored(format!("writing broke off: {error}"))),
        }
    }

    /// The same, waiting for the disk.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn store_now(&mut self, path: Option<&str>, state: &FleetState) -> Result<(), Refused> {
        let Some((path, text)) = self.news(path, state) else {
            return Ok(());
        };
        let result = file::replace(&path, &text);
        self.written(path, text, result)
    }

    /// From now on nobody has a turn any more: another process has taken over.
    pub fn hand_over(mut self) {
        self.kept.is_over = true;
    }

    /// What is to be written, if it is not there already.
    fn news(&mut self, path: Option<&str>, state: &FleetState) -> Option<(PathBuf, Vec<u8>)> {
        let news = (PathBuf::from(path?), state.text());
        (self.kept.written.as_ref() != Some(&news)).then_some(news)
    }

    fn written(
        &mut self,
        path: PathBuf,
        text: Vec<u8>,
        result: io::Result<()>,
    ) -> Result<(), Refused> {
        let before = self.kept.written.take();
        let Err(error) = self.figures.count(result) else {
            self.kept.written = Some((path, text));
            return Ok(());
        };
        error!(file = %path.display(), %error, "the state file cannot be written");
        // When only the folder could not be made safe, the new text is there.
        if let Some((path, text)) = before.filter(|(before, _)| *before == path) {
            let is_there = file::read(&path).is_ok_and(|found| found.as_ref() == Some(&text));
            match is_there || file::replace(&path, &text).is_ok() {
                true => self.kept.written = Some((path, text)),
                false => error!("nor can what it had be put back: it may be ahead of the fleet"),
            }
        }
        let path = path.display();
        Err(Refused::NotStored(format!(
            "the state file {path} cannot be written: {error}"
        )))
    }
}
