//! A stretch of the ring in equal cells, for drawing: a ring of a hundred
//! thousand points has more of them than a picture has pixels.

use super::{Point, Position, Rank, Ring, Share};
use crate::engine::hash::PointHasher;

/// A stretch of the ring, clockwise from its first position on.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Its first position.
    from: Position,
    /// Its length: 1 unit to [`Share::WHOLE`].
    length: Share,
}

impl Window {
    /// The window of so many units of 2^-64 from `from` on; at least 1, at most
    /// the whole ring.
    pub fn new(from: Position, units: u128) -> Self {
        Self {
            from,
            length: Share(units.clamp(1, Share::WHOLE.0)),
        }
    }

    /// How far into the window `position` is, if it is inside.
    fn offset(self, position: Position) -> Option<u128> {
        let offset = u128::from(position.0.wrapping_sub(self.from.0));
        (offset < self.length.0).then_some(offset)
    }
}

impl Ring {
    /// How many points stand in each of `n` equal cells of `window`.
    pub fn density(&self, window: Window, n: usize) -> Vec<f32> {
        let mut cells = vec![0.0; n];
        for offset in self
            .points_in(window)
            .filter_map(|point| window.offset(point.position()))
        {
            cells[(offset * n as u128 / window.length.0) as usize] += 1.0;
        }
        cells
    }

    /// What part of each of `n` equal cells of `window` the server of this rank
    /// owns, in `0..=1`.
    pub fn coverage(&self, server: Rank, window: Window, n: usize) -> Vec<f32> {
        let mut cells = vec![0.0; n];
        // The arc that ends before the `end`-th unit of the window.
        let mut from = 0;
        let mut own = |end: u128, owner: Rank| {
            if owner == server && end > from {
                cover(&mut cells, window.length, from, end);
            }
            from = end;
        };
        for point in self.points_in(window) {
            if let Some(offset) = window.offset(point.position()) {
                own(offset + 1, point.server);
            }
        }
        // What is left belongs to the first point behind the window.
        let last = Position(window.from.0.wrapping_add((window.length.0 - 1) as u64));
        if let Some(owner) = self.owner(Position(last.0.wrapping_add(1))) {
            own(window.length.0, owner);
        }
        cells
    }

    /// Which of its server's virtual nodes this point is, from 0; `None` where
    /// points are not of our making.
    pub fn virtual_node(&self, point: Point) -> Option<u32> {
        let server = self.servers.get(point.server as usize)?;
        let mut hasher = PointHasher::new(server.name.as_str());
        let n = server.weight.number() * self.virtual_nodes.number();
        (0..n).find(|&i| hasher.point(i) == point.position().0)
    }

    /// The points from the window's first on, until one is behind it.
    fn points_in(&self, window: Window) -> impl Iterator<Item = &Point> {
        self.walk(window.from)
            .take_while(move |point| window.offset(point.position()).is_some())
    }
}

/// Adds the units `from..end` of a window to the cells they lie in.
fn cover(cells: &mut [f32], length: Share, from: u128, end: u128) {
    let place = |units: u128| units as f64 * cells.len() as f64 / length.0 as f64;
    let (from, end) = (place(from), place(end));
    let last = cells.len() - 1;
    let (first, upto) = ((from as usize).min(last), (end as usize).min(last));
    if first == upto {
        cells[first] += (end - from) as f32;
        return;
    }
    cells[first] += (first as f64 + 1.0 - from) as f32;
    for cell in &mut cells[first + 1..upto] {
        *cell += 1.0;
    }
    cells[upto] += (end - upto as f64) as f32;
}
