//! Admission: what part of its keys a server takes while it comes back (slow
//! start) or is drained over some time.
//!
//! A key is admitted when a hash of it and of the server is below the
//! server's fraction. The fraction only grows while a server comes back, so a
//! key once admitted stays, and only shrinks while it is drained, so a key
//! that left stays away: each key moves once. What is not admitted goes on to
//! the key's next candidate; no point is taken off the ring.

use core::time::Duration;

use super::hash::PointHasher;
use super::rendezvous::draw;
use super::ring::Position;
use super::server::ServerName;
use super::settings::Settings;
use super::time::Timestamp;

/// How many steps a change of the fraction from none to all has: each makes a
/// new routing table, and moves under 2 % of the server's keys.
const STEPS: u32 = 64;

/// The part of its keys that a server takes: 0 to 65,536 of 65,536.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Admission(u32);

impl Admission {
    /// All of them.
    pub const FULL: Self = Self(1 << 16);
    /// None.
    pub const NONE: Self = Self(0);
    /// What a returning server begins with: a tenth, as Envoy's slow start.
    pub const FIRST: Self = Self((1 << 16) / 10);

    /// The part as a fraction, 0 to 1.
    pub fn fraction(self) -> f64 {
        f64::from(self.0) / f64::from(Self::FULL.0)
    }

    /// This many 65,536ths, at most all.
    pub const fn from_parts(parts: u32) -> Self {
        Self(if parts < Self::FULL.0 {
            parts
        } else {
            Self::FULL.0
        })
    }

    /// The part in 65,536ths.
    pub fn parts(self) -> u32 {
        self.0
    }

    /// The part that is left when `done` of `whole` has passed on the way from
    /// here to `to`.
    fn on_the_way(self, to: Self, done: Duration, whole: Duration) -> Self {
        let nanos = |duration: Duration| u128::from(nanos(duration));
        let (done, whole) = (nanos(done.min(whole)), nanos(whole).max(1));
        let (from, to) = (u128::from(self.0), u128::from(to.0));
        // Between two values of 17 bits, whatever the times.
        Self(((from * (whole - done) + to * done) / whole) as u32)
    }

    /// How much of `whole` has passed when, on the way from here to `end`, the
    /// part is `there`: the reverse of [`Self::on_the_way`].
    fn way_to(self, there: Self, end: Self, whole: Duration) -> Duration {
        let parts = |to: Self| u128::from(self.0.abs_diff(to.0));
        let passed = u128::from(nanos(whole)) * parts(there);
        // Growing, the part is rounded down, so the time is rounded up; shrinking,
        // the part would be a little less then.
        let passed = if end > self {
            passed.div_ceil(parts(end).max(1))
        } else {
            passed / parts(end).max(1)
        };
        Duration::from_nanos(u64::try_from(passed).unwrap_or(u64::MAX))
    }
}

/// What decides which keys one server admits: a hash of its name that no point
/// and no draw is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gate {
    seed: u64,
    admission: Admission,
}

impl Gate {
    pub(super) fn new(name: &ServerName, admission: Admission) -> Self {
        Self {
            // The point of this number is never on a ring, which has 2^20.
            seed: PointHasher::new(name.as_str()).point(u32::MAX),
            admission,
        }
    }

    /// Whether the server takes the key at `position`.
    #[inline]
    pub(super) fn admits(self, position: Position) -> bool {
        (draw(position, self.seed) >> 48) < u64::from(self.admission.0)
    }
}

/// Where one server stands between taking no keys and taking all.
#[derive(Clone, Debug)]
pub(super) struct AdmissionState {
    phase: Phase,
    /// When the fraction changes next: the deadline that is set for it.
    due: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It gets no keys.
    Out,
    /// It gets all of its keys.
    In,
    /// It gets more and more of them. At `since` it had come as far as `ahead`
    /// of the time for the whole way brings it.
    Growing {
        since: Timestamp,
        from: Admission,
        ahead: Duration,
    },
    /// It gets fewer and fewer, and none in the end.
    Shrinking {
        since: Timestamp,
        from: Admission,
        ahead: Duration,
    },
}

/// What a server should be doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Taking keys: it is eligible.
    Keys,
    /// Giving its keys away: it is drained and well.
    Draining,
    /// Nothing.
    Nothing,
}

/// What came of a change that an operator should hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Slow start has begun and ends then.
    Grows(Timestamp),
    /// Slow start is over: all keys are back.
    Grown,
    /// The last key has left.
    Drained,
}

impl AdmissionState {
    /// That of a server which is there from the start (`is_in`) and so has its
    /// keys, or of one that joins.
    pub(super) fn new(is_in: bool) -> Self {
        Self {
            phase: if is_in { Phase::In } else { Phase::Out },
            due: None,
        }
    }

    /// That of a server which another balancer had got as far as `admission`.
    /// It goes on as if it had come there from where such ways begin.
    pub(super) fn resumed(
        admission: Admission,
        is_draining: bool,
        settings: &Settings,
        now: Timestamp,
    ) -> Self {
        let since = now;
        let phase = match (admission, is_draining) {
            (Admission::NONE, _) => Phase::Out,
            (_, true) => Phase::Shrinking {
                since,
                from: Admission::FULL,
                ahead: Admission::FULL.way_to(admission, Admission::NONE, settings.drain),
            },
            (Admission::FULL, false) => Phase::In,
            (_, false) => Phase::Growing {
                since,
                from: Admission::FIRST,
                ahead: Admission::FIRST.way_to(admission, Admission::FULL, settings.slow_start),
            },
        };
        Self { phase, due: None }
    }

    /// The deadline that is set for it.
    pub(super) fn due(&self) -> Option<Timestamp> {
        self.due
    }

    /// Follows a clock that was set back.
    pub(super) fn set_back(&mut self, by: Duration) {
        self.due = self.due.map(|at| at.before(by));
        if let Phase::Growing { since, .. } | Phase::Shrinking { since, .. } = &mut self.phase {
            *since = since.before(by);
        }
    }

    /// What part of its keys the server takes at `now`, given that it is
    /// eligible or drained; that of one which is neither is decided elsewhere.
    pub(super) fn admission(
        &self,
        is_draining: bool,
        settings: &Settings,
        now: Timestamp,
    ) -> Admission {
        match self.phase {
            Phase::Growing { since, from, ahead } => {
                let passed = now.since(since).saturating_add(ahead);
                from.on_the_way(Admission::FULL, passed, settings.slow_start)
            }
            Phase::Shrinking { since, from, ahead } => {
                let passed = now.since(since).saturating_add(ahead);
                from.on_the_way(Admission::NONE, passed, settings.drain)
            }
            Phase::Out | Phase::In if is_draining => Admission::NONE,
            Phase::Out | Phase::In => Admission::FULL,
        }
    }

    /// Goes where it is wanted at `now`, and sets its next deadline.
    pub(super) fn follow(
        &mut self,
        wanted: Wanted,
        settings: &Settings,
        now: Timestamp,
    ) -> Option<Turn> {
        let here = self.admission(wanted == Wanted::Draining, settings, now);
        let was = self.phase;
        self.phase = match (was, wanted) {
            (Phase::In, Wanted::Keys) | (Phase::Out, Wanted::Nothing) => was,
            // Called back before it lost any.
            (Phase::Shrinking { .. }, Wanted::Keys) if here == Admission::FULL => Phase::In,
            (Phase::Out | Phase::Shrinking { .. }, Wanted::Keys) => {
                let from = match was {
                    Phase::Shrinking { .. } => here.max(Admission::FIRST),
                    _ => Admission::FIRST,
                };
                Phase::Growing {
                    since: now,
                    from,
                    ahead: Duration::ZERO,
                }
            }
            (Phase::In | Phase::Growing { .. }, Wanted::Draining) => {
                let from = if was == Phase::In {
                    Admission::FULL
                } else {
                    here
                };
                Phase::Shrinking {
                    since: now,
                    from,
                    ahead: Duration::ZERO,
                }
            }
            (Phase::Growing { .. }, Wanted::Keys) | (Phase::Shrinking { .. }, Wanted::Draining) => {
                was
            }
            (Phase::Out, Wanted::Draining) | (_, Wanted::Nothing) => Phase::Out,
        };
        self.due = None;
        let (since, ahead, whole) = match self.phase {
            Phase::Growing { since, ahead, .. } => (since, ahead, settings.slow_start),
            Phase::Shrinking { since, ahead, .. } => (since, ahead, settings.drain),
            Phase::In | Phase::Out => return None,
        };
        let is_growing = matches!(self.phase, Phase::Growing { .. });
        let is_new = was != self.phase;
        let passed = now.since(since).saturating_add(ahead);
        if passed >= whole {
            self.phase = if is_growing { Phase::In } else { Phase::Out };
            // What takes no time is nothing to hear of.
            return (!whole.is_zero() || !is_new).then_some(if is_growing {
                Turn::Grown
            } else {
                Turn::Drained
            });
        }
        let step = (nanos(whole) / u64::from(STEPS)).max(1);
        let next = (nanos(passed) / step + 1)
            .saturating_mul(step)
            .min(nanos(whole));
        let wait = Duration::from_nanos(next).saturating_sub(ahead);
        self.due = Some(since.after(wait));
        (is_growing && is_new).then(|| Turn::Grows(since.after(whole)))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn settings() -> Settings {
        Settings {
            slow_start: 90 * SECOND,
            drain: 10 * SECOND,
            ..Settings::default()
        }
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(1000 * seconds)
    }

    fn percent(state: &AdmissionState, is_draining: bool, now: Timestamp) -> u32 {
        let fraction = state.admission(is_draining, &settings(), now).fraction();
        (100.0 * fraction + 0.5) as u32
    }

    #[test]
    fn a_returning_server_takes_a_tenth_at_first_and_all_in_the_end() {
        let settings = settings();
        let mut state = AdmissionState::new(false);
        let turn = state.follow(Wanted::Keys, &settings, at(5));
        assert_eq!(turn, Some(Turn::Grows(at(95))));
        assert_eq!(percent(&state, false, at(5)), 10);
        assert_eq!(percent(&state, false, at(50)), 55);
        let mut last = Admission::NONE;
        let mut n_steps = 0;
        while let Some(due) = state.due() {
            let turn = state.follow(Wanted::Keys, &settings, due);
            let here = state.admission(false, &settings, due);
            assert!(here > last, "{here:?} after {last:?}");
            last = here;
            n_steps += 1;
            assert_eq!(turn, (due == at(95)).then_some(Turn::Grown));
        }
        assert_eq!((last, n_steps), (Admission::FULL, STEPS));
    }

    #[test]
    fn a_drained_server_loses_its_keys_over_time_and_can_be_called_back() {
        let settings = settings();
        let mut state = AdmissionState::new(true);
        assert_eq!(state.follow(Wanted::Draining, &settings, at(0)), None);
        assert_eq!(percent(&state, true, at(0)), 100);
        assert_eq!(percent(&state, true, at(6)), 40);
        let mut back = state.clone();
        let turn = back.follow(Wanted::Keys, &settings, at(6));
        assert_eq!(turn, Some(Turn::Grows(at(96))));
        assert_eq!(percent(&back, false, at(6)), 40);
        assert_eq!(percent(&back, false, at(51)), 70);
        let turn = state.follow(Wanted::Draining, &settings, at(10));
        assert_eq!(turn, Some(Turn::Drained));
        assert_eq!(percent(&state, true, at(10)), 0);
        assert_eq!(state.due(), None);
    }

    #[test]
    fn without_times_changes_are_whole_and_silent() {
        let settings = Settings::default();
        let mut state = AdmissionState::new(false);
        assert_eq!(state.follow(Wanted::Keys, &settings, at(1)), None);
        assert_eq!(state.admission(false, &settings, at(1)), Admission::FULL);
        assert_eq!(state.follow(Wanted::Draining, &settings, at(1)), None);
        assert_eq!(state.admission(true, &settings, at(1)), Admission::NONE);
        assert_eq!(state.due(), None);
    }

    #[test]
    fn a_server_that_fails_while_it_comes_back_begins_again() {
        let settings = settings();
        let mut state = AdmissionState::new(true);
        let _ = state.follow(Wanted::Nothing, &settings, at(0));
        let _ = state.follow(Wanted::Keys, &settings, at(10));
        assert_eq!(state.follow(Wanted::Nothing, &settings, at(60)), None);
        assert_eq!(state.due(), None);
        let _ = state.follow(Wanted::Keys, &settings, at(70));
        assert_eq!(percent(&state, false, at(70)), 10);
    }

    #[test]
    fn gates_admit_the_part_they_say_and_more_of_the_same_keys_later() {
        let name = ServerName::new("a").expect("a good name");
        let gates = [6_554, 30_000, 65_536].map(|parts| Gate::new(&name, Admission(parts)));
        let keys = (0..20_000_u32).map(|i| Position::of_key(&i.to_le_bytes()));
        let mut counts = [0; 3];
        for key in keys {
            let admitted = gates.map(|gate| gate.admits(key));
            assert!(admitted.is_sorted(), "a key once admitted stays");
            for (count, admits) in counts.iter_mut().zip(admitted) {
                *count += i32::from(admits);
            }
        }
        assert!((1_800..2_200).contains(&counts[0]), "{counts:?}");
        assert!((8_900..9_400).contains(&counts[1]), "{counts:?}");
        assert_eq!(counts[2], 20_000);
    }
}
