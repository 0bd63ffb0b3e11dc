//! What changes hands between two layouts: counted where their parts can be
//! laid over each other, as expected where servers draw for keys, and by a
//! stated sample where neither is simple.

use super::{Layout, TableKind};
use crate::engine::hash;
use crate::engine::local_rendezvous::WINDOW;
use crate::engine::ring::{Basis, Flow, Moved, Position, Rank, Ring, Share};
use crate::engine::server::ServerName;
use crate::engine::sort;

mod draws;
mod tables;
mod windows;

use crate::engine::ledger::Ledger;
use windows::Windows;

/// The most keys that are asked for, and how many servers may be asked for all
/// of them together: enough for a standard error of 0.2 % of all keys, in some
/// hundredths of a second.
const SAMPLES_MAX: u32 = 1 << 16;
const DRAWS_MAX: u32 = 1 << 23;

/// The most parts that are added up before a sample is taken instead: about a
/// tenth of a second, and as many flows as anyone may want to be told.
const PARTS_MAX: usize = 1 << 20;

/// One of two layouts that are compared.
#[derive(Clone, Copy, Debug)]
pub(super) struct Side<'a> {
    pub(super) layout: &'a Layout,
    /// By rank: whether it takes keys.
    pub(super) takes: &'a [bool],
}

impl Layout {
    /// What changes hands when `after`, which hashes keys as this layout does,
    /// follows it: a position's owner is another server.
    pub fn moved_to(&self, after: &Self) -> Moved {
        let (old, new) = (
            vec![true; self.servers().len()],
            vec![true; after.servers().len()],
        );
        let side = |layout, takes| Side { layout, takes };
        between(&side(self, &old), &side(after, &new), true, |key| {
            let position = Position::of_key(key);
            (position, position)
        })
    }

    /// How many servers a key asks, about.
    fn draws_per_key(&self) -> u32 {
        match self {
            Self::Ring(_) | Self::Table(_) | Self::Keyless(_) => 1,
            Self::LocalRendezvous(_) => WINDOW as u32,
            Self::Rendezvous(_) => self.servers().len().clamp(1, 1 << 20) as u32,
        }
    }
}

/// What changes hands when `after` follows `before`. `positions` says where a
/// key stands by both; `is_comparable` that it is always the same place, and
/// may be any.
pub(super) fn between(
    before: &Side<'_>,
    after: &Side<'_>,
    is_comparable: bool,
    positions: impl Fn(&[u8]) -> (Position, Position),
) -> Moved {
    match (before.is_taking(), after.is_taking()) {
        (true, true) => {}
        (false, false) => return Moved::default(),
        // From nobody, or to nobody.
        _ => {
            return Moved {
                total: Share::WHOLE,
                ..Moved::default()
            };
        }
    }
    match [before.layout, after.layout].map(|layout| matches!(layout, Layout::Keyless(_))) {
        [false, false] => {}
        [true, true] => return Moved::default(),
        // No key had a server, or none has.
        _ => {
            return Moved {
                total: Share::WHOLE,
                ..Moved::default()
            };
        }
    }
    let names = Names::of(before, after);
    let known = is_comparable.then(|| computed(before, after, &names));
    known
        .flatten()
        .unwrap_or_else(|| sampled(before, after, &names, positions))
}

/// What changes hands, without a sample, between two layouts that hash keys
/// alike; `None` where that is not simple, or would take long.
fn computed(before: &Side<'_>, after: &Side<'_>, names: &Names<'_>) -> Option<Moved> {
    match (before.layout, after.layout) {
        (Layout::Ring(old), Layout::Ring(new)) if before.is_whole() && after.is_whole() => {
            Some(Moved::between(old, new))
        }
        (
            Layout::Ring(old) | Layout::LocalRendezvous(old),
            Layout::Ring(new) | Layout::LocalRendezvous(new),
        ) => {
            let old = before.windows(old, &names.before);
            let new = after.windows(new, &names.after);
            let sums = windows::sweep(&old, &new)?.sums();
            let basis = match (old.window, new.window) {
                (1, 1) => Basis::Exact,
                _ => Basis::Expected,
            };
            Some(names.rounded(sums, windows::UNITS, basis))
        }
        (Layout::Rendezvous(_), Layout::Rendezvous(_)) => {
            let pairs = draws::pairs(&names.weights(before, after))?;
            Some(names.expected(pairs))
        }
        (Layout::Table(old), Layout::Table(new)) => {
            tables::moved((before, old), (after, new), names)
        }
        _ => None,
    }
}

/// What changes hands by a sample of keys.
fn sampled(
    before: &Side<'_>,
    after: &Side<'_>,
    names: &Names<'_>,
    positions: impl Fn(&[u8]) -> (Position, Position),
) -> Moved {
    let asks = before.layout.draws_per_key() + after.layout.draws_per_key();
    let n_keys = (DRAWS_MAX / asks).clamp(1 << 10, SAMPLES_MAX);
    let mut ledger = Ledger::default();
    for i in 0..n_keys {
        let (old, new) = positions(&sample(i));
        if let (Some(old), Some(new)) = (before.owner(old), after.owner(new)) {
            let (from, to) = (names.before[old as usize], names.after[new as usize]);
            ledger.add(from, to, 1);
        }
    }
    names.apportioned(ledger.sums(), Basis::Sampled(n_keys))
}

/// The `i`-th key that is asked for: always the same one, and of letters and
/// digits like the keys of people, which every product's hash spreads.
fn sample(i: u32) -> [u8; 16] {
    let hash = hash::of_key(&i.to_le_bytes());
    core::array::from_fn(|digit| b"0123456789abcdef"[(hash >> (4 * digit)) as usize & 15])
}

impl<'a> Side<'a> {
    fn is_taking(&self) -> bool {
        self.takes.contains(&true)
    }

    fn is_whole(&self) -> bool {
        !self.takes.contains(&false)
    }

    /// Who gets the key at `position`.
    fn owner(&self, position: Position) -> Option<Rank> {
        if self.is_whole() {
            return self.layout.owner(position);
        }
        let takes = |rank: Rank| self.takes[rank as usize].then_some(rank);
        self.layout.first(position, takes)
    }

    /// The weight of each server that takes keys, by rank; else 0.
    fn weights(&self) -> impl Iterator<Item = u32> + Clone {
        let servers = self.layout.servers().iter().zip(self.takes);
        servers.map(|(server, takes)| server.weight.number() * u32::from(*takes))
    }

    fn windows(&self, ring: &'a Ring, ids: &'a [u32]) -> Windows<'a> {
        Windows {
            ring,
            window: match self.layout {
                Layout::LocalRendezvous(_) => WINDOW,
                _ => 1,
            },
            takes: self.takes,
            ids,
        }
    }

    /// What part of a sample of keys goes to each server, by rank.
    pub(super) fn sampled_shares(&self, position: impl Fn(&[u8]) -> Position) -> Vec<Share> {
        let mut counts = vec![0; self.takes.len()];
        for i in 0..SAMPLES_MAX {
            if let Some(rank) = self.owner(position(&sample(i))) {
                counts[rank as usize] += 1;
            }
        }
        Share::apportioned(&counts)
    }

    /// What part of all keys goes to each server, by rank.
    pub(super) fn shares(&self) -> Vec<Share> {
        if self.is_whole() {
            return self.layout.shares();
        }
        if !self.is_taking() {
            return vec![Share::NONE; self.takes.len()];
        }
        match self.layout {
            Layout::Ring(ring) | Layout::LocalRendezvous(ring) => {
                let ids: Vec<u32> = (0..self.takes.len() as u32).collect();
                let sums = windows::shares(&self.windows(ring, &ids));
                rounded(sums.into_iter(), windows::SHARE_UNITS).collect()
            }
            Layout::Rendezvous(_) | Layout::Keyless(_) => {
                Share::apportioned(&self.weights().map(u128::from).collect::<Vec<_>>())
            }
            Layout::Table(table) => {
                let (mut sums, weights): (Vec<u128>, Vec<u32>) = (
                    table.shares().iter().map(|share| share.units()).collect(),
                    self.weights().collect(),
                );
                // What the drained would have is drawn for by all others.
                let drained = sums.iter().zip(self.takes).filter(|(_, takes)| !**takes);
                let drained: u128 = drained.map(|(units, _)| units).sum();
                let all: u128 = weights.iter().copied().map(u128::from).sum();
                for (i, sum) in sums.iter_mut().enumerate() {
                    let own = if self.takes[i] { *sum } else { 0 };
                    *sum = own * all + drained * u128::from(weights[i]);
                }
                Share::apportioned(&sums)
            }
        }
    }
}

/// The servers of both sides under one number each, in order of their names.
#[derive(Clone, Debug)]
struct Names<'a> {
    names: Vec<&'a ServerName>,
    /// The numbers of one side's servers, by rank.
    before: Vec<u32>,
    after: Vec<u32>,
}

impl<'a> Names<'a> {
    fn of(before: &Side<'a>, after: &Side<'a>) -> Self {
        let of_side = |side: &Side<'a>| side.layout.servers().iter().map(|server| &server.name);
        let mut names: Vec<&ServerName> = of_side(before).chain(of_side(after)).collect();
        sort::by(&mut names, |a, b| a < b);
        names.dedup();
        let ids = |side: &Side<'a>| -> Vec<u32> {
            let found = of_side(side).map(|name| names.binary_search(&name));
            found.map(|id| id.unwrap_or_else(|id| id) as u32).collect()
        };
        Self {
            before: ids(before),
            after: ids(after),
            names,
        }
    }

    /// By number: its weight on both sides.
    fn weights(&self, before: &Side<'_>, after: &Side<'_>) -> Vec<draws::Weights> {
        let mut weights = vec![(0, 0); self.names.len()];
        for (id, weight) in self.before.iter().zip(before.weights()) {
            weights[*id as usize].0 = weight;
        }
        for (id, weight) in self.after.iter().zip(after.weights()) {
            weights[*id as usize].1 = weight;
        }
        weights
    }

    /// Sums in parts of a position, so many to one, rounded to positions.
    fn rounded(
        &self,
        sums: impl Iterator<Item = (u32, u32, u128)>,
        parts: u128,
        basis: Basis,
    ) -> Moved {
        let sums: Vec<(u32, u32, u128)> = sums.collect();
        let shares = rounded(sums.iter().map(|sum| sum.2), parts);
        self.moved(sums.iter().zip(shares), basis)
    }

    /// Sums for all pairs, also of one server, as parts of what all are
    /// together.
    fn apportioned(&self, sums: impl Iterator<Item = (u32, u32, u128)>, basis: Basis) -> Moved {
        let sums: Vec<(u32, u32, u128)> = sums.collect();
        let shares = Share::apportioned(&sums.iter().map(|sum| sum.2).collect::<Vec<_>>());
        self.moved(sums.iter().zip(shares), basis)
    }

    /// The same for chances, which together are 1 up to rounding.
    fn expected(&self, chances: impl IntoIterator<Item = (u32, u32, f64)>) -> Moved {
        let mut ledger = Ledger::default();
        for (from, to, chance) in chances {
            ledger.add(from, to, (chance * (1_u64 << 62) as f64) as u128);
        }
        self.apportioned(ledger.sums(), Basis::Expected)
    }

    fn moved<'b>(
        &self,
        sums: impl Iterator<Item = (&'b (u32, u32, u128), Share)>,
        basis: Basis,
    ) -> Moved {
        let mut moved = Moved {
            basis,
            ..Moved::default()
        };
        for (&(from, to, _), share) in sums {
            if from != to && share != Share::NONE {
                moved.total += share;
                moved.flows.push(Flow {
                    from: self.names[from as usize].clone(),
                    to: self.names[to as usize].clone(),
                    share,
                });
            }
        }
        moved
    }
}

/// Sums in parts of a position, so many to one, rounded so that they add up to
/// their own sum rounded.
fn rounded(sums: impl Iterator<Item = u128>, parts: u128) -> impl Iterator<Item = Share> {
    let (mut sum, mut before) = (0, 0);
    sums.map(move |part| {
        sum += part;
        let upto = sum / parts;
        let share = Share::from_units(upto - before);
        before = upto;
        share
    })
}
