//! What changes hands between two rings of which a key takes the best of the
//! next few points: exact where it is the next one, and else as expected over
//! the draws, in whole numbers.

use super::PARTS_MAX;
use crate::engine::ledger::Ledger;
use crate::engine::local_rendezvous::WINDOW;
use crate::engine::ring::{Point, Ring};

/// A part for each pair of winners, in units that all numbers of points in two
/// windows divide: of both together (up to 16), and of one (up to 8).
const UNION_UNITS: u128 = 720_720;
const WINDOW_UNITS: u128 = 840;

/// Parts of one position: what [`sweep`] counts in, and [`shares`].
pub(super) const UNITS: u128 = UNION_UNITS * WINDOW_UNITS;
pub(super) const SHARE_UNITS: u128 = WINDOW_UNITS;

/// A ring of which servers may be drained.
#[derive(Clone, Copy, Debug)]
pub(super) struct Windows<'a> {
    pub(super) ring: &'a Ring,
    /// How many points a key chooses from.
    pub(super) window: usize,
    /// By rank: whether it takes keys.
    pub(super) takes: &'a [bool],
    /// By rank: the number that it has on both sides.
    pub(super) ids: &'a [u32],
}

/// A point that draws: where it stands, by which it draws, and its server.
type Drawer = (u64, u32);

/// The points that may win the keys of one arc.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Window {
    drawers: [Drawer; WINDOW],
    len: usize,
}

impl Window {
    fn drawers(&self) -> &[Drawer] {
        &self.drawers[..self.len]
    }

    fn push(&mut self, drawer: Drawer) {
        // Points at one position draw alike, and the first name wins.
        if self.drawers().last().is_none_or(|last| last.0 != drawer.0) {
            self.drawers[self.len] = drawer;
            self.len += 1;
        }
    }

    fn has(&self, drawer: Drawer) -> bool {
        self.drawers().iter().any(|other| other.0 == drawer.0)
    }
}

impl Windows<'_> {
    /// By point: the first at or after it whose server takes keys, wrapping.
    fn next_taking(&self) -> Vec<usize> {
        let points = self.ring.points();
        let takes = |i: usize| self.takes[points[i].server as usize];
        let mut next = (0..points.len()).find(|&i| takes(i)).unwrap_or(0);
        let mut all = vec![next; points.len()];
        for i in (0..points.len()).rev() {
            if takes(i) {
                next = i;
            }
            all[i] = next;
        }
        all
    }

    /// The window of keys whose next point is the `i`-th.
    fn window(&self, i: usize, next_taking: &[usize]) -> Window {
        let points = self.ring.points();
        let mut window = Window {
            drawers: [(0, 0); WINDOW],
            len: 0,
        };
        let drawer = |i: usize| {
            let point = points[i];
            (point.position().bits(), self.ids[point.server as usize])
        };
        for j in 0..self.window.min(points.len()) {
            let j = (i + j) % points.len();
            if self.takes[points[j].server as usize] {
                window.push(drawer(j));
            }
        }
        if window.len == 0 {
            let behind = (i + self.window.min(points.len())) % points.len();
            window.push(drawer(next_taking[behind]));
        }
        window
    }
}

/// Adds up who gave what to whom; `None` where that takes too long. Both sides
/// have a server that takes keys.
pub(super) fn sweep(before: &Windows<'_>, after: &Windows<'_>) -> Option<Ledger> {
    let (old, new) = (before.ring.points(), after.ring.points());
    let (old_next, new_next) = (before.next_taking(), after.next_taking());
    let position = |point: &Point| point.position().bits();
    let mut ledger = Ledger::default();
    let mut swept = old.last().map(position).max(new.last().map(position))?;
    let (mut i, mut j) = (0, 0);
    let mut is_first = true;
    while i < old.len() || j < new.len() {
        let next = match (old.get(i).map(position), new.get(j).map(position)) {
            (Some(old), Some(new)) => old.min(new),
            (old, new) => old.or(new)?,
        };
        let mut length = u128::from(next.wrapping_sub(swept));
        if is_first && length == 0 {
            length = 1 << 64;
        }
        is_first = false;
        if length > 0 {
            let a = before.window(i % old.len(), &old_next);
            let b = after.window(j % new.len(), &new_next);
            winners(&a, &b, length, &mut ledger);
            // Points are spread evenly, so too many are foreseen early.
            let part_swept = PARTS_MAX as u64 * (i + j) as u64 / (old.len() + new.len()) as u64;
            if ledger.n_added() as u64 > PARTS_MAX as u64 / 16 + part_swept {
                return None;
            }
        }
        swept = next;
        while old.get(i).is_some_and(|point| position(point) <= next) {
            i += 1;
        }
        while new.get(j).is_some_and(|point| position(point) <= next) {
            j += 1;
        }
    }
    Some(ledger)
}

/// The part of an arc for each pair of winners that are two servers. Draws are
/// alike, so the best of both windows is any of their points; it wins where it
/// stands, and in the other window, if it is not there, any point of that wins.
fn winners(a: &Window, b: &Window, length: u128, ledger: &mut Ledger) {
    if a == b {
        return;
    }
    let mut add = |p: Drawer, q: Drawer, units| {
        if p.1 != q.1 {
            ledger.add(p.1, q.1, units);
        }
    };
    let n_new = b.drawers().iter().filter(|q| !a.has(**q)).count();
    let of_union = length * UNITS / (a.len + n_new) as u128;
    for &p in a.drawers() {
        match b.drawers().iter().find(|q| q.0 == p.0) {
            Some(&q) => add(p, q, of_union),
            None => {
                for &q in b.drawers() {
                    add(p, q, of_union / b.len as u128);
                }
            }
        }
    }
    for &q in b.drawers().iter().filter(|q| !a.has(**q)) {
        for &p in a.drawers() {
            add(p, q, of_union / a.len as u128);
        }
    }
}

/// What each server gets, by rank, where `ids` are ranks. One of them takes keys.
pub(super) fn shares(side: &Windows<'_>) -> Vec<u128> {
    let mut sums = vec![0; side.takes.len()];
    let next_taking = side.next_taking();
    for (i, arc) in side.ring.arcs().enumerate() {
        if arc.share.units() > 0 {
            let window = side.window(i, &next_taking);
            for &(_, id) in window.drawers() {
                sums[id as usize] += arc.share.units() * WINDOW_UNITS / window.len as u128;
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn window(drawers: &[Drawer]) -> Window {
        let mut window = Window {
            drawers: [(0, 0); WINDOW],
            len: 0,
        };
        for &drawer in drawers {
            window.push(drawer);
        }
        window
    }

    /// All orders of the first `n` numbers.
    fn orders(n: usize) -> Vec<Vec<usize>> {
        if n == 0 {
            return vec![Vec::new()];
        }
        let with_last = |order: Vec<usize>| {
            (0..n).map(move |at| {
                let mut order = order.clone();
                order.insert(at, n - 1);
                order
            })
        };
        orders(n - 1).into_iter().flat_map(with_last).collect()
    }

    #[test]
    fn pairs_of_winners_are_those_of_all_orders_of_draws() {
        let cases: [(&[Drawer], &[Drawer]); 5] = [
            (&[(1, 0), (2, 1), (3, 0)], &[(1, 0), (2, 1), (4, 2)]),
            (&[(1, 0), (2, 1), (3, 2), (4, 3)], &[(3, 2), (4, 3), (5, 0)]),
            (&[(1, 0)], &[(2, 1), (3, 2), (4, 0), (5, 1)]),
            // Nothing in common; one position under two names.
            (&[(1, 0), (2, 1)], &[(3, 2), (4, 3), (5, 4)]),
            (&[(1, 0), (2, 1)], &[(1, 5), (2, 1), (3, 0)]),
        ];
        for (a, b) in cases {
            let mut positions: Vec<u64> = a.iter().chain(b).map(|drawer| drawer.0).collect();
            positions.sort_unstable();
            positions.dedup();
            let orders = orders(positions.len());
            let mut seen: BTreeMap<(u32, u32), u128> = BTreeMap::new();
            for order in &orders {
                let draw = |drawer: &&Drawer| {
                    let found = positions.iter().position(|&position| position == drawer.0);
                    found.map(|i| order[i])
                };
                let best = |drawers: &[Drawer]| drawers.iter().max_by_key(draw).map(|d| d.1);
                if let (Some(from), Some(to)) = (best(a), best(b))
                    && from != to
                {
                    *seen.entry((from, to)).or_default() += UNITS / orders.len() as u128;
                }
            }
            let mut ledger = Ledger::default();
            winners(&window(a), &window(b), 1, &mut ledger);
            let sums: BTreeMap<_, _> = ledger.sums().map(|(p, q, n)| ((p, q), n)).collect();
            assert_eq!(sums, seen, "{a:?} {b:?}");
        }
    }
}
