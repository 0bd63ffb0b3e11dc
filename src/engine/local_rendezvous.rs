//! Local rendezvous: a ring on which a key does not take the next point but
//! the best of the next eight.
//!
//! After «Local rendezvous hashing» (arXiv 2512.23434), which evens out what
//! neighbouring arcs differ by: with 100 virtual nodes a server's share varies
//! by under 4 % and not by 10 %. Its window there is of distinct servers; here
//! it is of points, each of which draws for itself. A server's chance is then
//! in proportion to its points, whatever the weights beside it, which weighted
//! draws among distinct servers do not give (`docs/design.md` has the figures).

use super::rendezvous::draw;
use super::ring::{Position, Rank, Ring, Share};
use crate::engine::sort;

/// How many points a key chooses from.
pub(super) const WINDOW: usize = 8;

/// The server of the best point of the key's window; `None` on an empty ring.
pub(super) fn owner(ring: &Ring, position: Position) -> Option<Rank> {
    let Some(window) = ring.next_points::<WINDOW>(position) else {
        return first(ring, position, &mut |_| true);
    };
    // Without a branch: random draws would have it mispredicted.
    let mut best = draw(position, window[0].position().bits());
    let mut owner = window[0].server;
    for point in &window[1..] {
        let draw = draw(position, point.position().bits());
        owner = if draw > best { point.server } else { owner };
        best = best.max(draw);
    }
    Some(owner)
}

/// The server of the best point of the key's window that is accepted; behind
/// the window, the first clockwise. A window is the same whoever is accepted, so
/// that a server's failure moves its own keys only.
pub(super) fn first(
    ring: &Ring,
    position: Position,
    accept: &mut dyn FnMut(Rank) -> bool,
) -> Option<Rank> {
    let mut walk = ring.walk(position);
    let mut best: Option<(u64, Rank)> = None;
    for point in walk.by_ref().take(WINDOW) {
        let draw = draw(position, point.position().bits());
        if best.is_none_or(|(best, _)| draw > best) && accept(point.server) {
            best = Some((draw, point.server));
        }
    }
    match best {
        Some((_, server)) => Some(server),
        None => walk
            .map(|point| point.server)
            .find(|&server| accept(server)),
    }
}

/// All servers in the order of the key: by their best draw in its window, then
/// clockwise.
pub(super) fn candidates(ring: &Ring, position: Position) -> Vec<Rank> {
    let mut walk = ring.walk(position);
    let mut window: Vec<(u64, Rank)> = walk
        .by_ref()
        .take(WINDOW)
        .map(|point| (draw(position, point.position().bits()), point.server))
        .collect();
    // Stable, so that points at one position stay in order of names.
    sort::by(&mut window, |a, b| a.0 > b.0);
    let mut seen = vec![false; ring.servers().len()];
    window
        .into_iter()
        .map(|(_, server)| server)
        .chain(walk.map(|point| point.server))
        .filter(|&server| !core::mem::replace(&mut seen[server as usize], true))
        .collect()
}

/// What part of all keys each server owns, by rank, as expected over the draws:
/// every point takes an eighth of each of the eight arcs that end in it or
/// before it. Adds up to exactly the whole.
pub(super) fn shares(ring: &Ring) -> Vec<Share> {
    let arcs: Vec<u128> = ring.arcs().map(|arc| arc.share.units()).collect();
    let n_window = WINDOW.min(arcs.len());
    let mut sums = vec![0_u128; ring.servers().len()];
    // What ends in the window of points before the next one.
    let mut window: u128 = arcs.iter().rev().take(n_window).sum();
    for (i, point) in ring.points().iter().enumerate() {
        let leaving = (i + arcs.len() - n_window) % arcs.len();
        window = window + arcs[i] - arcs[leaving];
        sums[point.server as usize] += window;
    }
    Share::apportioned(&sums)
}
