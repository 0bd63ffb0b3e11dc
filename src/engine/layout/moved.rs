//! What changes hands between two layouts: exactly where their parts can be
//! laid over each other, and by a stated sample where keys are drawn for.

use std::collections::BTreeMap;

use super::{Layout, TableKind};
use crate::engine::hash;
use crate::engine::ring::{Flow, Moved, Position, Rank, RingServer, Share};

/// The most positions that are asked, and how many servers may be asked for
/// all of them together: enough for a standard error of 0.2 % of all keys, in
/// some hundredths of a second.
pub(super) const SAMPLES_MAX: u32 = 1 << 16;
const DRAWS_MAX: u32 = 1 << 23;

impl Layout {
    /// What changes hands when `after` follows this layout: a position's owner
    /// is another server. Exact between two rings and between two tables of
    /// one size.
    pub fn moved_to(&self, after: &Self) -> Moved {
        if let (Self::Ring(before), Self::Ring(after)) = (self, after) {
            return Moved::between(before, after);
        }
        if let (Self::Table(before), Self::Table(new)) = (self, after)
            && let (TableKind::Slots(old_slots), TableKind::Slots(new_slots)) =
                (&before.kind, &new.kind)
            && old_slots.n_slots() == new_slots.n_slots()
        {
            let slots = old_slots.parts().zip(new_slots.parts());
            let owners = slots.map(|((old, share), (now, _))| {
                let old = before.ranks.get(old as usize).copied();
                (old, new.ranks.get(now as usize).copied(), share)
            });
            return self.flows(after, owners, None);
        }
        self.sampled(after, |position| {
            (self.owner(position), after.owner(position))
        })
    }

    /// What changes hands by a sample of positions, each of which `owners`
    /// answers for, as it was and as it is after.
    pub(super) fn sampled(
        &self,
        after: &Self,
        owners: impl Fn(Position) -> (Option<Rank>, Option<Rank>),
    ) -> Moved {
        let asks = self.draws_per_key() + after.draws_per_key();
        let n_samples = (DRAWS_MAX / asks).clamp(1 << 10, SAMPLES_MAX);
        let share = Share::from_units(Share::WHOLE.units() / u128::from(n_samples));
        let parts = samples(n_samples).map(|position| {
            let (old, new) = owners(position);
            (old, new, share)
        });
        self.flows(after, parts, Some(n_samples))
    }

    /// How many servers a key asks, about.
    fn draws_per_key(&self) -> u32 {
        match self {
            Self::Ring(_) | Self::Table(_) => 1,
            Self::LocalRendezvous(_) => 8,
            Self::Rendezvous(_) => self.servers().len().clamp(1, 1 << 20) as u32,
        }
    }

    /// Adds up who gave what to whom, of parts and their owners.
    fn flows(
        &self,
        after: &Self,
        parts: impl Iterator<Item = (Option<Rank>, Option<Rank>, Share)>,
        sampled: Option<u32>,
    ) -> Moved {
        let name = |servers: &[RingServer], rank: Rank| servers[rank as usize].name.clone();
        let is_one = |old: Option<Rank>, new: Option<Rank>| match (old, new) {
            (Some(old), Some(new)) => {
                self.servers()[old as usize].name == after.servers()[new as usize].name
            }
            (None, None) => true,
            _ => false,
        };
        let mut total = Share::NONE;
        let mut sums: BTreeMap<(Rank, Rank), Share> = BTreeMap::new();
        for (old, new, share) in parts {
            if is_one(old, new) {
                continue;
            }
            total += share;
            if let (Some(old), Some(new)) = (old, new) {
                *sums.entry((old, new)).or_default() += share;
            }
        }
        let flows = sums.into_iter().map(|((from, to), share)| Flow {
            from: name(self.servers(), from),
            to: name(after.servers(), to),
            share,
        });
        Moved {
            total,
            flows: flows.collect(),
            sampled,
        }
    }
}

/// The first `n` of the positions that are asked: always the same ones.
pub(super) fn samples(n: u32) -> impl Iterator<Item = Position> {
    (0..n).map(|i| Position::from_bits(hash::of_key(&i.to_le_bytes())))
}
