//! A layout whose servers all take keys or are drained: who gets which key
//! while nothing is wrong.

use super::{Layout, TableKind};
use crate::engine::rendezvous::Rendezvous;
use crate::engine::ring::{self, Moved, Position, Rank, Ring, Share};

/// A tier as an operator left it.
#[derive(Clone, Debug)]
pub(in crate::engine) struct AtRest<'a> {
    layout: &'a Layout,
    /// By rank: whether it takes keys.
    takes: Vec<bool>,
    /// The layout of those that do, where it gives the same answers: points of
    /// others are taken away, or their draws.
    reduced: Option<Layout>,
}

impl<'a> AtRest<'a> {
    /// `takes` says of each server, by rank, whether it takes keys.
    pub(in crate::engine) fn new(layout: &'a Layout, takes: Vec<bool>) -> Self {
        let is_whole = takes.iter().all(|&takes| takes);
        let reduced = match layout {
            _ if is_whole => None,
            Layout::Ring(ring) => {
                let points = ring.points().iter();
                let kept = points.filter(|point| takes[point.server as usize]);
                Some(Layout::Ring(Ring::of_points(
                    ring.virtual_nodes(),
                    ring.servers().to_vec(),
                    kept.map(|point| (point.position, point.server)),
                )))
            }
            Layout::Rendezvous(_) | Layout::LocalRendezvous(_) | Layout::Table(_) => None,
        };
        Self {
            layout,
            takes,
            reduced,
        }
    }

    pub(in crate::engine) fn layout(&self) -> &Layout {
        self.layout
    }

    /// The layout that answers by itself, if there is one.
    fn answering(&self) -> Option<&Layout> {
        let is_whole = self.takes.iter().all(|&takes| takes);
        self.reduced.as_ref().or(is_whole.then_some(self.layout))
    }

    /// Who gets the key at `position`.
    pub(super) fn owner(&self, position: Position) -> Option<Rank> {
        match self.answering() {
            Some(layout) => layout.owner(position),
            None => self
                .layout
                .first(position, |rank| self.takes[rank as usize].then_some(rank)),
        }
    }

    /// What would be fair for each server, by rank: its weight over the sum of
    /// the weights of all that take keys.
    pub(in crate::engine) fn fair_shares(&self) -> Vec<f64> {
        let mut shares = ring::expected_shares(self.layout.servers());
        let mut sum = 0.0;
        for (share, takes) in shares.iter_mut().zip(&self.takes) {
            *share = if *takes { *share } else { 0.0 };
            sum += *share;
        }
        shares
            .iter()
            .map(|share| if sum > 0.0 { share / sum } else { 0.0 })
            .collect()
    }

    /// What part of all keys goes to each server, by rank.
    pub(in crate::engine) fn shares(&self) -> Vec<Share> {
        if let Some(layout) = self.answering() {
            return layout.shares();
        }
        if let Layout::Rendezvous(draws) = self.layout {
            return Self::in_proportion(draws, &self.takes);
        }
        let n_samples = super::moved::SAMPLES_MAX;
        let mut counts = vec![0_u128; self.takes.len()];
        for position in super::moved::samples(n_samples) {
            if let Some(rank) = self.owner(position) {
                counts[rank as usize] += 1;
            }
        }
        Share::apportioned(&counts)
    }

    fn in_proportion(draws: &Rendezvous, takes: &[bool]) -> Vec<Share> {
        let servers = draws.servers().iter().zip(takes);
        let weights = servers.map(|(server, &takes)| {
            if takes {
                u128::from(server.weight.number())
            } else {
                0
            }
        });
        Share::apportioned(&weights.collect::<Vec<_>>())
    }

    /// What changes hands when `after` follows: exact between two rings and
    /// between two tables of one size of which nobody is drained.
    pub(in crate::engine) fn moved_to(&self, after: &AtRest<'_>) -> Moved {
        if let (Some(before), Some(new)) = (self.answering(), after.answering()) {
            let is_exact = match (before, new) {
                (Layout::Ring(_), Layout::Ring(_)) => true,
                (Layout::Table(a), Layout::Table(b)) => matches!(
                    (&a.kind, &b.kind),
                    (TableKind::Slots(a), TableKind::Slots(b)) if a.n_slots() == b.n_slots()
                ),
                _ => false,
            };
            if is_exact {
                return before.moved_to(new);
            }
        }
        let owners = |position| (self.owner(position), after.owner(position));
        self.layout.sampled(after.layout, owners)
    }
}
