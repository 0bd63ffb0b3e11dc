//! What one balancer knows and another, in a new process, can go on with.

use std::collections::BTreeSet;

use super::{LoadBalancer, Timer};
use crate::engine::admission::{Admission, AdmissionState};
use crate::engine::health::{EjectionMemory, Health};
use crate::engine::message::Events;
use crate::engine::server::{AdminState, Server, ServerName};
use crate::engine::sort;
use crate::engine::time::Timestamp;

/// What is known of one server. Times are relative, since two processes do not
/// have the same clock.
#[derive(Clone, Debug, PartialEq)]
pub struct Memory {
    /// The server; what is known holds for its address and port.
    pub server: Server,
    /// What operators say.
    pub state: AdminState,
    /// What probes say.
    pub health: Health,
    /// Whether it may be used before a probe has judged it.
    pub is_trusted: bool,
    /// What traffic says.
    pub ejection: EjectionMemory,
    /// What part of its keys it takes.
    pub admission: Admission,
}

impl LoadBalancer {
    /// The servers with their admin states, in the order that rules go by which
    /// go by order.
    pub fn roster(&self) -> Vec<(Server, AdminState)> {
        let mut members: Vec<_> = self.servers.values().collect();
        members.sort_by_key(|member| member.order);
        let of = |member: &&super::Member| (member.server.clone(), member.state);
        members.iter().map(of).collect()
    }

    /// Everything known that outlives a process, by name.
    pub fn memories(&self, now: Timestamp) -> Vec<Memory> {
        let members = self.servers.values().zip(self.table.servers());
        let memory = members.map(|(member, entry)| Memory {
            server: member.server.clone(),
            state: member.state,
            health: member.probes.health(),
            is_trusted: member.was_first || !self.has_probed,
            ejection: member.ejection.memory(now),
            admission: entry.admission,
        });
        memory.collect()
    }

    /// Begins with these servers drained; for a balancer that has just been
    /// made. They get no keys, not even at first.
    pub fn begin_drained(&mut self, names: &BTreeSet<ServerName>) -> Events {
        for name in names {
            if let Some(member) = self.servers.get_mut(name) {
                member.state = AdminState::Draining;
                member.admission = AdmissionState::new(false);
            }
        }
        let mut events = Events::default();
        self.publish(&mut events);
        events
    }

    /// Goes on where another balancer was, to which `memories` belong, whatever
    /// this one knew. Servers of which there is no memory join a running fleet.
    /// An admin state is remembered by name, all else only of a server that is
    /// still at the same address and port.
    pub fn resume(&mut self, memories: &[Memory], now: Timestamp) -> Events {
        self.notice(now);
        let mut known: Vec<&Memory> = memories.iter().collect();
        sort::by(&mut known, |a, b| a.server.name < b.server.name);
        for member in self.servers.values_mut() {
            let place = known.binary_search_by(|m| m.server.name.cmp(&member.server.name));
            let known = place.ok().map(|i| known[i]);
            member.state = known.map_or(AdminState::Active, |memory| memory.state);
            if let Some(at) = member.admission.due() {
                self.timers.cancel(at, member.id, Timer::Admit);
            }
            let is_there = |server: &Server| {
                (&server.address, server.port) == (&member.server.address, member.server.port)
            };
            let Some(memory) = known.filter(|m| is_there(&m.server)) else {
                member.was_first = false;
                member.admission = AdmissionState::new(false);
                continue;
            };
            member.was_first = memory.is_trusted;
            if self.settings.health_check.enabled {
                member.probes.remember(memory.health);
                // Before any probe has ended, all are trusted.
                self.has_probed |= memory.health != Health::Unknown || !memory.is_trusted;
            }
            if let Some(at) = member.ejection.until() {
                self.timers.cancel(at, member.id, Timer::Trial);
            }
            let term = member.ejection.term();
            member.ejection.remember(&memory.ejection, now);
            if member.ejection.term() != term {
                member.in_term = 0;
            }
            if let Some(at) = member.ejection.until() {
                self.timers.set(at, member.id, Timer::Trial);
            }
            let is_draining = member.state == AdminState::Draining;
            member.admission =
                AdmissionState::resumed(memory.admission, is_draining, &self.settings, now);
        }
        let mut events = Events::default();
        self.publish(&mut events);
        events
    }
}

#[cfg(test)]
mod tests;
