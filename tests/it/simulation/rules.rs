//! (j) What the other rules choose, computed the slow and obvious way: bounds on
//! loads, spread keys, and rules without keys.

use std::collections::BTreeSet;

use ringway::engine::{
    Keyless, LoadBalancer, Loads, Position, ServerIndex, ServerName, Spread, Term,
};

use super::World;

/// What a balancer was told is in flight, with each trial taken.
struct Busy<'a>(&'a LoadBalancer);

impl Loads for Busy<'_> {
    fn in_flight(&self, server: ServerIndex) -> u32 {
        self.0.in_flight(server)
    }

    fn has_trial(&self, _: ServerIndex, _: Term) -> bool {
        true
    }

    fn latency(&self, server: ServerIndex) -> u64 {
        self.0.latency(server)
    }
}

impl World {
    /// The first candidate of a key below its bound gets it.
    pub(super) fn check_bounds(&self, tier: &BTreeSet<ServerName>, position: u64) {
        if self.lb.settings().load_factor.is_none() {
            return;
        }
        let (table, at) = (self.lb.table(), Some(Position::from_bits(position)));
        let Ok(route) = table.route(at, &Busy(&self.lb), &[]) else {
            assert!(tier.is_empty());
            return;
        };
        let order = self.expected(tier, position);
        let name = &table.server(route.server).server.name;
        match order.iter().find(|name| self.is_below(tier, name)) {
            Some(first) => {
                assert_eq!(name, first, "(j)");
                assert_eq!(route.overflowed, first != &order[0]);
                // An idle owner needs no sum of all.
                let is_idle = self.shadows[name].in_flight == 0 && first == &order[0];
                let bound = route.bound.map(u128::from);
                assert!(bound == Some(self.bound(tier, name)) || is_idle && bound == Some(1));
            }
            // Only who is drained, and does not admit the key, is below.
            None => assert!(tier.contains(name)),
        }
    }

    /// The requests of a spread key go round its first candidates.
    pub(super) fn check_spread(&mut self, tier: &BTreeSet<ServerName>, position: u64) {
        let nth = self.rng.next() as u32;
        let over = 2 + self.rng.below(7) as u8;
        let spread = Some(Spread { nth, over });
        let (table, at) = (self.lb.table(), Some(Position::from_bits(position)));
        let Ok(route) = table.route_spread(at, spread, &Busy(&self.lb), &[]) else {
            assert!(tier.is_empty());
            return;
        };
        let order = self.expected(tier, position);
        let may = |name: &&ServerName| self.is_admitted(name, position);
        let few: Vec<&ServerName> = order.iter().filter(may).take(over.into()).collect();
        let turn = nth as usize % few.len().max(1);
        let mut round = few[turn..].iter().chain(&few[..turn]).copied();
        let is_below = |name: &&ServerName| self.is_below(tier, name);
        let expected = round.find(is_below).or_else(|| order.iter().find(is_below));
        let name = &table.server(route.server).server.name;
        match expected {
            Some(expected) => assert_eq!(name, expected, "(j) {spread:?}"),
            None => assert!(tier.contains(name)),
        }
    }

    /// What can be picked without a key is what can be used, each once; and the
    /// rule is kept.
    pub(super) fn check_keyless(&mut self, tier: &BTreeSet<ServerName>) {
        assert_eq!(
            self.twin.table().servers(),
            self.lb.table().servers(),
            "(j)"
        );
        assert_eq!(self.twin.next_deadline(), self.lb.next_deadline(), "(j)");
        let (mut tried, mut names) = (Vec::new(), BTreeSet::new());
        loop {
            let table = self.twin.table();
            let picked = table.pick(&mut self.picker, &Busy(&self.twin), &tried);
            let Ok(route) = picked else {
                assert_eq!(names, *tier, "(j)");
                break;
            };
            let name = table.server(route.server).server.name.clone();
            let left: Vec<ServerName> = tier.difference(&names).cloned().collect();
            assert!(left.contains(&name), "(j) {name:?}");
            match self.rule {
                Keyless::RoundRobin => {
                    let next = self.next_turn(&left);
                    assert_eq!(Some(&name), next.as_ref(), "(j)");
                }
                // One of two drawn, and not the worse.
                Keyless::LeastConnections if left.len() > 1 => {
                    let load = |name: &ServerName| {
                        f64::from(self.shadows[name].in_flight) / self.capacity(name) as f64
                    };
                    let mut others = left.iter().filter(|other| **other != name);
                    assert!(others.any(|other| load(other) >= load(&name)), "(j)");
                }
                _ => {}
            }
            self.digest_in(name.as_str().as_bytes());
            names.insert(name);
            tried.push(route.server);
        }
    }

    /// Who has saved up most of those `left` has its turn, and pays for all.
    fn next_turn(&mut self, left: &[ServerName]) -> Option<ServerName> {
        let there: BTreeSet<_> = self.shadows.values().map(|shadow| shadow.id).collect();
        self.saved.retain(|id, _| there.contains(id));
        let mut all = 0;
        for name in left {
            let capacity = self.capacity(name) as i64;
            *self.saved.entry(self.shadows[name].id).or_default() += capacity;
            all += capacity;
        }
        let saved = |name: &ServerName| self.saved[&self.shadows[name].id];
        // The first by name of equals.
        let most = left.iter().rev().max_by_key(|name| saved(name))?.clone();
        *self.saved.get_mut(&self.shadows[&most].id)? -= all;
        Some(most)
    }

    /// Its weight times the part of its keys that it takes, in 65,536ths.
    fn capacity(&self, name: &ServerName) -> u128 {
        let parts = self.admits(name) * 65_536.0;
        u128::from(self.shadows[name].server.weight.number()) * parts as u128
    }

    /// The most requests the server may have, given that one more comes.
    fn bound(&self, tier: &BTreeSet<ServerName>, name: &ServerName) -> u128 {
        let Some(factor) = self.lb.settings().load_factor else {
            return u128::MAX;
        };
        let thousandths = (factor.number() * 1000.0).round() as u128;
        let in_flight = |name| u128::from(self.shadows[name].in_flight);
        let n: u128 = tier.iter().map(in_flight).sum();
        let all: u128 = tier.iter().map(|name| self.capacity(name)).sum();
        (thousandths * (n + 1) * self.capacity(name)).div_ceil(1000 * all)
    }

    fn is_below(&self, tier: &BTreeSet<ServerName>, name: &ServerName) -> bool {
        u128::from(self.shadows[name].in_flight) < self.bound(tier, name)
    }
}
