//! The engine's vocabulary: what operators ask of it, what shells report to
//! it, and what it announces.

use crate::engine::quoted::Quoted;
use core::fmt;
use core::time::Duration;

use super::health::{Health, Verdict};
use super::keyless::Keyless;
use super::layout::LayoutError;
use super::metrics::{Counters, Outcome};
use super::server::{AdminState, Server, ServerName, ServerNumber, Weight};
use super::time::Timestamp;

/// One server's stay in the fleet. A server that is removed and added again
/// has another one, so that late news of the old is not taken for the new's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServerId(pub(super) u64);

impl ServerId {
    /// The id as a number, for shells that cannot hold the type.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The id with this number; one that was never given out names no server.
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }
}

/// The time between two ejections of a server: how often it had been ejected
/// before. What a request says of its server counts only in the term in which
/// it was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Term(u32);

impl Term {
    /// The term as a number, for shells that cannot hold the type.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The term with this number, from 0.
    pub const fn from_number(number: u32) -> Self {
        Self(number)
    }

    /// The one after it.
    pub(super) const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// What an operator asks for. Refused as a whole or done as a whole.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Add a server, in admin state active.
    AddServer(Server),
    /// Forget a server.
    RemoveServer(ServerName),
    /// Change a server's weight.
    SetWeight(ServerName, Weight),
    /// Drain a server, or let it take requests again.
    SetState(ServerName, AdminState),
}

/// Why a [`Command`] was refused; the state is as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandError {
    /// There is a server of that name already.
    DuplicateName(ServerName),
    /// There is a server with that number already.
    DuplicateId(ServerNumber),
    /// There is no server of that name.
    UnknownServer(ServerName),
    /// The servers could not be laid out then.
    Layout(LayoutError),
    /// It is asked what moves, by a rule without keys.
    NoKeys(Keyless),
}

impl CommandError {
    /// Whose fault it is, and which field of that server would have to be
    /// another, where the servers cannot be laid out for one such reason.
    pub fn place(&self) -> Option<(&ServerName, &'static str)> {
        match self {
            Self::Layout(error) => error.place(),
            Self::DuplicateName(_)
            | Self::DuplicateId(_)
            | Self::UnknownServer(_)
            | Self::NoKeys(_) => None,
        }
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DuplicateName(name) => {
                write!(
                    f,
                    "there is already a server named {}; names are unique",
                    Quoted(name.as_str())
                )
            }
            Self::DuplicateId(id) => write!(
                f,
                "there is already a server with the id {}; ids are unique",
                id.number()
            ),
            Self::UnknownServer(name) => {
                write!(f, "there is no server named {}", Quoted(name.as_str()))
            }
            Self::Layout(error) => error.fmt(f),
            Self::NoKeys(rule) => write!(
                f,
                "{} has no keys, so that none can move: any request may go to any server",
                rule.name()
            ),
        }
    }
}

impl std::error::Error for CommandError {}

impl<E: Into<LayoutError>> From<E> for CommandError {
    fn from(error: E) -> Self {
        Self::Layout(error.into())
    }
}

/// What a shell saw. Always accepted; news of servers and probes that are gone
/// is ignored, since late answers are normal.
#[derive(Clone, Debug, PartialEq)]
pub enum Observation {
    /// A probe that [`Event::ProbeDue`] asked for has finished.
    ProbeFinished {
        /// Which one.
        probe: ProbeId,
        /// How it ended.
        outcome: ProbeOutcome,
        /// How long it took.
        took: Duration,
    },
    /// A request was sent to a server; in flight until it finishes.
    RequestStarted {
        /// The server.
        server: ServerId,
    },
    /// A request that was reported as started has ended: counts it, judges it.
    RequestFinished {
        /// The server.
        server: ServerId,
        /// The term in which it was sent.
        term: Term,
        /// How it ended.
        outcome: Outcome,
        /// From sending it to the head of its answer.
        latency: Duration,
    },
    /// Judges a request without counting it; for shells that count themselves.
    Judged {
        /// The server.
        server: ServerId,
        /// The term in which the request was sent.
        term: Term,
        /// What the request says of it.
        verdict: Verdict,
    },
    /// A server answers none of the requests that wait for it. It is probed at
    /// once, and one failed probe then decides: traffic and probe agree.
    Suspected {
        /// The server.
        server: ServerId,
    },
    /// Counts finished requests without judging them; for shells that count
    /// themselves and report sums.
    Counted {
        /// The server; `None` for requests that no server got.
        server: Option<ServerId>,
        /// What was counted since the last report.
        counters: Box<Counters>,
        /// Requests in flight now.
        in_flight: u32,
    },
}

/// One probe of one server; a newer one supersedes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProbeId {
    /// The server.
    pub server: ServerId,
    /// The number of the probe among that server's.
    pub round: u64,
}

/// How a probe ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeOutcome {
    /// As expected.
    Good,
    /// Not as expected; the text says how, for operators.
    Failed(String),
}

/// What the engine announces. Folded together, the events give the state.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A server joined the fleet.
    ServerAdded {
        /// Its stay in the fleet.
        id: ServerId,
        /// The server.
        server: Server,
    },
    /// A server left it.
    ServerRemoved {
        /// Its name.
        name: ServerName,
    },
    /// A server's weight changed.
    WeightChanged {
        /// Its name.
        name: ServerName,
        /// The new weight.
        weight: Weight,
    },
    /// More of a server changed than its weight; it stays the same server, at
    /// the same address.
    ServerChanged {
        /// The server as it is now.
        server: Server,
    },
    /// A server's admin state changed.
    StateChanged {
        /// Its name.
        name: ServerName,
        /// The new state.
        state: AdminState,
    },
    /// Probes changed their verdict on a server.
    HealthChanged {
        /// Its name.
        name: ServerName,
        /// The new health.
        health: Health,
        /// What the last probe said.
        why: ProbeOutcome,
    },
    /// Probing was switched off: what probes said of a server holds no longer.
    HealthForgotten {
        /// Its name.
        name: ServerName,
    },
    /// Traffic took a server out.
    Ejected {
        /// Its name.
        name: ServerName,
        /// When its trial will begin.
        until: Timestamp,
        /// The last failure.
        verdict: Verdict,
    },
    /// An ejection ended: the server gets one request at a time until one is
    /// answered well.
    TrialBegan {
        /// Its name.
        name: ServerName,
    },
    /// A server on trial answered well, and is let back in.
    Readmitted {
        /// Its name.
        name: ServerName,
    },
    /// A server comes back: it gets its keys bit by bit.
    SlowStarted {
        /// Its name.
        name: ServerName,
        /// When it will have them all.
        until: Timestamp,
    },
    /// It has all of its keys.
    SlowStartEnded {
        /// Its name.
        name: ServerName,
    },
    /// A server that was drained over some time has no keys left.
    Drained {
        /// Its name.
        name: ServerName,
    },
    /// From now on no server is eligible and all are used (`true`), or one is
    /// eligible again (`false`).
    FailOpen(bool),
    /// Another configuration is in effect; the events after this one say what
    /// it changed.
    Reconfigured {
        /// How many servers joined, not counting those of another address.
        added: usize,
        /// How many servers left, not counting those of another address.
        removed: usize,
        /// How many servers stayed by name and are no longer what they were.
        changed: usize,
    },
    /// The shell is to probe a server and to report
    /// [`Observation::ProbeFinished`]. A probe that is never reported on has
    /// no effect.
    ProbeDue {
        /// The probe to report on.
        probe: ProbeId,
        /// Whom to probe.
        server: Server,
    },
}

/// What one call announces, in order.
#[must_use = "events are the only way the engine tells its shell what to do"]
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Events(pub(super) Vec<Event>);

impl Events {
    /// The events as a slice.
    pub fn as_slice(&self) -> &[Event] {
        &self.0
    }
}

impl IntoIterator for Events {
    type Item = Event;
    type IntoIter = std::vec::IntoIter<Event>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
