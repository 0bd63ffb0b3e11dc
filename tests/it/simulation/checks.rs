//! What must be so after each step, computed the slow and obvious way from
//! what the shadow knows.

use std::collections::BTreeSet;

use ringway::engine::{
    AdminState, Admission, Event, Events, Health, Idle, Loads, Moved, NoServer, Position, Reason,
    Ring, ServerId, ServerIndex, ServerName, ServerSnapshot, Share, Standing, TableServer, Term,
    Verdict,
};
use xxhash_rust::xxh3::xxh3_64;

use super::{Shadow, World};
use crate::support::AllTrialsTaken;

impl World {
    /// An ejection leaves somebody eligible and stays within the permitted part.
    pub(super) fn check_ejections(&mut self, events: &Events, id: ServerId) {
        let is_out = |shadow: &Shadow| shadow.is_ejected || shadow.is_on_trial;
        let n_out = self.shadows.values().filter(|s| is_out(s)).count();
        let percent = usize::from(self.lb.settings().ejection.max_percent);
        for event in events.as_slice() {
            if let Event::Ejected { name, .. } = event {
                assert_eq!(self.shadows[name].id, id);
                let n_allowed = (self.shadows.len() * percent / 100).max(1);
                assert!(self.shadows[name].is_on_trial || n_out < n_allowed);
                assert!(!self.fail_open);
                let mut eligible = self.lb.table().servers().iter();
                assert!(eligible.any(|entry| entry.standing == Standing::Eligible));
            }
        }
    }

    /// (h) A verdict of the present term counts, and enough in a row eject.
    pub(super) fn check_verdict(
        &mut self,
        events: &Events,
        id: ServerId,
        term: Term,
        verdict: Verdict,
    ) {
        let rules = self.lb.settings().ejection.clone();
        let is_out = |shadow: &&Shadow| shadow.is_ejected || shadow.is_on_trial;
        let n_out = self.shadows.values().filter(is_out).count();
        let n_allowed = (self.shadows.len() * usize::from(rules.max_percent) / 100).max(1);
        let mut others = self.shadows.values().filter(|s| s.id != id);
        let is_other = others.any(|s| self.standing(s) == Standing::Eligible);
        let mut shadows = self.shadows.values_mut();
        let Some(shadow) = shadows.find(|s| s.id == id) else {
            return;
        };
        if term.number() != shadow.n_ejections || shadow.is_ejected {
            return;
        }
        shadow.against.push(verdict);
        if verdict == Verdict::Good {
            shadow.against.clear();
        }
        let reached = |verdict, limit: u32| {
            let n = shadow.against.iter().filter(|&&v| v == verdict).count();
            limit > 0 && n >= limit as usize
        };
        let is_enough = verdict != Verdict::Good
            && (shadow.is_on_trial
                || reached(Verdict::Failed, rules.consecutive_5xx)
                || reached(Verdict::ConnectError, rules.consecutive_connect_errors));
        let may = is_other && (shadow.is_on_trial || n_out < n_allowed);
        let mut all = events.as_slice().iter();
        let was_ejected = all.any(|event| matches!(event, Event::Ejected { .. }));
        assert_eq!(was_ejected, is_enough && may, "(h) {:?}", shadow.against);
    }

    /// A trial ends with the first request of its term, and with no other.
    pub(super) fn check_trial(&self, events: &Events, id: ServerId, term: Term, verdict: Verdict) {
        let Some(shadow) = self.shadows.values().find(|s| s.id == id) else {
            assert_eq!(*events, Events::default(), "it has left");
            return;
        };
        let is_late = term.number() != shadow.n_ejections;
        if is_late || shadow.is_ejected {
            assert_eq!(*events, Events::default(), "sent before the ejection");
            return;
        }
        let name = shadow.server.name.clone();
        let was_readmitted = events.as_slice().contains(&Event::Readmitted { name });
        let is_good = verdict == Verdict::Good;
        assert_eq!(was_readmitted, shadow.is_on_trial && is_good);
        if shadow.is_on_trial && !is_good {
            let mut others = self.shadows.values().filter(|s| s.id != id);
            let is_other = others.any(|s| self.standing(s) == Standing::Eligible);
            assert_eq!(!events.as_slice().is_empty(), is_other, "ejected again");
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
    pub(super) fn check_rings(&self) {
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
            assert_eq!(seen.is_on_trial, shadow.is_on_trial);
            assert_eq!(self.lb.term(seen.id).number(), shadow.n_ejections);
            assert_eq!(seen.standing, self.standing(shadow));
            let entry = self.entry(&shadow.server.name);
            let is_out = shadow.is_ejected || shadow.health == Health::Unhealthy;
            assert_eq!(entry.is_out, is_out);
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
        self.check_trials(&tiers);
        self.check_keyless(&tiers);
        for _ in 0..4 {
            let key = self.rng.next().to_le_bytes();
            let key = &key[..self.rng.below(9) as usize];
            let position = xxh3_64(key);
            assert_eq!(Position::of_key(key).bits(), position);
            let table = self.lb.table();
            let route = table.route(Some(Position::from_bits(position)), &AllTrialsTaken, &[]);
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
                Err(NoServer::AllFull) => panic!("nobody has a limit"),
            }
            // One attempt after the other goes down the same list to its end.
            let attempts = |loads: &dyn Fn(&[ServerIndex]) -> Option<ServerIndex>| {
                let mut tried = Vec::new();
                while let Some(server) = loads(&tried) {
                    tried.push(server);
                }
                tried.into_iter().map(name_of).collect::<Vec<ServerName>>()
            };
            let at = Some(Position::from_bits(position));
            let go = |route: Result<ringway::engine::Route, NoServer>| Some(route.ok()?.server);
            let tried = attempts(&|tried| go(table.route(at, &AllTrialsTaken, tried)));
            let mut usual = expected.clone();
            if self.lb.settings().load_factor.is_some() {
                // Who is drained and has given this key away bears what is over.
                usual.extend(
                    tiers
                        .iter()
                        .filter(|name| !expected.contains(name))
                        .cloned(),
                );
            }
            assert_eq!(tried, usual);
            let with_trials = attempts(&|tried| go(table.route(at, &Idle, tried)));
            assert_eq!(with_trials, self.with_trials(&tiers, position, &usual));
            let explained = table.explain(Position::from_bits(position), &AllTrialsTaken, &[]);
            let with = |wanted: fn(Reason) -> bool| -> Vec<ServerName> {
                let found = explained.iter().filter(|c| wanted(c.reason));
                found.map(|candidate| name_of(candidate.server)).collect()
            };
            // Those that do not admit the key come behind those that do, and
            // the first of them is taken when there is nobody else.
            let usual = with(|reason| matches!(reason, Reason::Chosen | Reason::Next));
            let not_yet = with(|reason| matches!(reason, Reason::NotAdmitted { .. }));
            assert_eq!([usual, not_yet].concat(), expected);
            self.check_bounds(&tiers, position);
            self.check_spread(&tiers, position);
            let text = format!("{tried:?}");
            self.digest_in(text.as_bytes());
        }
    }

    /// A server on trial has at most one request at a time, with a key or without.
    fn check_trials(&self, tier: &BTreeSet<ServerName>) {
        let table = self.lb.table();
        let mut free = Vec::new();
        for (shadow, index) in self.shadows.values().zip(self.indexes()) {
            let has_trial = self.lb.has_trial(index, self.lb.term(shadow.id));
            assert_eq!(has_trial, shadow.in_term > 0);
            if !has_trial {
                free.push(&shadow.server.name);
            }
        }
        for route in [None, Some(Position::from_bits(self.digest))] {
            let Ok(route) = table.route(route, &self.lb, &[]) else {
                continue;
            };
            let entry = table.server(route.server);
            let name = &entry.server.name;
            assert_eq!(route.term, entry.term);
            let is_trial = entry.standing == Standing::OnTrial && !tier.contains(name);
            assert_eq!(route.is_trial, is_trial);
            assert!(tier.contains(name) || is_trial && free.contains(&name));
        }
    }

    fn indexes(&self) -> Vec<ServerIndex> {
        let table = self.lb.table();
        let mut all = [table.members(false), table.members(true)].concat();
        all.sort();
        all
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
            with(false, &|s| s == Standing::OnTrial),
            with(true, &|s| s == Standing::OnTrial),
        ];
        if self.lb.settings().fail_open {
            tiers.push(with(false, &|s| s != Standing::Draining));
            tiers.push(with(true, &|s| s != Standing::Draining));
        }
        let found = tiers.iter().position(|tier| !tier.is_empty());
        assert_eq!(self.fail_open, found.is_some_and(|i| i >= 6));
        let Some(i) = found else {
            return BTreeSet::new();
        };
        let mut tier = tiers.swap_remove(i);
        if i < 6 {
            // Beside them, who is drained and has keys left.
            let leaving = with(i % 2 == 1, &|s| s == Standing::Draining);
            tier.extend(leaving.into_iter().filter(|name| self.admits(name) > 0.0));
        }
        tier
    }

    /// The servers tried one after the other where nobody on trial has a request:
    /// one of those comes as soon as no usable one is before it in the key's
    /// order, and otherwise when nobody else is left. `usual` has the usable ones.
    fn with_trials(
        &self,
        tier: &BTreeSet<ServerName>,
        position: u64,
        usual: &[ServerName],
    ) -> Vec<ServerName> {
        let is_backup = |name: &ServerName| self.shadows[name].server.backup;
        let uses_backup = tier.first().is_some_and(is_backup);
        let mut waiting: BTreeSet<ServerName> = self
            .shadows
            .values()
            .filter(|s| self.standing(s) == Standing::OnTrial)
            .map(|s| s.server.name.clone())
            .filter(|name| !tier.contains(name) && (uses_backup || !is_backup(name)))
            .collect();
        let (mut left, mut order) = (usual.iter(), Vec::new());
        loop {
            let primaries = waiting.iter().filter(|name| !is_backup(name));
            let primaries: BTreeSet<ServerName> = primaries.cloned().collect();
            let first = if uses_backup && !primaries.is_empty() {
                self.clockwise(&primaries, position).into_iter().next()
            } else {
                let admitting = tier.iter().filter(|name| self.is_admitted(name, position));
                let all = admitting.chain(&waiting).cloned().collect();
                let first = self.clockwise(&all, position).into_iter().next();
                first.filter(|name| waiting.contains(name))
            };
            let next = first
                .or_else(|| left.next().cloned())
                .or_else(|| waiting.first().cloned());
            let Some(next) = next else {
                return order;
            };
            waiting.remove(&next);
            order.push(next);
        }
    }

    /// What the table has of the server of this name.
    pub(super) fn entry(&self, name: &ServerName) -> &TableServer {
        let mut entries = self.lb.table().servers().iter();
        let found = entries.find(|entry| entry.server.name == *name);
        found.expect("it is there")
    }

    /// What part of its keys the server of this name takes.
    pub(super) fn admits(&self, name: &ServerName) -> f64 {
        self.entry(name).admission.fraction()
    }

    /// Whether that part has the key at `position`, as docs/algorithms.md has it.
    pub(super) fn is_admitted(&self, name: &ServerName, position: u64) -> bool {
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
    pub(super) fn expected(&self, tier: &BTreeSet<ServerName>, position: u64) -> Vec<ServerName> {
        let admitted = |name: &ServerName| self.is_admitted(name, position);
        let (now, later): (Vec<ServerName>, Vec<ServerName>) = self
            .clockwise(tier, position)
            .into_iter()
            .partition(admitted);
        let stays = |name: &ServerName| self.shadows[name].state == AdminState::Active;
        now.into_iter()
            .chain(later.into_iter().filter(stays))
            .collect()
    }

    fn clockwise(&self, servers: &BTreeSet<ServerName>, position: u64) -> Vec<ServerName> {
        let n = self.lb.settings().virtual_nodes.number();
        let mut first: Vec<(u64, &ServerName)> = servers
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
        first.into_iter().map(|(_, name)| name.clone()).collect()
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
        } else if shadow.is_on_trial {
            Standing::OnTrial
        } else {
            Standing::Eligible
        }
    }

    fn is_anybody(&self, standing: Standing) -> bool {
        self.shadows.values().any(|s| self.standing(s) == standing)
    }
}
