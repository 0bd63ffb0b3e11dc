//! (i) Another balancer goes on where this one was, as in a process that takes
//! over or that starts from a state file: by another clock, over a configuration
//! that may have changed, and with nothing but what the documents say.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ringway::engine::{
    AdminState, Health, LoadBalancer, Memory, Picker, Port, Server, ServerName, Timestamp,
};
use ringway::wire::{FleetState, Handover, ServerSpec};

use super::{Shadow, WEIGHTS, World, random_server, without_keys};
use crate::support::weight;

impl World {
    /// A new process takes over, or one starts after this one has crashed.
    pub(super) fn hand_over(&mut self) {
        let state = self.stored();
        let memories = self.told(&state);
        let before = self.configured.clone();
        if self.rng.chance(40) {
            self.edit_configuration();
        }
        let (servers, drained) = state.over(&self.configured);
        self.check_laid_over(&before, &servers, &drained);
        let mut settings = self.lb.settings().clone();
        if self.rng.chance(20) {
            settings.health_check.enabled = self.rng.chance(70);
        }
        let is_probed = settings.health_check.enabled;
        let now = Timestamp::from_millis((1 << 39) + self.rng.below(1 << 39));
        let made = |settings| LoadBalancer::new(settings, servers.clone(), now);
        let mut twin = made(without_keys(&settings, self.rule)).expect("a small fleet");
        let mut lb = made(settings).expect("a small fleet");
        let is_restart = self.rng.chance(30);
        let was_open = lb.table().is_fail_open();
        let events = if is_restart {
            let events = lb.begin_drained(&drained);
            assert_eq!(twin.begin_drained(&drained), events, "(j)");
            events
        } else {
            let events = lb.resume(&memories, now);
            assert_eq!(twin.resume(&memories, now), events, "(j)");
            check_memories(&memories, &lb.memories(now), is_probed, now);
            events
        };
        self.take_on(&lb, (!is_restart).then_some(is_probed), &drained);
        self.fail_open = was_open;
        (self.lb, self.twin, self.now) = (lb, twin, now);
        self.picker = Picker::new(self.rng.next());
        self.saved.clear();
        self.finished = 0;
        self.probes.clear();
        self.requests.clear();
        self.ended.clear();
        self.fold(events);
        self.check_rings();
    }

    /// What is in the state file, read as it was written.
    fn stored(&self) -> FleetState {
        let roster = self.lb.roster();
        let state = FleetState::between(&self.configured, &roster);
        let read = FleetState::parse(&state.text()).expect("it was just written");
        assert_eq!(read, state);
        let (servers, drained) = read.over(&self.configured);
        let is_drained = |(_, state): &&(Server, AdminState)| *state == AdminState::Draining;
        let names = roster
            .iter()
            .filter(is_drained)
            .map(|(s, _)| s.name.clone());
        assert_eq!(drained, names.collect(), "(i)");
        let there = roster.into_iter().map(|(server, _)| server);
        assert_eq!(servers, there.collect::<Vec<Server>>(), "(i)");
        read
    }

    /// What one process tells the next, as the next one reads it.
    fn told(&self, state: &FleetState) -> Vec<Memory> {
        let memories = self.lb.memories(self.now);
        assert_eq!(self.twin.memories(self.now), memories, "(j)");
        let places = ("a:1".to_owned(), "b:2".to_owned());
        let handover = Handover::new(places, (1, 1), state.clone(), memories);
        let read = Handover::parse(&handover.line()).expect("it was just written");
        assert_eq!(read, handover);
        read.memories()
    }

    fn edit_configuration(&mut self) {
        for spec in std::mem::take(&mut self.configured) {
            let mut server = Server::from(spec);
            match self.rng.below(8) {
                0 => continue,
                1 => server.weight = weight(1 + self.rng.below(WEIGHTS)),
                2 => server.port = Port::new(1 + self.rng.below(9)).expect("a port"),
                _ => {}
            }
            self.configured.push(ServerSpec::from(&server));
        }
        let server = random_server(&mut self.rng);
        if self.configured.iter().all(|spec| spec.name != server.name) {
            self.configured.push(ServerSpec::from(&server));
        }
    }

    /// Whose entry is as it was, is what operators made of it; whose is not, is
    /// what the configuration says.
    fn check_laid_over(
        &self,
        before: &[ServerSpec],
        servers: &[Server],
        drained: &BTreeSet<ServerName>,
    ) {
        let mut expected = BTreeMap::new();
        for spec in &self.configured {
            let made = self.shadows.get(&spec.name).map(|s| s.server.clone());
            let is_as_it_was = before.contains(spec);
            let server = if is_as_it_was {
                made
            } else {
                Some(spec.clone().into())
            };
            expected.extend(server.map(|server| (server.name.clone(), server)));
        }
        for (name, shadow) in &self.shadows {
            let mut specs = before.iter().chain(&self.configured);
            if specs.all(|spec| spec.name != *name) {
                expected.insert(name.clone(), shadow.server.clone());
            }
        }
        let named = servers.iter().map(|s| (s.name.clone(), s.clone()));
        assert_eq!(named.collect::<BTreeMap<_, _>>(), expected, "(i)");
        let is_drained = |name: &&ServerName| {
            let shadow = self.shadows.get(name);
            shadow.is_some_and(|shadow| shadow.state == AdminState::Draining)
        };
        let names = expected.keys().filter(is_drained).cloned();
        assert_eq!(*drained, names.collect(), "(i)");
    }

    /// The shadow goes over to `lb`: which has been told everything, and probes
    /// or not, or nothing at all but who is drained.
    fn take_on(&mut self, lb: &LoadBalancer, told: Option<bool>, drained: &BTreeSet<ServerName>) {
        let before = std::mem::take(&mut self.shadows);
        let had_probed = std::mem::replace(&mut self.has_probed, false);
        for entry in lb.table().servers() {
            let server = entry.server.clone();
            let name = server.name.clone();
            let mut shadow = Shadow::new(entry.id, server, told.is_none());
            let known = before.get(&name).filter(|_| told.is_some());
            if drained.contains(&name) {
                shadow.state = AdminState::Draining;
            }
            if let Some(known) = known {
                assert_eq!(shadow.state, known.state);
            }
            let place = |server: &Server| (server.address.clone(), server.port);
            let stays = |known: &&Shadow| place(&known.server) == place(&shadow.server);
            if let Some(known) = known.filter(stays) {
                shadow.was_first = known.was_first || !had_probed;
                if told == Some(true) {
                    shadow.health = known.health;
                    // Before any probe has ended, all are trusted.
                    self.has_probed |= known.health != Health::Unknown || !shadow.was_first;
                }
                shadow.is_ejected = known.is_ejected;
                shadow.is_on_trial = known.is_on_trial;
                shadow.is_coming = known.is_coming;
                shadow.n_ejections = lb.term(entry.id).number();
                // The place for a request on trial is told from none by its term.
                let was_out = known.is_ejected || known.is_on_trial;
                assert!(shadow.n_ejections > 0 || !was_out, "(i)");
            }
            self.shadows.insert(name, shadow);
        }
    }
}

/// The new balancer knows what the old one has told it, of who is still there.
fn check_memories(told: &[Memory], known: &[Memory], is_probed: bool, now: Timestamp) {
    // What began before the origin of time began with it.
    let ago = |ago: Option<Duration>| ago.map(|ago| ago.min(now.since(Timestamp::ZERO)));
    for memory in known {
        let mut told = told.iter();
        let Some(told) = told.find(|told| told.server.name == memory.server.name) else {
            assert_eq!(memory.state, AdminState::Active);
            continue;
        };
        assert_eq!(memory.state, told.state, "(i)");
        if memory.server.port != told.server.port {
            assert_eq!(memory.health, Health::Unknown, "(i)");
            assert_eq!(memory.ejection, Default::default(), "(i)");
            continue;
        }
        if is_probed {
            assert_eq!(memory.health, told.health, "(i)");
        }
        let (is, was) = (&memory.ejection, &told.ejection);
        assert_eq!((is.count, is.on_trial), (was.count, was.on_trial), "(i)");
        assert_eq!(ago(is.readmitted_ago), ago(was.readmitted_ago), "(i)");
        let day = Duration::from_secs(86_400);
        let soon = |wait: Option<Duration>| wait.map(|wait| wait.min(day));
        assert_eq!(soon(is.ends_in), soon(was.ends_in), "(i)");
    }
}
