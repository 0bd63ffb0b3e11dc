//! From the running fleet to another configuration, in one step: all of it or
//! nothing.
//!
//! What is known of a server is kept by its name and where it listens. A
//! server that stays by both keeps everything: its stay, health, ejection,
//! traffic. One that listens elsewhere now is another server under the same
//! name: its health is unknown and its figures begin anew. Only what an
//! operator said of the name, its admin state, stays.

use crate::engine::sort;
use core::mem;

use super::LoadBalancer;
use super::{ProbeTally, TICK, layouts};
use crate::engine::health::Health;
use crate::engine::message::{CommandError, Event, Events, ServerId};
use crate::engine::server::{Server, ServerName, ServerNumber};
use crate::engine::settings::{HealthCheck, Settings};
use crate::engine::time::Timestamp;
use crate::engine::timers::Timer;

impl LoadBalancer {
    /// The balancer that follows this one when `settings` and `servers`, in
    /// the order of the configuration, are those from now on; this one stays
    /// as it is, so that the two can be compared by
    /// [`Plan::between`](crate::engine::Plan::between).
    ///
    /// It routes as one that were started with them, up to what is known of
    /// the servers. Its table is the same when nothing has changed, and
    /// otherwise the next one.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn reconfigured(
        &self,
        settings: Settings,
        servers: Vec<Server>,
        now: Timestamp,
    ) -> Result<(Self, Events), CommandError> {
        let numbers = layouts::numbers(&servers)?;
        let [primary, backup] = self.relaid_for(&settings, &servers, &numbers)?;
        let mut next = self.clone();
        next.notice(now);
        let mut events = Events::default();
        if settings == self.settings && self.is_of(&servers, &numbers) {
            return Ok((next, events));
        }
        (next.primary, next.backup) = (primary, backup);
        let before = mem::replace(&mut next.settings, settings);
        events.0.push(self.summary(&servers));
        let mut stay: Vec<&ServerName> = servers.iter().map(|server| &server.name).collect();
        sort::by(&mut stay, |a, b| a < b);
        for name in self
            .servers
            .keys()
            .filter(|name| stay.binary_search(name).is_err())
        {
            next.dismiss(name, &mut events);
        }
        for ((server, number), order) in servers.into_iter().zip(numbers).zip(0..) {
            next.install(server, number, order, now, &mut events);
        }
        next.follow(&before.health_check, now, &mut events);
        next.publish(&mut events);
        Ok((next, events))
    }

    /// Whether these are the servers it has, in this order.
    fn is_of(&self, servers: &[Server], numbers: &[ServerNumber]) -> bool {
        let mut members: Vec<_> = self.servers.values().collect();
        sort::by_number(&mut members, |member| member.order);
        let given = servers.iter().zip(numbers);
        members.len() == servers.len()
            && members.iter().zip(given).all(|(member, (server, number))| {
                member.server == *server && member.number == *number
            })
    }

    /// How `servers` differ from those there are.
    fn summary(&self, servers: &[Server]) -> Event {
        let (mut added, mut changed) = (0, 0);
        for server in servers {
            match self.servers.get(&server.name) {
                None => added += 1,
                Some(member) if member.server != *server => changed += 1,
                Some(_) => {}
            }
        }
        Event::Reconfigured {
            added,
            // Those that are not new were there.
            removed: self.servers.len() - (servers.len() - added),
            changed,
        }
    }

    /// Has `server` be what it is from now on, whether it is there or not; the
    /// layouts know it already.
    fn install(
        &mut self,
        server: Server,
        number: ServerNumber,
        order: u64,
        now: Timestamp,
        events: &mut Events,
    ) {
        let name = server.name.clone();
        let mut state = None;
        if let Some(member) = self.servers.get_mut(&name) {
            if (&member.server.address, member.server.port) == (&server.address, server.port) {
                member.number = number;
                member.order = order;
                let before = mem::replace(&mut member.server, server.clone());
                events.0.extend(difference(before, server));
                return;
            }
            state = Some(member.state);
            self.dismiss(&name, events);
        }
        let id = self.enlist(server.clone(), number, false, now);
        events.0.push(Event::ServerAdded { id, server });
        let Some(member) = self.servers.get_mut(&name) else {
            return;
        };
        member.order = order;
        if let Some(state) = state.filter(|state| *state != member.state) {
            member.state = state;
            events.0.push(Event::StateChanged { name, state });
        }
    }

    /// Goes over from the old way of probing to the present one.
    fn follow(&mut self, before: &HealthCheck, now: Timestamp, events: &mut Events) {
        let check = self.settings.health_check.clone();
        let ids: Vec<ServerId> = self.names.keys().collect();
        match (before.enabled, check.enabled) {
            (true, false) => {
                for id in ids {
                    self.forget_health(id, events);
                }
                self.has_probed = false;
            }
            (false, true) => {
                for id in ids {
                    if let Some(member) = self.member(id) {
                        member.was_first = true;
                    }
                    self.schedule_probe(id, now);
                }
            }
            (true, true) if *before != check => {
                for id in ids {
                    self.hasten_probe(id, &check, now);
                }
            }
            _ => {}
        }
    }

    /// A verdict that nobody renews is none.
    fn forget_health(&mut self, id: ServerId, events: &mut Events) {
        let Some(member) = self.member(id) else {
            return;
        };
        if member.probes.health() != Health::Unknown {
            let name = member.server.name.clone();
            events.0.push(Event::HealthForgotten { name });
        }
        member.probes = ProbeTally::default();
        member.last_probe = None;
        member.probe.outstanding_since = None;
        if let Some(at) = member.probe.next.take() {
            self.timers.cancel(at, id, Timer::Probe);
        }
    }

    /// A shorter interval begins now and not when a long one has ended; a
    /// longer one, with the next probe.
    fn hasten_probe(&mut self, id: ServerId, check: &HealthCheck, now: Timestamp) {
        let Some(member) = self.member(id) else {
            return;
        };
        let interval = if member.probes.is_in_transition() {
            check.fast_interval
        } else {
            check.interval
        };
        let wait = member.jittered(interval, check.jitter_percent);
        let at = now.after(wait.max(TICK));
        if member.probe.next.is_none_or(|next| at < next) {
            self.schedule_probe(id, at);
        }
    }
}

/// What to announce of a server that stays.
fn difference(before: Server, after: Server) -> Option<Event> {
    if before == after {
        return None;
    }
    let reweighed = Server {
        weight: after.weight,
        ..before
    };
    if reweighed == after {
        return Some(Event::WeightChanged {
            name: after.name,
            weight: after.weight,
        });
    }
    Some(Event::ServerChanged { server: after })
}

#[cfg(test)]
mod tests;
