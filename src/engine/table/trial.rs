//! Trials: a server whose ejection is over gets one request at a time, until one
//! is answered well. All its other keys go on to their next candidates, as they
//! did while it was ejected, so that each of them comes home once.

use std::sync::Arc;

use super::{Loads, NoServer, Route, RoutingTable, ServerIndex, Standing, TableServer};
use crate::engine::ring::{Position, Rank};

/// Who is on trial while others are used.
#[derive(Clone, Debug)]
pub(super) struct Trials {
    /// All of them, by name.
    servers: Box<[ServerIndex]>,
    /// By rank in the primary and in the backup layout: those on trial.
    by_rank: [Box<[Option<ServerIndex>]>; 2],
}

impl Trials {
    /// Those of `servers`, given which ones are usable. Backups are tried only
    /// where backups are used; primaries always, since keys wait to go home to
    /// them.
    pub(super) fn new(
        servers: &[TableServer],
        uses_backup: bool,
        usable: &[Option<ServerIndex>],
    ) -> Option<Box<Self>> {
        let on_trial = |(entry, index): (&TableServer, ServerIndex)| {
            let is_tried = entry.standing == Standing::OnTrial
                && (uses_backup || !entry.server.backup)
                && !usable.contains(&Some(index));
            is_tried.then_some(index)
        };
        let indexed = || servers.iter().zip((0..).map(ServerIndex));
        let tried: Box<[ServerIndex]> = indexed().filter_map(on_trial).collect();
        if tried.is_empty() {
            return None;
        }
        let by_rank = |is_backup: bool| {
            let members = indexed().filter(|(entry, _)| entry.server.backup == is_backup);
            members.map(on_trial).collect()
        };
        Some(Box::new(Self {
            servers: tried,
            by_rank: [by_rank(false), by_rank(true)],
        }))
    }
}

impl RoutingTable {
    /// The server on trial that is to get this request, if there is one: it has
    /// no request, and comes before every usable candidate of the key, tried or
    /// not. Without a key, the first by name.
    #[inline]
    pub(super) fn trial(
        &self,
        key: Option<Position>,
        loads: &impl Loads,
        tried: &[ServerIndex],
    ) -> Option<Route> {
        let trials = self.trials.as_deref()?;
        self.trial_among(trials, key, loads, tried)
    }

    #[cold]
    fn trial_among(
        &self,
        trials: &Trials,
        key: Option<Position>,
        loads: &impl Loads,
        tried: &[ServerIndex],
    ) -> Option<Route> {
        let any = self.free(trials, loads, tried)?;
        let Some(position) = key else {
            return Some(self.as_trial(any));
        };
        let layouts = [&self.primary, &self.backup].into_iter();
        let found = layouts.zip(&trials.by_rank).find_map(|(layout, on_trial)| {
            let is_in_use = Arc::ptr_eq(layout, &self.layout);
            layout.first(position, |rank: Rank| {
                let server = on_trial[rank as usize];
                let free = server.filter(|&server| self.is_free(server, loads, tried));
                let is_usual = is_in_use
                    && self.usable[rank as usize].is_some()
                    && self.admits(rank, position);
                free.map(Some).or_else(|| is_usual.then_some(None))
            })
        });
        found.flatten().map(|server| self.as_trial(server))
    }

    /// The answer where no usable server is left: one on trial that has no
    /// request, whosever key it is.
    #[cold]
    pub(super) fn last_resort(
        &self,
        loads: &impl Loads,
        tried: &[ServerIndex],
    ) -> Result<Route, NoServer> {
        let trials = self.trials.as_deref();
        let free = trials.and_then(|trials| self.free(trials, loads, tried));
        free.map(|server| self.as_trial(server))
            .ok_or_else(|| self.why_none(tried))
    }

    fn free(
        &self,
        trials: &Trials,
        loads: &impl Loads,
        tried: &[ServerIndex],
    ) -> Option<ServerIndex> {
        let mut servers = trials.servers.iter().copied();
        servers.find(|&server| self.is_free(server, loads, tried))
    }

    fn is_free(&self, server: ServerIndex, loads: &impl Loads, tried: &[ServerIndex]) -> bool {
        !tried.contains(&server)
            && !loads.has_trial(server, self.server(server).term)
            && !self.is_full(server, loads)
    }

    fn as_trial(&self, server: ServerIndex) -> Route {
        Route {
            is_trial: true,
            ..self.unbounded(server)
        }
    }
}
