//! A plan: what a change would move, before it is made.
//!
//! Health is left out: a plan compares two fleets at rest. Draining is not,
//! since an operator decides it: the keys of a draining server count as going
//! to their next candidates.

use super::algorithm::Algorithm;
use super::balancer::LoadBalancer;
use super::message::{Command, CommandError};
use super::ring::{Balance, Moved, Share};
use super::server::{AdminState, Server, ServerName, VirtualNodes, Weight};

/// One step of what is planned.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Add a server.
    Add(Server),
    /// Remove one.
    Remove(ServerName),
    /// Change a weight.
    Weight(ServerName, Weight),
    /// Drain a server, or let it take requests again.
    State(ServerName, AdminState),
    /// Change the points for each unit of weight.
    VirtualNodes(VirtualNodes),
    /// Change the rule.
    Algorithm(Algorithm),
}

impl From<Command> for Change {
    fn from(command: Command) -> Self {
        match command {
            Command::AddServer(server) => Self::Add(server),
            Command::RemoveServer(name) => Self::Remove(name),
            Command::SetWeight(name, weight) => Self::Weight(name, weight),
            Command::SetState(name, state) => Self::State(name, state),
        }
    }
}

/// What a change would do.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What part of all keys would go elsewhere, and from whom to whom.
    pub moved: Moved,
    /// The least that any rule could move between two fleets of these weights,
    /// as a fraction: what the fair shares of those who gain grow by.
    pub minimum: f64,
    /// What would move if servers were chosen by a key's hash modulo how many
    /// there are, which is what most people would write first; as a fraction.
    /// It knows no weights.
    pub modulo: f64,
    /// The fleet as it is.
    pub before: Load,
    /// The fleet as it would be.
    pub after: Load,
}

/// How a fleet shares all keys.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// What part goes to each server that takes keys, by name, and what would
    /// be fair, as a fraction.
    pub shares: Vec<(ServerName, Share, f64)>,
    /// How even that is.
    pub balance: Balance,
}

impl Plan {
    /// Compares two fleets.
    pub fn between(before: &LoadBalancer, after: &LoadBalancer) -> Self {
        let (old, new) = (before.at_rest(), after.at_rest());
        let (old_load, new_load) = (Load::of(&old), Load::of(&new));
        Self {
            moved: old.moved_to(&new),
            minimum: minimum(&old_load, &new_load),
            modulo: modulo(&old_load, &new_load),
            before: old_load,
            after: new_load,
        }
    }
}

impl Load {
    /// Where the server of this name is among the shares.
    fn place(&self, name: &ServerName) -> Option<usize> {
        let found = self.shares.binary_search_by(|(other, ..)| other.cmp(name));
        found.ok()
    }

    fn of(rest: &super::layout::AtRest<'_>) -> Self {
        let shares = rest.shares();
        let fair: Vec<f64> = rest.fair_shares();
        let taking: Vec<usize> = (0..fair.len()).filter(|&i| fair[i] > 0.0).collect();
        let balance = Balance::of(
            &taking.iter().map(|&i| shares[i]).collect::<Vec<_>>(),
            &taking.iter().map(|&i| fair[i]).collect::<Vec<_>>(),
        );
        let name = |i: usize| rest.layout().servers()[i].name.clone();
        Self {
            shares: taking
                .iter()
                .map(|&i| (name(i), shares[i], fair[i]))
                .collect(),
            balance,
        }
    }
}

/// What must move: a server's fair share cannot grow but by what others give.
fn minimum(before: &Load, after: &Load) -> f64 {
    let fair_before = |name: &ServerName| before.place(name).map_or(0.0, |i| before.shares[i].2);
    let gains = after
        .shares
        .iter()
        .map(|(name, _, fair)| fair - fair_before(name));
    // Not `sum`, whose nothing is -0.
    gains
        .filter(|gain| *gain > 0.0)
        .fold(0.0, |sum, gain| sum + gain)
}

/// What moves when `hash % n` chooses among the servers by name.
///
/// A server that has the places i and j keeps the keys whose hash leaves these
/// two remainders: one in each run of the least common multiple, if i and j are
/// alike modulo the greatest common divisor; else none.
fn modulo(before: &Load, after: &Load) -> f64 {
    let (a, b) = (before.shares.len() as u64, after.shares.len() as u64);
    if a == 0 || b == 0 {
        return if a == b { 0.0 } else { 1.0 };
    }
    let divisor = divisor(a, b);
    let names = after.shares.iter().enumerate();
    let kept = names.filter(|(j, (name, ..))| {
        let place = before.place(name);
        place.is_some_and(|i| (i.abs_diff(*j) as u64).is_multiple_of(divisor))
    });
    // The fraction in whole numbers, so that nothing moved is nothing.
    let kept = kept.count() as u64 * divisor;
    (a * b - kept) as f64 / (a * b) as f64
}

/// Euclid's: the greatest number that divides both.
fn divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { divisor(b, a % b) }
}

impl LoadBalancer {
    /// What `changes`, one after the other, would do; nothing is done.
    ///
    /// # Errors
    /// When one of them could not be done, or a rule has no keys that could move.
    pub fn plan(&self, changes: Vec<Change>) -> Result<Plan, CommandError> {
        let mut planned = self.clone();
        for change in changes {
            planned = planned.with(change)?;
        }
        for fleet in [self, &planned] {
            if let Some(rule) = fleet.table().keyless() {
                return Err(CommandError::NoKeys(rule));
            }
        }
        Ok(Plan::between(self, &planned))
    }

    fn with(mut self, change: Change) -> Result<Self, CommandError> {
        let command = match change {
            Change::Add(server) => Command::AddServer(server),
            Change::Remove(name) => Command::RemoveServer(name),
            Change::Weight(name, weight) => Command::SetWeight(name, weight),
            Change::State(name, state) => Command::SetState(name, state),
            Change::VirtualNodes(virtual_nodes) => {
                return self.relaid_by(|settings| settings.virtual_nodes = virtual_nodes);
            }
            Change::Algorithm(algorithm) => {
                return self.relaid_by(|settings| settings.algorithm = algorithm);
            }
        };
        let now = self.latest();
        // The events are of a fleet that nobody will see.
        let _ = self.apply(command, now)?;
        Ok(self)
    }
}
