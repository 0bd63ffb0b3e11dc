//! What the feed is told of the fleet: its whole state, and its figures each second.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::{Control, Shared};
use crate::config::{Config, SnapshotView};
use crate::engine::{ServerId, Snapshot, Timestamp};
use crate::native::clock;
use crate::native::counters::CODES;
use crate::native::telemetry::feed::{Kind, Line};
use crate::native::telemetry::told::Told;
use crate::wire::{FeedSnapshot, FeedState, FeedTick};

/// Ticks from one whole state in the feed to the next, so that the log of the
/// last minutes has one to begin with.
const KEYFRAME_TICKS: u64 = 60;

/// For how long whoever asked for the lines of the feed is taken to ask again.
const INTEREST: Duration = Duration::from_secs(10);

/// What whoever follows the feed knows of the servers.
#[derive(Debug, Default)]
pub(super) struct Ticked {
    /// When.
    at: Timestamp,
    /// Who they were.
    servers: Vec<ServerId>,
}

impl Shared {
    /// Adds up what the workers have counted, and tells the figures if anybody
    /// follows; for the driver, each second.
    pub(in crate::native) fn tick(&self) {
        let mut control = self.lock();
        self.collect(&mut control);
        let now = clock::now();
        control.n_ticks += 1;
        if control.n_ticks.is_multiple_of(KEYFRAME_TICKS) {
            self.tell_state(&control, Kind::Keyframe, now);
        }
        let asked = Timestamp::from_millis(self.asked.load(Relaxed));
        if self.feed.is_followed() || now.since(asked) < INTEREST {
            self.tell_figures(&mut control, now);
        }
    }

    /// Tells the figures, and what is other than when they were last told.
    fn tell_figures(&self, control: &mut Control, now: Timestamp) {
        let Control {
            balancer,
            config,
            members,
            ticked,
            ..
        } = control;
        let figures = balancer.figures(now);
        let ids = figures.servers.iter().map(|server| server.id);
        let are_others = !ids.clone().eq(ticked.servers.iter().copied());
        if are_others {
            ticked.servers = ids.collect();
        }
        let servers = figures.servers.iter().enumerate();
        let changed: Vec<(usize, Timestamp)> = servers
            .filter_map(|(place, server)| {
                let since = members.get(&server.id)?.since;
                let probed = server.last_probe.map_or(since, |probe| probe.at);
                let is_news = are_others || since.max(probed) >= ticked.at;
                is_news.then_some((place, since))
            })
            .collect();
        ticked.at = now;
        let is_bounded = config.routing.load_factor.is_some();
        let overflowed = is_bounded.then(|| self.bounded_counters().overflowed);
        self.feed.push(Kind::News, |seq| {
            let tick = FeedTick::new(seq, &figures, are_others, &changed, overflowed);
            (FeedTick::NAME, tick)
        });
    }

    /// Takes note that somebody asks for the lines again and again.
    pub fn asks_for_lines(&self) {
        self.asked.store(clock::now().as_millis(), Relaxed);
    }

    /// The whole state, up to the last line of the feed; not kept there.
    pub fn state_line(&self) -> Line {
        let mut control = self.lock();
        self.collect(&mut control);
        let state = State::new(&control, clock::now());
        let seq = self.feed.last();
        // Others may go on while it is written.
        drop(control);
        let (name, shape) = state.line(seq, self.feed.boot());
        self.feed.line(seq, Kind::Snapshot, name, &shape)
    }

    /// What there is to know of the process and of what it tells.
    pub fn told(&self) -> Told {
        let fleet = self.fleet.load();
        let codes = fleet.servers.iter().map(|server| {
            let mut codes = [0; CODES];
            let shards = server.shards.iter();
            shards.for_each(|shard| shard.add_codes_to(&mut codes));
            (server.server.name.clone(), codes)
        });
        Told {
            counts: Arc::clone(&self.counts),
            keys_moved: self.lock().keys_moved,
            codes: codes.collect(),
        }
    }

    pub(super) fn tell_state(&self, control: &Control, kind: Kind, now: Timestamp) {
        let state = State::new(control, now);
        self.feed
            .push(kind, |seq| state.line(seq, self.feed.boot()));
    }
}

/// The whole state, taken from under the lock.
struct State {
    snapshot: Snapshot,
    config: Config,
    fingerprint: u64,
    generation: u64,
    since: Vec<Timestamp>,
    routing: SnapshotView,
}

impl State {
    fn new(control: &Control, now: Timestamp) -> Self {
        let snapshot = control.balancer.snapshot(now);
        let member = |id| control.members.get(id).map_or(now, |member| member.since);
        Self {
            since: snapshot.servers.iter().map(|s| member(&s.id)).collect(),
            snapshot,
            config: control.config_now(),
            fingerprint: control.balancer.table().fingerprint(),
            generation: control.generation,
            routing: SnapshotView::new(&control.config.rules(), &control.balancer, now),
        }
    }

    /// The line `seq` of the process `boot`.
    fn line<'a>(
        &'a self,
        seq: u64,
        boot: &'a str,
    ) -> (&'static str, FeedSnapshot<'a, Config, &'a SnapshotView>) {
        let state = FeedState {
            boot,
            generation: self.generation,
            config: &self.config,
            since: &self.since,
            routing: &self.routing,
        };
        let shape = FeedSnapshot::new(seq, self.fingerprint, &self.snapshot, state);
        (FeedSnapshot::<Config, &SnapshotView>::NAME, shape)
    }
}
