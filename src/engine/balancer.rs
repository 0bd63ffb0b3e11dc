//! The control half: the state machine that all shells drive.
//!
//! The only place where a fact about a server changes what is routed, and the
//! only place that makes events. Commands and observations go in with the
//! time; events, a next deadline and a new [`RoutingTable`] come out.

use core::time::Duration;
use std::sync::Arc;

use super::admission::{AdmissionState, Turn, Wanted};
use super::hash;
use super::health::{self, EjectionState, ProbeTally, Standing};
use super::keyless::Keyless;
use super::layout::{Difference, Layout};
use super::message::{Command, CommandError, Event, Events, Observation, ServerId, Term};
use super::metrics::Traffic;
use super::peak_ewma::PeakEwma;
use super::server::{AdminState, Server, ServerName, ServerNumber, Weight};
use super::settings::Settings;
use super::snapshot::ProbeRecord;
use super::table::{Loads, RoutingTable, ServerIndex, TableServer};
use super::time::Timestamp;
use super::timers::{Timer, Timers};

/// The shortest wait there is: whatever the settings, a deadline that is set
/// at some time lies after it, so that the shell never spins.
const TICK: Duration = Duration::from_nanos(1);

/// How far time may run backwards and still stand still: reports from several
/// threads arrive a little out of order. Anything more is a clock that was set
/// back, and all deadlines go back with it.
const DISORDER_MAX: Duration = Duration::from_secs(1);

mod ejecting;
mod layouts;
mod memory;
mod probing;
mod reload;
mod shown;
pub use memory::Memory;

mod members;
use members::{Members, Names};

/// The fleet and everything known about it.
#[derive(Clone, Debug)]
pub struct LoadBalancer {
    settings: Settings,
    servers: Members,
    names: Names,
    next_id: u64,
    primary: Arc<Layout>,
    backup: Arc<Layout>,
    table: Arc<RoutingTable>,
    timers: Timers,
    /// The latest time heard of since the clock was last set back.
    latest: Timestamp,
    /// Whether any probe has ever finished: before, nobody is held to be
    /// unproven, since nobody can be proven.
    has_probed: bool,
    traffic: Traffic,
}

/// One server and what is known about it.
#[derive(Clone, Debug)]
struct Member {
    id: ServerId,
    server: Server,
    /// The number it has or was given.
    number: ServerNumber,
    /// Lower for those before it: the order of the configuration, then that of
    /// joining.
    order: u64,
    state: AdminState,
    probes: ProbeTally,
    ejection: EjectionState,
    admission: AdmissionState,
    /// It was there when the balancer started, or probing was switched on: it
    /// gets its keys before its first probe has finished, or they would all
    /// move twice then.
    was_first: bool,
    probe: ProbeSchedule,
    in_flight: u32,
    /// How long it takes to answer, where the rule goes by that.
    latency: PeakEwma,
    /// Of these, the ones sent in its present term.
    in_term: u32,
    traffic: Traffic,
    last_probe: Option<ProbeRecord>,
}

/// When a server is probed.
#[derive(Clone, Debug, Default)]
struct ProbeSchedule {
    /// The number of the last probe.
    round: u64,
    /// When that one was due, if it has not finished.
    outstanding_since: Option<Timestamp>,
    /// When the next one is due, if servers are probed.
    next: Option<Timestamp>,
    /// Whether traffic suspects the server, and the next result decides.
    is_suspected: bool,
}

impl LoadBalancer {
    /// A balancer over `servers`, all active, of unknown health, and (if
    /// health checks are on) with a probe due at `now`.
    ///
    /// # Errors
    /// When two servers share a name, or the ring would be too large.
    pub fn new(
        settings: Settings,
        servers: Vec<Server>,
        now: Timestamp,
    ) -> Result<Self, CommandError> {
        let numbers = layouts::numbers(&servers)?;
        let [primary, backup] = layouts::of(&settings, &servers, &numbers)?;
        let table = RoutingTable::new(
            0,
            &settings,
            Vec::new(),
            Arc::clone(&primary),
            Arc::clone(&backup),
        );
        let mut balancer = Self {
            settings,
            servers: Members::default(),
            names: Names::default(),
            next_id: 0,
            primary,
            backup,
            table: Arc::new(table),
            timers: Timers::default(),
            latest: now,
            has_probed: false,
            traffic: Traffic::default(),
        };
        for (server, number) in servers.into_iter().zip(numbers) {
            balancer.enlist(server, number, true, now);
        }
        balancer.publish(&mut Events::default());
        Ok(balancer)
    }

    /// Carries out what an operator asks.
    ///
    /// # Errors
    /// When it cannot be done; the state is then as it was.
    pub fn apply(&mut self, command: Command, now: Timestamp) -> Result<Events, CommandError> {
        self.notice(now);
        let mut events = Events::default();
        match command {
            Command::AddServer(server) => self.add(server, now, &mut events),
            Command::RemoveServer(name) => self.remove(&name, &mut events),
            Command::SetWeight(name, weight) => self.set_weight(&name, weight, &mut events),
            Command::SetState(name, state) => self.set_state(&name, state, &mut events),
        }?;
        Ok(events)
    }

    /// Takes note of what a shell saw.
    pub fn observe(&mut self, observation: Observation, now: Timestamp) -> Events {
        self.notice(now);
        let mut events = Events::default();
        match observation {
            Observation::ProbeFinished {
                probe,
                outcome,
                took,
            } => {
                let at = now;
                self.finish_probe(probe, ProbeRecord { at, outcome, took }, &mut events);
            }
            Observation::RequestStarted { server } => {
                if let Some(member) = self.member(server) {
                    member.in_flight = member.in_flight.saturating_add(1);
                    member.in_term = member.in_term.saturating_add(1);
                }
            }
            Observation::RequestFinished {
                server,
                term,
                outcome,
                latency,
            } => {
                self.traffic.record(outcome, latency, now);
                let is_timed = self.table.keyless() == Some(Keyless::ResponseTime);
                if let Some(member) = self.member(server) {
                    member.in_flight = member.in_flight.saturating_sub(1);
                    if member.ejection.term() == term {
                        member.in_term = member.in_term.saturating_sub(1);
                    }
                    member.traffic.record(outcome, latency, now);
                    if is_timed {
                        member.latency = member.latency.with(latency, outcome.is_error(), now);
                    }
                }
                self.judge(server, term, outcome.into(), now, &mut events);
            }
            Observation::Judged {
                server,
                term,
                verdict,
            } => self.judge(server, term, verdict, now, &mut events),
            Observation::Suspected { server } => self.suspect(server, now),
            Observation::Counted {
                server,
                counters,
                in_flight,
            } => {
                self.traffic.add(&counters, now);
                if let Some(member) = server.and_then(|id| self.member(id)) {
                    member.in_flight = in_flight;
                    member.in_term = member.in_term.min(in_flight);
                    member.traffic.add(&counters, now);
                }
            }
        }
        events
    }

    /// Fires what is due at `now`: probes to send, ejections that end. The next
    /// deadline is later than `now` afterwards.
    pub fn advance(&mut self, now: Timestamp) -> Events {
        self.notice(now);
        let mut events = Events::default();
        let mut is_changed = false;
        while let Some((id, timer)) = self.timers.pop_due(now) {
            match timer {
                Timer::Probe => self.start_probe(id, now, &mut events),
                Timer::Admit => is_changed = true,
                Timer::Trial => is_changed |= self.begin_trial(id, &mut events),
            }
        }
        if is_changed {
            self.publish(&mut events);
        }
        events
    }

    /// When [`Self::advance`] has something to do next.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.timers.next()
    }

    /// The term in which a request is sent to `server` now.
    pub fn term(&self, server: ServerId) -> Term {
        let name = self.names.get(server);
        let member = name.and_then(|name| self.servers.get(name));
        member.map_or_else(Term::default, |member| member.ejection.term())
    }

    /// The routing table of this moment.
    pub fn table(&self) -> &Arc<RoutingTable> {
        &self.table
    }

    /// The settings it was made with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Takes note of the time. When the clock was set back, so is every
    /// deadline: otherwise nothing would be probed or re-admitted until time
    /// had caught up.
    fn notice(&mut self, now: Timestamp) {
        let back = self.latest.since(now);
        if back <= DISORDER_MAX {
            self.latest = self.latest.max(now);
            return;
        }
        self.latest = now;
        self.timers = Timers::default();
        for member in self.servers.values_mut() {
            member.probe.set_back(back);
            member.ejection.set_back(back);
            member.admission.set_back(back);
            member.latency.set_back(back);
            if let Some(at) = member.probe.next {
                self.timers.set(at, member.id, Timer::Probe);
            }
            if let Some(at) = member.ejection.until() {
                self.timers.set(at, member.id, Timer::Trial);
            }
            if let Some(at) = member.admission.due() {
                self.timers.set(at, member.id, Timer::Admit);
            }
        }
    }

    fn add(
        &mut self,
        server: Server,
        now: Timestamp,
        events: &mut Events,
    ) -> Result<(), CommandError> {
        if self.servers.contains_key(&server.name) {
            return Err(CommandError::DuplicateName(server.name));
        }
        let number = self.number_for(&server)?;
        let layout = self.relaid(Difference::Added(&server), number, server.backup)?;
        *self.layout_mut(server.backup) = layout;
        let id = self.enlist(server.clone(), number, false, now);
        events.0.push(Event::ServerAdded { id, server });
        self.publish(events);
        Ok(())
    }

    fn remove(&mut self, name: &ServerName, events: &mut Events) -> Result<(), CommandError> {
        let member = self.find(name)?;
        let (is_backup, number) = (member.server.backup, member.number);
        let layout = self.relaid(Difference::Removed(name), number, is_backup)?;
        *self.layout_mut(is_backup) = layout;
        self.dismiss(name, events);
        self.publish(events);
        Ok(())
    }

    fn set_weight(
        &mut self,
        name: &ServerName,
        weight: Weight,
        events: &mut Events,
    ) -> Result<(), CommandError> {
        let member = self.find(name)?;
        let (mut server, number) = (member.server.clone(), member.number);
        if server.weight == weight {
            return Ok(());
        }
        server.weight = weight;
        let layout = self.relaid(Difference::Reweighed(&server), number, server.backup)?;
        *self.layout_mut(server.backup) = layout;
        self.find(name)?.server.weight = weight;
        events.0.push(Event::WeightChanged {
            name: name.clone(),
            weight,
        });
        self.publish(events);
        Ok(())
    }

    fn set_state(
        &mut self,
        name: &ServerName,
        state: AdminState,
        events: &mut Events,
    ) -> Result<(), CommandError> {
        let member = self.find(name)?;
        if member.state == state {
            return Ok(());
        }
        member.state = state;
        events.0.push(Event::StateChanged {
            name: name.clone(),
            state,
        });
        self.publish(events);
        Ok(())
    }

    /// Adds a server whose points are on the ring, and schedules its first probe.
    fn enlist(
        &mut self,
        server: Server,
        number: ServerNumber,
        was_first: bool,
        now: Timestamp,
    ) -> ServerId {
        let id = ServerId(self.next_id);
        self.next_id += 1;
        let name = server.name.clone();
        let mut probe = ProbeSchedule::default();
        if self.settings.health_check.enabled {
            probe.next = Some(now);
            self.timers.set(now, id, Timer::Probe);
        }
        let member = Member {
            id,
            server,
            number,
            order: id.0,
            state: AdminState::Active,
            probes: ProbeTally::default(),
            ejection: EjectionState::default(),
            admission: AdmissionState::new(was_first),
            was_first,
            probe,
            in_flight: 0,
            latency: PeakEwma::UNKNOWN,
            in_term: 0,
            traffic: Traffic::default(),
            last_probe: None,
        };
        self.names.insert(id, name);
        self.servers.insert(member);
        id
    }

    /// Forgets a server whose points are off the ring, and all that is due for it.
    fn dismiss(&mut self, name: &ServerName, events: &mut Events) {
        let Some(member) = self.servers.remove(name) else {
            return;
        };
        self.names.remove(member.id);
        if let Some(at) = member.probe.next {
            self.timers.cancel(at, member.id, Timer::Probe);
        }
        if let Some(at) = member.ejection.until() {
            self.timers.cancel(at, member.id, Timer::Trial);
        }
        if let Some(at) = member.admission.due() {
            self.timers.cancel(at, member.id, Timer::Admit);
        }
        events.0.push(Event::ServerRemoved { name: name.clone() });
    }

    /// Makes the routing table anew and announces failing open.
    fn publish(&mut self, events: &mut Events) {
        let mut servers = Vec::with_capacity(self.servers.len());
        for member in self.servers.values_mut() {
            let standing = member.standing(self.has_probed);
            let was_due = member.admission.due();
            let wanted = member.wanted(standing, self.has_probed);
            let turn = member.admission.follow(wanted, &self.settings, self.latest);
            if member.admission.due() != was_due {
                if let Some(at) = was_due {
                    self.timers.cancel(at, member.id, Timer::Admit);
                }
                if let Some(at) = member.admission.due() {
                    self.timers.set(at, member.id, Timer::Admit);
                }
            }
            let name = || member.server.name.clone();
            events.0.extend(turn.map(|turn| match turn {
                Turn::Grows(until) => Event::SlowStarted {
                    name: name(),
                    until,
                },
                Turn::Grown => Event::SlowStartEnded { name: name() },
                Turn::Drained => Event::Drained { name: name() },
            }));
            let is_draining = standing == Standing::Draining;
            let admission = &member.admission;
            servers.push(TableServer {
                id: member.id,
                term: member.ejection.term(),
                server: member.server.clone(),
                number: member.number.number(),
                standing,
                is_out: member.is_out(self.has_probed),
                admission: admission.admission(is_draining, &self.settings, self.latest),
            });
        }
        let table = RoutingTable::new(
            self.table.version() + 1,
            &self.settings,
            servers,
            Arc::clone(&self.primary),
            Arc::clone(&self.backup),
        );
        if table.is_fail_open() != self.table.is_fail_open() {
            events.0.push(Event::FailOpen(table.is_fail_open()));
        }
        self.table = Arc::new(table);
    }

    fn find(&mut self, name: &ServerName) -> Result<&mut Member, CommandError> {
        self.servers
            .get_mut(name)
            .ok_or_else(|| CommandError::UnknownServer(name.clone()))
    }

    fn member(&mut self, id: ServerId) -> Option<&mut Member> {
        self.servers.get_mut(self.names.get(id)?)
    }
}

/// Requests in flight as far as it was told of them: for shells that have it
/// count. `server` is of its present table.
impl Loads for LoadBalancer {
    fn in_flight(&self, server: ServerIndex) -> u32 {
        let name = &self.table.server(server).server.name;
        self.servers.get(name).map_or(0, |member| member.in_flight)
    }

    fn latency(&self, server: ServerIndex) -> u64 {
        let name = &self.table.server(server).server.name;
        let member = self.servers.get(name);
        member.map_or(0, |member| member.latency.mean(self.latest))
    }

    fn has_trial(&self, server: ServerIndex, _: Term) -> bool {
        let name = &self.table.server(server).server.name;
        self.servers.get(name).is_some_and(|m| m.in_term > 0)
    }
}

impl ProbeSchedule {
    fn set_back(&mut self, by: Duration) {
        self.outstanding_since = self.outstanding_since.map(|at| at.before(by));
        self.next = self.next.map(|at| at.before(by));
    }
}

impl Member {
    /// Whether it may get a new request; `has_probed` says whether any probe
    /// has ever finished.
    fn standing(&self, has_probed: bool) -> Standing {
        self.standing_as(self.state, has_probed)
    }

    /// The same if operators said so.
    fn standing_as(&self, state: AdminState, has_probed: bool) -> Standing {
        let trusts_unknown = self.was_first || !has_probed;
        health::standing(state, &self.ejection, &self.probes, trusts_unknown)
    }

    /// Whether it would be out if nobody drained it.
    fn is_out(&self, has_probed: bool) -> bool {
        let standing = self.standing_as(AdminState::Active, has_probed);
        matches!(standing, Standing::Unhealthy | Standing::Ejected)
    }

    /// Whether it should get keys, or give them away.
    fn wanted(&self, standing: Standing, has_probed: bool) -> Wanted {
        match standing {
            Standing::Eligible => Wanted::Keys,
            Standing::Draining
                if self.standing_as(AdminState::Active, has_probed) == Standing::Eligible =>
            {
                Wanted::Draining
            }
            _ => Wanted::Nothing,
        }
    }

    /// A number that stands for its name, for jitter.
    fn identity(&self) -> u64 {
        hash::of_key(self.server.name.as_str().as_bytes())
    }

    /// `interval`, longer or shorter by up to `percent`, as this server and
    /// probe decide.
    fn jittered(&self, interval: Duration, percent: u8) -> Duration {
        let nanos = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX);
        let span = (nanos / 100)
            .saturating_mul(u64::from(percent))
            .min(nanos / 2);
        let offset = hash::spread(self.identity(), self.probe.round, 2 * span + 1);
        Duration::from_nanos((nanos - span).saturating_add(offset))
    }
}

#[cfg(test)]
mod tests;
