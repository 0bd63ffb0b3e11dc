//! The judgement of one server: two of the three facts that decide whether it
//! is eligible (the third, its admin state, is commanded).
//!
//! **Health** is what probes say, **ejection** what traffic says. They are
//! never folded into one: a server that answers its probes and fails its
//! requests is both healthy and ejected, and an operator can see it.

use core::time::Duration;

use super::hash;
use super::message::Term;
use super::metrics::Outcome;
use super::server::AdminState;
use super::settings;
use super::time::Timestamp;

mod memory;
pub use memory::EjectionMemory;

/// What probes say of a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// No probe of it has finished yet.
    #[default]
    Unknown,
    /// It answers its probes.
    Healthy,
    /// It does not.
    Unhealthy,
}

/// Whether a server may get a new request, and if not, the first reason why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It may.
    Eligible,
    /// No probe has vouched for it yet while others are vouched for.
    Unproven,
    /// Its probes fail.
    Unhealthy,
    /// Its traffic failed.
    Ejected,
    /// Its ejection is over, and no request has been answered well since: it
    /// gets one at a time.
    OnTrial,
    /// An operator is draining it.
    Draining,
}

/// The one place where eligibility is computed.
///
/// `trusts_unknown`: whether a server that no probe has judged may be used.
pub(super) fn standing(
    admin: AdminState,
    ejection: &EjectionState,
    probes: &ProbeTally,
    trusts_unknown: bool,
) -> Standing {
    match (admin, ejection.is_ejected(), probes.health()) {
        (AdminState::Draining, _, _) => Standing::Draining,
        (_, true, _) => Standing::Ejected,
        (_, _, Health::Unhealthy) => Standing::Unhealthy,
        (_, _, Health::Unknown) if !trusts_unknown => Standing::Unproven,
        _ if ejection.is_on_trial() => Standing::OnTrial,
        _ => Standing::Eligible,
    }
}

/// Health and what speaks against it.
#[derive(Clone, Debug, Default)]
pub(super) struct ProbeTally {
    health: Health,
    /// Results in a row that contradict `health`.
    contradicting: u32,
}

impl ProbeTally {
    pub(super) fn health(&self) -> Health {
        self.health
    }

    /// Whether results have begun to contradict the health: probe fast.
    pub(super) fn is_in_transition(&self) -> bool {
        self.contradicting > 0
    }

    /// Takes one result; returns whether the health changed. The first result
    /// decides at once, and so does a failure of a server that `is_suspected`.
    pub(super) fn record(
        &mut self,
        is_good: bool,
        is_suspected: bool,
        check: &settings::HealthCheck,
    ) -> bool {
        let (next, needed) = match (self.health, is_good) {
            (Health::Unknown, true) => (Health::Healthy, 1),
            (Health::Unknown, false) => (Health::Unhealthy, 1),
            (Health::Unhealthy, true) => (Health::Healthy, check.rise),
            (Health::Healthy, false) if is_suspected => (Health::Unhealthy, 1),
            (Health::Healthy, false) => (Health::Unhealthy, check.fall),
            (Health::Healthy, true) | (Health::Unhealthy, false) => {
                self.contradicting = 0;
                return false;
            }
        };
        self.contradicting += 1;
        if self.contradicting < needed {
            return false;
        }
        self.contradicting = 0;
        self.health = next;
        true
    }
}

/// What one request says of its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It answered, and not with a 5xx.
    Good,
    /// It answered with a 5xx, or broke off.
    Failed,
    /// It could not be connected to.
    ConnectError,
}

impl From<Outcome> for Verdict {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::ConnectError => Self::ConnectError,
            outcome if outcome.is_error() => Self::Failed,
            _ => Self::Good,
        }
    }
}

/// Failures in a row, and the ejection they led to.
#[derive(Clone, Debug, Default)]
pub(super) struct EjectionState {
    failed: u32,
    connect_errors: u32,
    until: Option<Timestamp>,
    /// Ejections in a row; the factor of the next one's length less one.
    count: u32,
    /// When it was last re-admitted.
    readmitted: Option<Timestamp>,
    /// An ejection is over and the server not re-admitted yet: its next answer
    /// decides.
    on_trial: bool,
    term: Term,
}

/// What comes of one verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// Nothing.
    Stays,
    /// The server deserves to be ejected.
    Eject,
    /// Its trial is over, to its credit.
    Readmit,
}

impl EjectionState {
    pub(super) fn is_ejected(&self) -> bool {
        self.until.is_some()
    }

    pub(super) fn is_on_trial(&self) -> bool {
        self.on_trial
    }

    pub(super) fn term(&self) -> Term {
        self.term
    }

    pub(super) fn until(&self) -> Option<Timestamp> {
        self.until
    }

    /// Takes the verdict of a request that was sent in `term`. Answers to
    /// requests sent before an ejection do not count, however late they come.
    pub(super) fn judge(
        &mut self,
        verdict: Verdict,
        term: Term,
        rules: &settings::Ejection,
    ) -> Judgement {
        if self.is_ejected() || term != self.term {
            return Judgement::Stays;
        }
        let reached = |n: u32, limit: u32| limit > 0 && n >= limit;
        match verdict {
            Verdict::Good => {
                self.failed = 0;
                self.connect_errors = 0;
                return if self.on_trial {
                    Judgement::Readmit
                } else {
                    Judgement::Stays
                };
            }
            Verdict::Failed => self.failed = self.failed.saturating_add(1),
            Verdict::ConnectError => self.connect_errors = self.connect_errors.saturating_add(1),
        }
        let is_enough = reached(self.failed, rules.consecutive_5xx)
            || reached(self.connect_errors, rules.consecutive_connect_errors)
            || self.on_trial;
        if is_enough {
            Judgement::Eject
        } else {
            Judgement::Stays
        }
    }

    /// Ejects the server; returns until when.
    pub(super) fn eject(
        &mut self,
        identity: u64,
        rules: &settings::Ejection,
        now: Timestamp,
    ) -> Timestamp {
        let quiet = self
            .readmitted
            .map_or(Duration::MAX, |readmitted| now.since(readmitted));
        // One that failed its trial was never quiet.
        if quiet >= rules.cap && !self.on_trial {
            self.count = 0;
        }
        self.count = self.count.saturating_add(1);
        let length = rules.base.saturating_mul(self.count).min(rules.cap);
        let nanos = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
        let jitter_bound = (nanos / 100).saturating_mul(u64::from(rules.jitter_percent));
        let jitter = hash::spread(identity, u64::from(self.count), jitter_bound);
        let until = now.after(length).after(Duration::from_nanos(jitter));
        self.until = Some(until);
        self.on_trial = false;
        self.term = self.term.next();
        self.failed = 0;
        self.connect_errors = 0;
        until
    }

    /// Follows a clock that was set back.
    pub(super) fn set_back(&mut self, by: Duration) {
        self.until = self.until.map(|at| at.before(by));
        self.readmitted = self.readmitted.map(|at| at.before(by));
    }

    /// Ends the ejection: the server is on trial until its first good answer.
    pub(super) fn begin_trial(&mut self) {
        self.until = None;
        self.on_trial = true;
    }

    /// Ends the trial.
    pub(super) fn readmit(&mut self, now: Timestamp) {
        self.on_trial = false;
        self.readmitted = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(results: &str) -> Vec<Health> {
        let check = settings::HealthCheck::default();
        let mut tally = ProbeTally::default();
        results
            .chars()
            .map(|result| {
                // `!` is a failure of a suspected server.
                tally.record(result == '+', result == '!', &check);
                tally.health()
            })
            .collect()
    }

    #[test]
    fn the_first_result_decides_at_once() {
        assert_eq!(tally("+"), [Health::Healthy]);
        assert_eq!(tally("-"), [Health::Unhealthy]);
    }

    #[test]
    fn health_falls_after_three_failures_in_a_row_and_rises_after_two() {
        use Health::{Healthy as H, Unhealthy as U};
        assert_eq!(tally("+--+---"), [H, H, H, H, H, H, U]);
        assert_eq!(tally("-+-++"), [U, U, U, U, H]);
    }

    #[test]
    fn one_failure_of_a_suspected_server_decides() {
        use Health::{Healthy as H, Unhealthy as U};
        assert_eq!(tally("+!+!+"), [H, U, U, U, U]);
        assert_eq!(tally("+-!"), [H, H, U]);
    }

    #[test]
    fn failures_in_a_row_eject_and_a_good_answer_forgives() {
        let rules = settings::Ejection::default();
        let mut state = EjectionState::default();
        let mut judge = |verdict| state.judge(verdict, Term::default(), &rules);
        for _ in 0..4 {
            assert_eq!(judge(Verdict::Failed), Judgement::Stays);
        }
        assert_eq!(judge(Verdict::Good), Judgement::Stays);
        for _ in 0..4 {
            assert_eq!(judge(Verdict::Failed), Judgement::Stays);
        }
        assert_eq!(judge(Verdict::Failed), Judgement::Eject);
    }

    #[test]
    fn ejections_grow_to_the_cap_and_start_again_after_a_quiet_time() {
        let rules = settings::Ejection {
            jitter_percent: 0,
            ..settings::Ejection::default()
        };
        let mut state = EjectionState::default();
        let mut now = Timestamp::ZERO;
        let mut lengths = Vec::new();
        for _ in 0..12 {
            let until = state.eject(1, &rules, now);
            lengths.push(until.since(now).as_secs());
            now = until;
            state.begin_trial();
            // A trial that waits long for its request is no quiet time.
            now = now.after(2 * rules.cap);
        }
        assert_eq!(lengths[..4], [30, 60, 90, 120]);
        assert_eq!(lengths[11], 300);
        state.readmit(now);
        let mut soon = state.clone();
        let just = now.after(rules.cap).before(Duration::from_nanos(1));
        assert_eq!(soon.eject(1, &rules, just).since(just).as_secs(), 300);
        now = now.after(rules.cap);
        assert_eq!(state.eject(1, &rules, now).since(now).as_secs(), 30);
    }

    #[test]
    fn the_first_answer_of_a_trial_decides_and_no_earlier_request_does() {
        let rules = settings::Ejection::default();
        let mut state = EjectionState::default();
        let before = state.term();
        state.eject(1, &rules, Timestamp::ZERO);
        let term = state.term();
        let judge = |state: &EjectionState, verdict, term| {
            let mut state = state.clone();
            state.judge(verdict, term, &rules)
        };
        for verdict in [Verdict::Good, Verdict::Failed, Verdict::ConnectError] {
            assert_eq!(judge(&state, verdict, term), Judgement::Stays, "ejected");
        }
        state.begin_trial();
        for verdict in [Verdict::Good, Verdict::Failed, Verdict::ConnectError] {
            assert_eq!(judge(&state, verdict, before), Judgement::Stays, "late");
        }
        assert_eq!(judge(&state, Verdict::Failed, term), Judgement::Eject);
        assert_eq!(judge(&state, Verdict::ConnectError, term), Judgement::Eject);
        assert_eq!(judge(&state, Verdict::Good, term), Judgement::Readmit);
        state.readmit(Timestamp::from_millis(30_000));
        assert_eq!(judge(&state, Verdict::Failed, term), Judgement::Stays);
        assert_eq!(judge(&state, Verdict::Good, term), Judgement::Stays);
    }
}
