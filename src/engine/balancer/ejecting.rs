//! Servers taken out because of their traffic, tried, and let back in.

use super::{LoadBalancer, Member};
use crate::engine::health::{Judgement, Standing, Verdict};
use crate::engine::message::{Event, Events, ServerId, Term};
use crate::engine::time::Timestamp;
use crate::engine::timers::Timer;

impl LoadBalancer {
    /// Lets a request that was sent in `term` speak for or against its server.
    pub(super) fn judge(
        &mut self,
        id: ServerId,
        term: Term,
        verdict: Verdict,
        now: Timestamp,
        events: &mut Events,
    ) {
        let rules = self.settings.ejection.clone();
        let Some(member) = self.member(id) else {
            return;
        };
        match member.ejection.judge(verdict, term, &rules) {
            Judgement::Stays => return,
            Judgement::Readmit => {
                member.ejection.readmit(now);
                let name = member.server.name.clone();
                events.0.push(Event::Readmitted { name });
            }
            Judgement::Eject => {
                if !self.may_eject(id) {
                    return;
                }
                let Some(member) = self.member(id) else {
                    return;
                };
                let until = member.ejection.eject(member.identity(), &rules, now);
                member.in_term = 0;
                let name = member.server.name.clone();
                self.timers.set(until, id, Timer::Trial);
                events.0.push(Event::Ejected {
                    name,
                    until,
                    verdict,
                });
            }
        }
        self.publish(events);
    }

    /// Whether one more ejection leaves somebody eligible and stays within the
    /// permitted part of the fleet. Who is on trial is out already.
    fn may_eject(&self, id: ServerId) -> bool {
        let is_out = |m: &Member| m.ejection.is_ejected() || m.ejection.is_on_trial();
        let mut others = self.servers.values().filter(|m| m.id != id);
        let is_other_eligible = others.any(|m| m.standing(self.has_probed) == Standing::Eligible);
        let n_out = self.servers.values().filter(|m| is_out(m)).count();
        let is_out_already = self
            .servers
            .values()
            .any(|member| member.id == id && is_out(member));
        let percent = usize::from(self.settings.ejection.max_percent);
        let n_allowed = (self.servers.len() * percent / 100).max(1);
        is_other_eligible && (is_out_already || n_out < n_allowed)
    }

    /// Ends the ejection of a server; returns whether it is still there.
    pub(super) fn begin_trial(&mut self, id: ServerId, events: &mut Events) -> bool {
        let Some(member) = self.member(id) else {
            return false;
        };
        member.ejection.begin_trial();
        let name = member.server.name.clone();
        events.0.push(Event::TrialBegan { name });
        true
    }
}
