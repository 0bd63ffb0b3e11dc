//! When servers are probed, and what comes of it.

use core::mem;
use core::time::Duration;

use super::{LoadBalancer, TICK};
use crate::engine::health::Health;
use crate::engine::message::{Event, Events, ProbeId, ProbeOutcome, ServerId};
use crate::engine::snapshot::ProbeRecord;
use crate::engine::time::Timestamp;
use crate::engine::timers::Timer;

impl LoadBalancer {
    /// Announces a probe and schedules the one after it, which supersedes it.
    pub(super) fn start_probe(&mut self, id: ServerId, now: Timestamp, events: &mut Events) {
        let check = self.settings.health_check.clone();
        let Some(member) = self.member(id) else {
            return;
        };
        member.probe.round += 1;
        member.probe.outstanding_since = Some(now);
        // Already out of the queue, so there is nothing to cancel.
        member.probe.next = None;
        let wait = member.jittered(check.interval, check.jitter_percent);
        let next = now.after(wait.max(TICK));
        events.0.push(Event::ProbeDue {
            probe: ProbeId {
                server: id,
                round: member.probe.round,
            },
            server: member.server.clone(),
        });
        self.schedule_probe(id, next);
    }

    pub(super) fn finish_probe(
        &mut self,
        probe: ProbeId,
        record: ProbeRecord,
        events: &mut Events,
    ) {
        let check = self.settings.health_check.clone();
        let Some(member) = self.member(probe.server) else {
            return;
        };
        if member.probe.round != probe.round {
            return;
        }
        let Some(started) = member.probe.outstanding_since.take() else {
            return;
        };
        let is_good = record.outcome == ProbeOutcome::Good;
        let why = record.outcome.clone();
        let now = record.at;
        member.last_probe = Some(record);
        let is_suspected = mem::take(&mut member.probe.is_suspected);
        let is_changed = member.probes.record(is_good, is_suspected, &check);
        let interval = if member.probes.is_in_transition() {
            check.fast_interval
        } else {
            check.interval
        };
        let wait = member.jittered(interval, check.jitter_percent);
        // Never in the past, or a slow probe would be followed at once.
        let next = started.after(wait).max(now.after(Duration::from_nanos(1)));
        if is_changed {
            events.0.push(Event::HealthChanged {
                name: member.server.name.clone(),
                health: member.probes.health(),
                why,
            });
        }
        self.schedule_probe(probe.server, next);
        // The very first result of all changes a health too, so this is published.
        self.has_probed = true;
        if is_changed {
            self.publish(events);
        }
    }

    /// Has a server probed at once, unless it is being probed. What is known to be
    /// sick needs no suspicion, and of whom nothing is known the next result
    /// decides anyway.
    pub(super) fn suspect(&mut self, id: ServerId, now: Timestamp) {
        let is_probed = self.settings.health_check.enabled;
        let Some(member) = self.member(id) else {
            return;
        };
        if !is_probed || member.probes.health() != Health::Healthy {
            return;
        }
        member.probe.is_suspected = true;
        if member.probe.outstanding_since.is_none() {
            self.schedule_probe(id, now);
        }
    }

    pub(super) fn schedule_probe(&mut self, id: ServerId, at: Timestamp) {
        let Some(member) = self.member(id) else {
            return;
        };
        let before = member.probe.next.replace(at);
        if let Some(before) = before {
            self.timers.cancel(before, id, Timer::Probe);
        }
        self.timers.set(at, id, Timer::Probe);
    }
}
