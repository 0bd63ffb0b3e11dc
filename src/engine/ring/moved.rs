//! What changes hands between two rings, exactly.

use crate::engine::ledger::Ledger;

use super::{Rank, Ring, RingServer, ServerName, Share};

/// What changed hands between two rings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// The part of the ring whose owner differs.
    pub total: Share,
    /// The same by giver and taker, in order of their names.
    pub flows: Vec<Flow>,
    /// How all that is known.
    pub basis: Basis,
}

/// How a part of all keys is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Basis {
    /// Counted, to the last position.
    #[default]
    Exact,
    /// What is to be expected, exactly, where servers or points draw for keys,
    /// as if each draw were a random number of its own.
    Expected,
    /// Estimated by asking for so many keys: the standard error of a part p is
    /// `sqrt(p (1 - p) / n)`.
    Sampled(u32),
}

impl Basis {
    /// How many keys were asked for, if a sample was.
    pub fn n_sampled(self) -> Option<u32> {
        match self {
            Self::Sampled(n_keys) => Some(n_keys),
            Self::Exact | Self::Expected => None,
        }
    }
}

/// A part of the ring that went from one server to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Who owned it before.
    pub from: ServerName,
    /// Who owns it after.
    pub to: ServerName,
    /// How much.
    pub share: Share,
}

impl Moved {
    /// Compares owners over the whole of two rings, exactly. When just one of
    /// them is empty everything has moved, but from or to nobody.
    pub fn between(before: &Ring, after: &Ring) -> Self {
        let (Some(last_before), Some(last_after)) = (before.points().last(), after.points().last())
        else {
            let both = before.points().is_empty() && after.points().is_empty();
            return Self {
                total: if both { Share::NONE } else { Share::WHOLE },
                flows: Vec::new(),
                basis: Basis::Exact,
            };
        };
        let (old_points, new_points) = (before.points(), after.points());
        let mut flows = Ledger::default();
        let mut total = Share::NONE;
        let ranks_after = ranks_in(&after.servers, &before.servers);
        // Walk the boundaries of both rings in one sweep. Between two of them
        // the owner is the next point of each ring, wrapping.
        let mut swept = last_before.position().max(last_after.position());
        let (mut i, mut j) = (0, 0);
        let mut is_first = true;
        while i < old_points.len() || j < new_points.len() {
            let old = old_points[i % old_points.len()];
            let new = new_points[j % new_points.len()];
            let next = match (i < old_points.len(), j < new_points.len()) {
                (true, true) => old.position().min(new.position()),
                (true, false) => old.position(),
                _ => new.position(),
            };
            let mut share = Share(u128::from(next.0.wrapping_sub(swept.0)));
            if is_first && share == Share::NONE {
                share = Share::WHOLE;
            }
            is_first = false;
            if share != Share::NONE && ranks_after[old.server as usize] != Some(new.server) {
                total += share;
                flows.add(old.server, new.server, share.units());
            }
            swept = next;
            while old_points
                .get(i)
                .is_some_and(|point| point.position() <= next)
            {
                i += 1;
            }
            while new_points
                .get(j)
                .is_some_and(|point| point.position() <= next)
            {
                j += 1;
            }
            // Most arcs are the same in both.
            while let (Some(old), Some(new)) = (old_points.get(i), new_points.get(j))
                && old.position() == new.position()
                && ranks_after[old.server as usize] == Some(new.server)
            {
                swept = old.position();
                (i, j) = (i + 1, j + 1);
            }
        }
        Self {
            total,
            flows: flows
                .sums()
                .map(|(from, to, units)| Flow {
                    from: before.servers[from as usize].name.clone(),
                    to: after.servers[to as usize].name.clone(),
                    share: Share(units),
                })
                .collect(),
            basis: Basis::Exact,
        }
    }
}

/// The ranks in `after` of the servers `before`; both are in order of names.
fn ranks_in(after: &[RingServer], before: &[RingServer]) -> Vec<Option<Rank>> {
    let mut rank = 0;
    let find = |server: &RingServer| {
        while after
            .get(rank)
            .is_some_and(|other| other.name < server.name)
        {
            rank += 1;
        }
        let is_there = after
            .get(rank)
            .is_some_and(|other| other.name == server.name);
        is_there.then_some(rank as Rank)
    };
    before.iter().map(find).collect()
}
