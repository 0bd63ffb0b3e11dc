//! Counts with the least on top: a binary heap whose entries know their places.

use super::Entry;

/// The counts of all entries.
#[derive(Clone, Debug)]
pub(super) struct Heap {
    nodes: Vec<Node>,
    capacity: usize,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    count: u64,
    entry: u16,
}

impl Heap {
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self {
            nodes: Vec::with_capacity(capacity),
            capacity,
        }
    }

    /// How many counts there may be.
    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// The count at `place`.
    #[inline]
    pub(super) fn count(&self, place: u16) -> u64 {
        self.nodes.get(usize::from(place)).map_or(0, |n| n.count)
    }

    /// Whose count stands at `place`; 0 is the top.
    #[inline]
    pub(super) fn entry(&self, place: u16) -> u16 {
        self.nodes.get(usize::from(place)).map_or(0, |n| n.entry)
    }

    /// The least count, once there are as many as there may be; until then a
    /// key that is not here was never counted.
    pub(super) fn least_when_full(&self) -> u64 {
        match self.nodes.first() {
            Some(least) if self.nodes.len() == self.capacity => least.count,
            _ => 0,
        }
    }

    /// Takes in an entry whose count is 0. Nothing is less, so it goes up as far
    /// as there is anything above 0.
    pub(super) fn push(&mut self, entry: u16, entries: &mut [Entry]) {
        let mut at = self.nodes.len();
        self.nodes.push(Node { count: 0, entry });
        while at > 0 {
            let parent = (at - 1) / 2;
            if self.nodes[parent].count == 0 {
                break;
            }
            self.nodes[at] = self.nodes[parent];
            entries[usize::from(self.nodes[at].entry)].place = at as u16;
            at = parent;
        }
        self.nodes[at] = Node { count: 0, entry };
        entries[usize::from(entry)].place = at as u16;
    }

    /// Adds to the count at `place`; says where it stands then.
    #[inline]
    pub(super) fn raise(&mut self, place: u16, by: u64, entries: &mut [Entry]) -> u16 {
        let mut at = usize::from(place);
        let Some(node) = self.nodes.get_mut(at) else {
            return place;
        };
        node.count = node.count.saturating_add(by);
        let node = *node;
        loop {
            // The lesser child; most often the count is a leaf, or still less.
            let left = 2 * at + 1;
            let Some(mut child) = self.nodes.get(left).copied() else {
                break;
            };
            let mut to = left;
            if let Some(right) = self.nodes.get(left + 1)
                && right.count < child.count
            {
                (child, to) = (*right, left + 1);
            }
            if node.count <= child.count {
                break;
            }
            self.nodes[at] = child;
            entries[usize::from(child.entry)].place = at as u16;
            at = to;
        }
        self.nodes[at] = node;
        entries[usize::from(node.entry)].place = at as u16;
        at as u16
    }

    /// Halves all counts so many times, rounded down, which keeps their order.
    pub(super) fn halve(&mut self, times: u32) {
        for node in &mut self.nodes {
            node.count >>= times;
        }
    }

    /// How many bytes it holds.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.nodes.capacity() * size_of::<Node>()
    }

    /// Panics unless no count is less than its parent and all places are right.
    #[cfg(test)]
    pub(super) fn check(&self, entries: &[Entry]) {
        assert_eq!(self.nodes.len(), entries.len());
        for (at, node) in self.nodes.iter().enumerate() {
            assert_eq!(usize::from(entries[usize::from(node.entry)].place), at);
            assert!(at == 0 || self.nodes[(at - 1) / 2].count <= node.count);
        }
    }
}
