//! Rules without keys: any server may get any request, and who does depends on
//! how busy the servers are, on whose turn it is, or on chance.
//!
//! The table says who may be picked; what changes with each request is in a
//! [`Picker`], which the shell has: one for each thread, or one for a balancer
//! in JavaScript. `RoutingTable::pick` brings the two together.

use super::message::ServerId;
use super::table::{RoutingTable, ServerIndex};
use crate::engine::sort;

/// A rule that looks at no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keyless {
    /// Of two that are drawn, the one with fewer requests in flight for its
    /// weight (Mitzenmacher 2001).
    LeastConnections,
    /// Of two that are drawn, the one where a request is expected to end sooner:
    /// peak EWMA times requests in flight, for its weight (Finagle's).
    ResponseTime,
    /// One after the other, by weights: nginx's smooth round robin.
    RoundRobin,
    /// By chance, in proportion to the weights.
    Random,
}

impl Keyless {
    /// Its name in configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LeastConnections => "least-connections",
            Self::ResponseTime => "response-time",
            Self::RoundRobin => "round-robin",
            Self::Random => "random",
        }
    }
}

/// What picking without a key remembers from one request to the next: which
/// draw comes next, and how long each server has waited for its turn.
#[derive(Clone, Debug)]
pub struct Picker {
    seed: u64,
    n_drawn: u64,
    /// The version of the table that `turns` goes with.
    version: Option<u64>,
    /// By [`ServerIndex`].
    turns: Vec<Turn>,
}

/// How far a server's turn is: what it has saved up since it was picked.
#[derive(Clone, Copy, Debug)]
struct Turn {
    id: ServerId,
    saved: i64,
}

impl Picker {
    /// One that draws what follows from `seed`. Two that go beside each other
    /// should have two seeds.
    pub const fn new(seed: u64) -> Self {
        Self {
            seed,
            n_drawn: 0,
            version: None,
            turns: Vec::new(),
        }
    }

    /// The next draw: `SplitMix64` (Steele, Lea and Flood 2014).
    pub(super) fn draw(&mut self) -> u64 {
        self.n_drawn = self.n_drawn.wrapping_add(1);
        let steps = self.n_drawn.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut x = self.seed.wrapping_add(steps);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// Goes over to `table`, if it is another: those who stay keep what they
    /// have saved up. Takes memory only then.
    pub(super) fn follow(&mut self, table: &RoutingTable) {
        if self.version == Some(table.version()) {
            return;
        }
        self.version = Some(table.version());
        let mut before = core::mem::take(&mut self.turns);
        sort::by_number(&mut before, |turn| turn.id.number());
        let turn = |id| {
            let found = before.binary_search_by_key(&id, |turn| turn.id);
            found.map_or(Turn { id, saved: 0 }, |i| before[i])
        };
        self.turns = table.servers().iter().map(|entry| turn(entry.id)).collect();
    }

    /// What `server` has saved up; it is of the table that was followed.
    pub(super) fn saved(&mut self, server: ServerIndex) -> &mut i64 {
        &mut self.turns[server.as_usize()].saved
    }
}
