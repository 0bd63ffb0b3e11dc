//! What must be so after each step, computed the slow and obvious way from
//! what the shadow knows.

use std::collections::BTreeSet;

use ringway::engine::{
    AdminState, Admission, Event, Events, Health, Idle, Moved, NoServer, Position, Reason, Ring,
    ServerId, ServerIndex, ServerName, ServerSnapshot, Share, Standing,
};
use xxhash_rust::xxh3::xxh3_64;

use super::{Shadow, World};

impl World {
    /// An ejection leaves somebody eligible and stays within the permitted part.
    pub(super) fn check_ejections(&mut self, events: &Events, id: ServerId) {
        let n_ejected = self.shadows.values().filter(|s| s.is_ejected).count();
        let percent = usize::from(self.lb.settings().ejection.max_percent);
        for event in events.as_slice() {
            if let Event::Ejected { name, .. } = event {
                assert_eq!(self.shadows[name].id, id);
                assert!(n_ejected < (self.shadows.len() * percent / 100).max(1));
                assert!(!self.fail_open);
                let mut eligible = self.lb.table().servers().iter();
                assert!(eligible.any(|entry| entry.standing == Standing::Eligible));
            }
        }
    }

    /// (d) What moved between the rings of before and those of now.
    pub(super) fn check_moved(
        &self,
        before: &[Ring; 2],
        name: &ServerName,
        may_gain: bool,
        may_lose: bool,
    ) {
        for (before, after) in before.iter().zip(self.rings()) {
            let moved = Moved::between(before, &after);
            let sum: Share = moved.flows.iter().map(|flow| flow.share).sum();
            for flow in &moved.flows {
                assert!(
                    may_gain && flow.to == *name || may_lose && flow.from == *name,
                    "(d) {flow:?} when {name:?} changed"
                );
            }
            let is_whole = before.points().is_empty() != after.points().is_empty();
            assert_eq!(moved.total, if is_whole { Share::WHOLE } else { sum });
        }
        self.check_rings();
    }

    /// (d) for a reload: no key moves between servers that are as they were.
    pub(super) fn check_reload_moved(&self, before: &[Ring; 2], servers: &[ServerSnapshot]) {
        let is_untouched = |name: &ServerName| {
            let was = servers.iter().find(|s| s.server.name == *name);
            let is = self.shadows.get(name).map(|shadow| &shadow.server);
            was.zip(is).is_some_and(|(was, is)| {
                was.server.weight == is.weight && was.server.backup == is.backup
            })
        };
        for (before, after) in before.iter().zip(self.rings()) {
            for flow in Moved::between(before, &after).flows {
                assert!(
                    !(is_untouched(&flow.from) && is_untouched(&flow.to)),
                    "(d) {flow:?} by a reload"
                );
            }
        }
        self.check_rings();
    }

    pub(super) fn check(&mut self) {
        self.check_snapshot();
        self.check_routes();
    }

    /// (c) and (e).
    fn check_rings(&self) {
        for (ring, is_backup) in self.rings().iter().zip([false, true]) {
            let servers = self
                .shadows
                .values()
                .filter(|shadow| shadow.server.backup == is_backup)
                .map(|shadow| (shadow.server.name.clone(), shadow.server.weight))
                .collect();
            let at_once = Ring::new(ring.virtual_nodes(), &servers).expect("a small ring");
            assert_eq!(*ring, at_once, "(e)");
            let whole = if servers.is_empty() {
                Share::NONE
            } else {
                Share::WHOLE
            };
            assert_eq!(ring.shares().into_iter().sum::<Share>(), whole, "(c)");
            assert_eq!(
                ring.arcs().map(|arc| arc.share).sum::<Share>(),
                whole,
                "(c)"
            );
        }
    }

    /// (b) and (g).
    fn check_snapshot(&self) {
        let snapshot = self.lb.snapshot(self.now);
        assert_eq!(snapshot.servers.len(), self.shadows.len());
        for (seen, shadow) in snapshot.servers.iter().zip(self.shadows.values()) {
            assert_eq!(seen.id, shadow.id);
            assert_eq!(seen.server, shadow.server);
            assert_eq!(seen.state, shadow.state);
            assert_eq!(seen.health, shadow.health);
            assert_eq!(seen.ejected_until.is_some(), shadow.is_ejected);
            assert_eq!(seen.standing, self.standing(shadow));
            let (all, none) = (Admission::FULL, Admission::NONE);
            match seen.standing {
                Standing::Eligible => {
                    assert_eq!(seen.admission < all, shadow.is_coming);
                    assert!(seen.admission >= Admission::FIRST);
                }
                Standing::Draining if self.lb.settings().drain.is_zero() => {
                    assert_eq!(seen.admission, none);
                }
                Standing::Draining => {}
                _ => assert_eq!(seen.admission, none),
            }
            assert_eq!(seen.in_flight, shadow.in_flight, "(b)");
            assert_eq!(seen.last_probe.is_some(), !shadow.results.is_empty());
        }
        assert_eq!(snapshot.total.requests(), self.finished);
        assert_eq!(snapshot.fail_open, self.fail_open);
    }

    /// (a) Some keys, and where they go.
    fn check_routes(&mut self) {
        let tiers = self.tiers();
        for _ in 0..4 {
            let key = self.rng.next().to_le_bytes();
            let key = &key[..self.rng.below(9) as usize];
            let position = xxh3_64(key);
            assert_eq!(Position::of_key(key).bits(), position);
            let table = self.lb.table();
            let route = table.route(Some(Position::from_bits(position)), &Idle, &[]);
            let expected = self.expected(&tiers, position);
            let name_of = |index: ServerIndex| table.server(index).server.name.clone();
            match route {
                Ok(route) => {
                    assert_eq!(Some(&name_of(route.server)), expected.first(), "(a)");
                    assert_eq!(route.fail_open, self.fail_open);
                    let standing = table.server(route.server).standing;
                    let is_anybody = self.is_anybody(Standing::Eligible);
                    let is_leaving = is_anybody && standing == Standing::Draining;
                    assert_eq!(
                        standing == Standing::Eligible || is_leaving,
                        is_anybody,
                        "(a)"
                    );
                }
                Err(NoServer::Empty) => assert!(self.shadows.is_empty()),
                Err(NoServer::NoneEligible) => {
                    assert!(expected.is_empty() && !self.shadows.is_empty());
                }
                Err(NoServer::AllTried) => panic!("nobody was tried"),
            }
            // One attempt after the other goes down the same list to its end.
            let mut tried = Vec::new();
            while let Ok(route) = table.route(Some(Position::from_bits(position)), &Idle, &tried) {
                tried.push(route.server);
            }
            let tried: Vec<ServerName> = tried.into_iter().map(name_of).collect();
            assert_eq!(tried, expected);
            let explained = table.explain(Position::from_bits(position), &Idle, &[]);
            let with = |wanted: fn(Reason) -> bool| -> Vec<ServerName> {
                let found = explained.iter().filter(|c| wanted(c.reason));
                found.map(|candidate| name_of(candidate.server)).collect()
            };
            // Those that do not admit the key come behind those that do, and
            // the first of them is taken when there is nobody else.
            let usual = with(|reason| matches!(reason, Reason::Chosen | Reason::Next));
            let not_yet = with(|reason| matches!(reason, Reason::NotAdmitted { .. }));
            assert_eq!([usual, not_yet].concat(), expected);
            let text = format!("{tried:?}");
            self.digest_in(text.as_bytes());
        }
    }

    /// The servers that may be used now, as the specification says it.
    fn tiers(&self) -> BTreeSet<ServerName> {
        let with = |is_backup: bool, wanted: &dyn Fn(Standing) -> bool| -> BTreeSet<ServerName> {
            self.shadows
                .values()
                .filter(|s| s.server.backup == is_backup && wanted(self.standing(s)))
                .map(|s| s.server.name.clone())
                .collect()
        };
        let is_eligible = |s| s == Standing::Eligible;
        let is_unproven = |s| s == Standing::Unproven;
        let mut tiers = vec![
            with(false, &is_eligible),
            with(true, &is_eligible),
            with(false, &is_unproven),
            with(true, &is_unproven),
        ];
        if self.lb.settings().fail_open {
            tiers.push(with(false, &|s| s != Standing::Draining));
            tiers.push(with(true, &|s| s != Standing::Draining));
        }
        let found = tiers.iter().position(|tier| !tier.is_empty());
        assert_eq!(self.fail_open, found.is_some_and(|i| i >= 4));
        let Some(i) = found else {
            return BTreeSet::new();
        };
        let mut tier = tiers.swap_remove(i);
        if i < 4 {
            // Beside them, who is drained and has keys left.
            let leaving = with(i % 2 == 1, &|s| s == Standing::Draining);
            tier.extend(leaving.into_iter().filter(|name| self.admits(name) > 0.0));
        }
        tier
    }

    /// What part of its keys the server of this name takes.
    fn admits(&self, name: &ServerName) -> f64 {
        let mut entries = self.lb.table().servers().iter();
        let found = entries.find(|entry| entry.server.name == *name);
        found.expect("it is there").admission.fraction()
    }

    /// Whether that part has the key at `position`, as docs/algorithms.md has it.
    fn is_admitted(&self, name: &ServerName, position: u64) -> bool {
        let bytes = [name.as_str().as_bytes(), b"\0\xff\xff\xff\xff"].concat();
        let mut x = position ^ xxh3_64(&bytes);
        x = (x ^ (x >> 27)).wrapping_mul(0x3c79_ac49_2ba7_b653);
        x = (x ^ (x >> 33)).wrapping_mul(0x1c69_b3f7_4ac4_ae35);
        x ^= x >> 27;
        // In 65,536ths, which a fraction holds exactly.
        ((x >> 48) as f64) < self.admits(name) * 65_536.0
    }

    /// Those of `tier` clockwise from `position`: by how far on their nearest
    /// point is. (A walk past the others is a walk without them.) Who does not
    /// admit the key comes last, or not at all while it is drained.
    fn expected(&self, tier: &BTreeSet<ServerName>, position: u64) -> Vec<ServerName> {
        let n = self.lb.settings().virtual_nodes.number();
        let mut first: Vec<(u64, &ServerName)> = tier
            .iter()
            .map(|name| {
                let weight = self.shadows[name].server.weight.number();
                let points = &self.shadows[name].points[..(weight * n) as usize];
                let distances = points.iter().map(|point| point.wrapping_sub(position));
                let distance = distances.min().expect("at least one point");
                (distance, name)
            })
            .collect();
        first.sort();
        let admitted = |name: &ServerName| self.is_admitted(name, position);
        let (now, later): (Vec<&ServerName>, Vec<&ServerName>) = first
            .into_iter()
            .map(|(_, name)| name)
            .partition(|name| admitted(name));
        let stays = |name: &&ServerName| self.shadows[*name].state == AdminState::Active;
        now.into_iter()
            .chain(later.into_iter().filter(stays))
            .cloned()
            .collect()
    }

    pub(super) fn standing(&self, shadow: &Shadow) -> Standing {
        if shadow.state == AdminState::Draining {
            Standing::Draining
        } else if shadow.is_ejected {
            Standing::Ejected
        } else if shadow.health == Health::Unhealthy {
            Standing::Unhealthy
        } else if shadow.health == Health::Unknown && self.has_probed && !shadow.was_first {
            Standing::Unproven
        } else {
            Standing::Eligible
        }
    }

    fn is_anybody(&self, standing: Standing) -> bool {
        self.shadows.values().any(|s| self.standing(s) == standing)
    }
}
