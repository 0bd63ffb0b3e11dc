//! What changes hands between two tables: by slots where both have as many,
//! and by shards; the slots and shards of drained servers are drawn for.

use super::{Ledger, Names, PARTS_MAX, Side, TableKind, draws};
use crate::engine::jump;
use crate::engine::layout::Table;
use crate::engine::ring::{Basis, Moved, Share};

/// What changes hands; `None` where slots do not match, or it would take long.
/// Both sides have a server that takes keys.
pub(super) fn moved(
    (before, old): (&Side<'_>, &Table),
    (after, new): (&Side<'_>, &Table),
    names: &Names<'_>,
) -> Option<Moved> {
    let (owned, whole, basis) = owners(old, new)?;
    let mut kept = Ledger::default();
    // Of drained servers: by who had it or has it else, and on both sides.
    let (mut goes, mut comes) = (vec![0; names.names.len()], vec![0; names.names.len()]);
    let mut between = 0;
    for (i, j, units) in owned.sums() {
        let (i, j) = (i as usize, j as usize);
        match (before.takes[i], after.takes[j]) {
            (true, true) => kept.add(names.before[i], names.after[j], units),
            (true, false) => goes[names.before[i] as usize] += units,
            (false, true) => comes[names.after[j] as usize] += units,
            (false, false) => between += units,
        }
    }
    let is_drawn = |units: &Vec<u128>| units.iter().any(|&units| units > 0);
    if !is_drawn(&goes) && !is_drawn(&comes) && between == 0 {
        return Some(match basis {
            Basis::Exact => names.rounded(kept.sums(), 1, basis),
            _ => names.apportioned(kept.sums(), basis),
        });
    }
    let weights = names.weights(before, after);
    let part = |units: u128| units as f64 / whole as f64;
    let mut chances: Vec<(u32, u32, f64)> = kept
        .sums()
        .map(|(from, to, units)| (from, to, part(units)))
        .collect();
    let had = draws::chances(weights.iter().map(|weight| weight.0));
    let has = draws::chances(weights.iter().map(|weight| weight.1));
    for (id, (goes, comes)) in (0..).zip(goes.into_iter().zip(comes)) {
        if goes > 0 {
            let takers = (0..).zip(&has);
            chances.extend(takers.map(|(to, chance)| (id, to, part(goes) * chance)));
        }
        if comes > 0 {
            let givers = (0..).zip(&had);
            chances.extend(givers.map(|(from, chance)| (from, id, part(comes) * chance)));
        }
    }
    if between > 0 {
        let pairs = draws::pairs(&weights)?.into_iter();
        chances.extend(pairs.map(|(from, to, chance)| (from, to, part(between) * chance)));
    }
    Some(names.expected(chances))
}

/// How much of the whole, which is the second, each pair of ranks owns.
fn owners(old: &Table, new: &Table) -> Option<(Ledger, u128, Basis)> {
    let mut ledger = Ledger::default();
    match (&old.kind, &new.kind) {
        (TableKind::Slots(before), TableKind::Slots(after))
            if before.n_slots() == after.n_slots() =>
        {
            for ((from, share), (to, _)) in before.parts().zip(after.parts()) {
                let (from, to) = (old.ranks[from as usize], new.ranks[to as usize]);
                ledger.add(from, to, share.units());
            }
            Some((ledger, Share::WHOLE.units(), Basis::Exact))
        }
        (TableKind::Shards, TableKind::Shards) => {
            let (n, m) = (old.ranks.len() as u32, new.ranks.len() as u32);
            if u64::from(n.min(m)) * u64::from(n.abs_diff(m)) > PARTS_MAX as u64 {
                return None;
            }
            for (from, to, units) in jump::pairs(n, m) {
                ledger.add(
                    old.ranks[from as usize],
                    new.ranks[to as usize],
                    units.into(),
                );
            }
            Some((ledger, u128::from(n) * u128::from(m), Basis::Expected))
        }
        _ => None,
    }
}
