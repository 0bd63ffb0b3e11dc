//! Limits on how often a client, or a key, may ask, shared by all workers.
//!
//! `governor` has the arithmetic (GCRA: one number for each key, the time at
//! which it will have its whole burst again); where that number is kept is
//! here, since a map that grows with its keys is a gift to whoever has many
//! addresses. See `Table`.

use core::hash::{BuildHasher, Hasher};
use core::net::IpAddr;
use core::num::NonZeroU32;
use core::time::Duration;
use std::hash::RandomState;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use governor::clock::Clock;
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter};
use portable_atomic::AtomicU128;

use super::clock;
use crate::config::{LimitedBy, RateLimit, RateLimitRule};

/// The limits in effect.
#[derive(Debug, Default)]
pub struct RateLimits {
    limits: Vec<(Policy, Arc<Limit>)>,
    has_hash_key: bool,
    counts: Arc<Counts>,
}

/// What a limit is called in answers, and what it allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    per: LimitedBy,
    /// The how-manieth of its kind it is, from 1.
    number: u8,
    /// Requests at once.
    burst: u32,
    /// Seconds in which a spent burst is whole again.
    window: u64,
}

/// How somebody stands with a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    policy: Policy,
    /// Requests that may come at once now.
    remaining: u32,
    /// Seconds, rounded up, until there may be one more.
    more_in: u64,
}

/// One rule, with the state of everybody whom it has met.
#[derive(Debug)]
struct Limit<C: Clock = Uptime> {
    rule: RateLimitRule,
    /// Of this process alone, so that nobody can choose keys that share a set.
    hasher: RandomState,
    limiter: Limiter<C>,
}

type Limiter<C> = RateLimiter<u64, Table, C, StateInformationMiddleware>;

/// The time as `governor` takes it.
#[derive(Debug)]
struct Uptime;

impl Clock for Uptime {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new(clock::now().as_nanos())
    }
}

/// What was counted since the start, by [`LimitedBy::index`].
#[derive(Debug, Default)]
struct Counts {
    refused: [AtomicU64; 2],
    forgotten: [AtomicU64; 2],
}

/// Requests refused, and what of that is uncertain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimitCounters {
    /// Whose limits these are.
    pub per: LimitedBy,
    /// Requests that were refused.
    pub refused: u64,
    /// Clients or keys that were forgotten before they had their whole burst
    /// again, which they then had at once: more came than can be remembered.
    pub forgotten: u64,
}

impl RateLimits {
    /// The limits that configuration asks for, nobody having asked yet.
    pub fn new(config: &RateLimit) -> Self {
        Self::default().with(config)
    }

    /// The limits that another configuration asks for; a rule that stays goes
    /// on with what it knows.
    #[must_use]
    pub fn with(&self, config: &RateLimit) -> Self {
        let mut before: Vec<_> = self.limits.iter().map(|(_, limit)| Some(limit)).collect();
        let mut n_of_kind = [0; LimitedBy::ALL.len()];
        let limits = config.rules().iter().map(|rule| {
            let same = |limit: &&mut Option<&Arc<Limit>>| limit.is_some_and(|l| l.rule == *rule);
            let known = before.iter_mut().find(same).and_then(Option::take);
            let limit = match known {
                Some(limit) => Arc::clone(limit),
                None => Arc::new(Limit::new(rule, Uptime, &self.counts)),
            };
            let number = &mut n_of_kind[rule.per.index()];
            *number += 1;
            (Policy::new(rule, *number), limit)
        });
        let limits: Vec<_> = limits.collect();
        Self {
            has_hash_key: n_of_kind[LimitedBy::HashKey.index()] > 0,
            limits,
            counts: Arc::clone(&self.counts),
        }
    }

    /// Whether nobody is limited.
    pub fn is_empty(&self) -> bool {
        self.limits.is_empty()
    }

    /// Whether it matters what a request's key is.
    pub fn has_hash_key(&self) -> bool {
        self.has_hash_key
    }

    /// Counts a request of this client and of this key, if it has one. The
    /// rules are asked in turn, and the first that refuses is the last that
    /// counts it. What is returned is worth telling the client.
    ///
    /// # Errors
    /// By which limit it is refused.
    pub fn admit(&self, client: IpAddr, key: Option<&[u8]>) -> Result<Vec<Allowance>, Allowance> {
        let mut told = Vec::new();
        for (policy, limit) in &self.limits {
            let Some(key) = limit.key(client, key) else {
                continue;
            };
            match limit.admit(key, *policy) {
                Ok(allowance) if limit.rule.headers => told.push(allowance),
                Ok(_) => {}
                Err(allowance) => {
                    self.counts.refused[policy.per.index()].fetch_add(1, Relaxed);
                    return Err(allowance);
                }
            }
        }
        Ok(told)
    }

    /// What was counted since the start.
    pub fn counters(&self) -> impl Iterator<Item = RateLimitCounters> {
        LimitedBy::ALL.into_iter().map(|per| RateLimitCounters {
            per,
            refused: self.counts.refused[per.index()].load(Relaxed),
            forgotten: self.counts.forgotten[per.index()].load(Relaxed),
        })
    }
}

impl<C: Clock<Instant = Nanos>> Limit<C> {
    fn new(rule: &RateLimitRule, clock: C, counts: &Arc<Counts>) -> Self {
        let interval = rule.requests_per_second.interval();
        let burst = NonZeroU32::new(rule.burst()).unwrap_or(NonZeroU32::MIN);
        // An interval is a microsecond at least.
        let quota = Quota::with_period(interval).unwrap_or(Quota::per_second(burst));
        let table = Table {
            interval: u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX),
            per: rule.per,
            counts: Arc::clone(counts),
            ..Table::new(rule.max_keys.number() as usize)
        };
        Self {
            rule: rule.clone(),
            hasher: RandomState::new(),
            limiter: RateLimiter::new(quota.allow_burst(burst), table, clock),
        }
    }

    /// What stands for the client, or the key, in the table.
    fn key(&self, client: IpAddr, key: Option<&[u8]>) -> Option<u64> {
        let mut hasher = self.hasher.build_hasher();
        match self.rule.per {
            LimitedBy::HashKey => hasher.write(key?),
            LimitedBy::ClientIp => match client.to_canonical() {
                IpAddr::V4(ip) => hasher.write(&ip.octets()),
                IpAddr::V6(ip) => {
                    let n_hidden = 128 - self.rule.ipv6_prefix.number() as u32;
                    let network = (ip.to_bits() >> n_hidden) << n_hidden;
                    hasher.write(&network.to_be_bytes());
                }
            },
        }
        Some(hasher.finish())
    }

    fn admit(&self, key: u64, policy: Policy) -> Result<Allowance, Allowance> {
        let allowance = |remaining, wait: Duration| Allowance {
            policy,
            remaining,
            more_in: rounded_up(wait),
        };
        match self.limiter.check_key(&key) {
            Ok(state) => Ok(allowance(
                state.remaining_burst_capacity(),
                self.rule.requests_per_second.interval(),
            )),
            Err(until) => {
                let now = self.limiter.clock().now();
                Err(allowance(0, until.wait_time_from(now)))
            }
        }
    }
}

impl Policy {
    fn new(rule: &RateLimitRule, number: u8) -> Self {
        let burst = rule.burst();
        Self {
            per: rule.per,
            number,
            burst,
            window: rounded_up(rule.requests_per_second.interval() * burst),
        }
    }

    fn name(self) -> String {
        let word = self.per.word();
        match self.number {
            1 => format!("\"{word}\""),
            number => format!("\"{word}-{number}\""),
        }
    }
}

impl Allowance {
    /// Seconds until a request may come; at least 1.
    pub const fn wait(self) -> u64 {
        self.more_in
    }

    /// The policy as an item of the field `RateLimit-Policy`.
    pub fn policy_item(self) -> String {
        let Policy { burst, window, .. } = self.policy;
        format!("{};q={burst};w={window}", self.policy.name())
    }

    /// The allowance as an item of the field `RateLimit`.
    pub fn item(self) -> String {
        let name = self.policy.name();
        format!("{name};r={};t={}", self.remaining, self.more_in)
    }
}

/// Whole seconds that are not shorter; at least 1.
fn rounded_up(time: Duration) -> u64 {
    let more = u64::from(time.subsec_nanos() > 0);
    time.as_secs().saturating_add(more).max(1)
}

/// How many keys share a set.
const WAYS: usize = 8;

/// The states of a fixed number of keys, each key by its hash, without a lock.
///
/// A key may stand in one set alone. When its set is full, the key of the set
/// that has been idle longest is forgotten, which means that it has its whole
/// burst again: mostly it has it anyway. So memory stays as it is, a flood of
/// new keys pushes out its own kind before those that ask much, and nobody is
/// ever refused because of others.
///
/// A key and its state are one number of 128 bits, exchanged as one: a state
/// cannot come to be taken for another key's. Two workers that meet the same
/// new key at once may give it two places if a third one changes the set
/// between; then it is admitted once too often, and the older place falls idle.
#[derive(Debug)]
struct Table {
    sets: Box<[Set]>,
    /// Nanoseconds for one request.
    interval: u64,
    per: LimitedBy,
    counts: Arc<Counts>,
}

/// Two cache lines, which processors fetch together.
#[repr(align(128))]
#[derive(Debug, Default)]
struct Set([AtomicU128; WAYS]);

impl Table {
    /// A table for at least `n_keys`.
    fn new(n_keys: usize) -> Self {
        let n_sets = n_keys.div_ceil(WAYS).max(1);
        Self {
            sets: (0..n_sets).map(|_| Set::default()).collect(),
            interval: 1,
            per: LimitedBy::ClientIp,
            counts: Arc::default(),
        }
    }

    fn set(&self, key: u64) -> &Set {
        let n = self.sets.len() as u128;
        &self.sets[((u128::from(key) * n) >> 64) as usize]
    }
}

impl Set {
    /// The place of `key` and what stands there; if it has none, the place of
    /// whoever has been idle longest.
    fn place(&self, key: u64) -> (&AtomicU128, u128) {
        let mut idlest = (&self.0[0], u128::MAX);
        for place in &self.0 {
            let entry = place.load(Relaxed);
            if key_in(entry) == key {
                return (place, entry);
            }
            if state_in(entry) <= state_in(idlest.1) {
                idlest = (place, entry);
            }
        }
        idlest
    }
}

/// Whose state an entry is.
const fn key_in(entry: u128) -> u64 {
    (entry >> 64) as u64
}

/// When it will have its whole burst again, in nanoseconds of the limiter.
const fn state_in(entry: u128) -> u64 {
    entry as u64
}

impl StateStore for Table {
    type Key = u64;

    fn measure_and_replace<T, F, E>(&self, key: &u64, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        // An empty place is 0 as a whole; no key is.
        let key = (*key).max(1);
        let set = self.set(key);
        loop {
            let (place, before) = set.place(key);
            let is_known = key_in(before) == key;
            let (decision, state) = decide(is_known.then(|| state_in(before).into()))?;
            let entry = u128::from(key) << 64 | u128::from(state.as_u64());
            if place
                .compare_exchange(before, entry, Relaxed, Relaxed)
                .is_err()
            {
                continue;
            }
            // A new key has its burst but for one request: who had no more is
            // given something by being forgotten.
            let now = state.as_u64().saturating_sub(self.interval);
            if !is_known && state_in(before) > now {
                self.counts.forgotten[self.per.index()].fetch_add(1, Relaxed);
            }
            return Ok(decision);
        }
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;
    use crate::config::Config;
    use crate::engine::Position;

    fn rules(rate_limit: &str) -> RateLimit {
        let document = format!(r#"{{"servers": [], "rate_limit": {rate_limit}}}"#);
        let config = Config::parse(document.as_bytes()).expect("a good configuration");
        config.rate_limit
    }

    /// A limit under a clock that stands still until it is told.
    fn limit(
        rule: &str,
    ) -> (
        Limit<FakeRelativeClock>,
        Policy,
        FakeRelativeClock,
        Arc<Counts>,
    ) {
        let rule = rules(rule).rules()[0].clone();
        let (clock, counts) = (FakeRelativeClock::default(), Arc::default());
        // Not at the origin of time, where «never» and «now» are the same.
        clock.advance(Duration::from_secs(1));
        let limit = Limit::new(&rule, clock.clone(), &counts);
        (limit, Policy::new(&rule, 1), clock, counts)
    }

    fn n_known(table: &Table) -> usize {
        let places = table.sets.iter().flat_map(|set| &set.0);
        places.filter(|place| place.load(Relaxed) != 0).count()
    }

    #[test]
    fn a_burst_is_admitted_and_then_one_for_each_interval() {
        let rule = r#"{"per": "client_ip", "requests_per_second": 4, "burst": 3}"#;
        let (limit, policy, clock, _) = limit(rule);
        let left = |key| {
            limit
                .admit(key, policy)
                .map(|allowance| allowance.remaining)
        };
        assert_eq!([left(7), left(7), left(7)], [Ok(2), Ok(1), Ok(0)]);
        let refused = limit.admit(7, policy).expect_err("the burst is spent");
        assert_eq!(refused.policy_item(), "\"client_ip\";q=3;w=1");
        assert_eq!(refused.item(), "\"client_ip\";r=0;t=1");
        assert_eq!(left(8), Ok(2), "others are not concerned");
        clock.advance(Duration::from_millis(249));
        assert!(left(7).is_err());
        clock.advance(Duration::from_millis(1));
        assert_eq!(left(7), Ok(0));
        assert!(left(7).is_err());
        clock.advance(Duration::from_secs(3600));
        assert_eq!(left(7), Ok(2), "no more than a burst is saved up");
    }

    #[test]
    fn the_wait_that_is_told_is_enough_and_a_second_less_is_not() {
        let rule = r#"{"per": "client_ip", "requests_per_second": 0.2, "burst": 1}"#;
        let (limit, policy, clock, _) = limit(rule);
        assert!(limit.admit(7, policy).is_ok());
        clock.advance(Duration::from_millis(300));
        let wait = limit.admit(7, policy).expect_err("spent").wait();
        assert_eq!(wait, 5, "4.7 s, in whole ones");
        clock.advance(Duration::from_secs(wait - 1));
        assert!(limit.admit(7, policy).is_err());
        clock.advance(Duration::from_secs(1));
        assert!(limit.admit(7, policy).is_ok());
    }

    #[test]
    fn a_million_keys_take_the_memory_of_those_allowed_and_push_out_only_the_idle() {
        let rule =
            r#"{"per": "client_ip", "requests_per_second": 1, "burst": 5, "max_keys": 10000}"#;
        let (limit, policy, clock, counts) = limit(rule);
        // Somebody who spends all he is given, each second.
        let greedy = u64::MAX / 3;
        let mut n_admitted = 0;
        for i in 0..1_000_000_u64 {
            let key = Position::of_key(&i.to_le_bytes()).bits();
            assert!(
                limit.admit(key, policy).is_ok(),
                "a new key is never refused"
            );
            if i % 100 == 0 {
                // 1000 new keys a second.
                clock.advance(Duration::from_millis(100));
                n_admitted += u64::from(limit.admit(greedy, policy).is_ok());
            }
        }
        // 10000 tries in 1000 s, of which a burst and one a second are allowed.
        assert_eq!(n_admitted, 1004, "it is remembered among a million");
        let table = limit.limiter.into_state_store();
        assert_eq!(size_of::<Set>(), 16 * WAYS);
        assert!(AtomicU128::is_lock_free(), "not on this processor");
        assert_eq!(size_of_val(&*table.sets), 16 * 10_000);
        let known = n_known(&table);
        assert!((9_000..=10_000).contains(&known), "{known}");
        let forgotten = counts.forgotten[0].load(Relaxed);
        assert!(forgotten <= 10, "{forgotten} were not idle");
    }

    #[test]
    fn threads_share_a_limit_to_the_last_request() {
        let rules = rules(r#"{"per": "hash_key", "requests_per_second": 0.001, "burst": 1000}"#);
        let limits = RateLimits::new(&rules);
        let client = IpAddr::from([192, 0, 2, 1]);
        let n_admitted = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        if limits.admit(client, Some(b"key")).is_ok() {
                            n_admitted.fetch_add(1, Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(n_admitted.load(Relaxed), 1000);
        let counters: Vec<_> = limits.counters().map(|c| (c.per, c.refused)).collect();
        assert_eq!(
            counters,
            [(LimitedBy::ClientIp, 0), (LimitedBy::HashKey, 3000)]
        );
        assert!(limits.admit(client, None).is_ok(), "no key, no limit");
    }

    #[test]
    fn an_ipv6_network_is_one_client_and_an_ipv4_address_another() {
        let once = r#"{"per": "client_ip", "requests_per_second": 0.001, "burst": 1}"#;
        let limits = RateLimits::new(&rules(once));
        let admits = |ip: &str| limits.admit(ip.parse().expect("an address"), None).is_ok();
        for (ip, expected) in [
            ("2001:db8:0:1::1", true),
            ("2001:db8:0:1:ffff::2", false),
            ("2001:db8:0:2::1", true),
            ("192.0.2.1", true),
            ("192.0.2.2", true),
            ("::ffff:192.0.2.1", false),
        ] {
            assert_eq!(admits(ip), expected, "{ip}");
        }
    }

    #[test]
    fn a_rule_that_stays_knows_what_it_knew() {
        let once = r#"{"per": "client_ip", "requests_per_second": 0.001, "burst": 1}"#;
        let twice = r#"{"per": "client_ip", "requests_per_second": 0.001, "burst": 2}"#;
        let client = IpAddr::from([192, 0, 2, 1]);
        let first = RateLimits::new(&rules(&format!("[{once}, {once}]")));
        assert!(first.admit(client, None).is_ok(), "each counts for itself");
        let refused = first.admit(client, None).expect_err("spent");
        let second = first.with(&rules(&format!("[{twice}, {once}]")));
        assert!(second.admit(client, None).is_err(), "the old rule refuses");
        assert_eq!(refused.policy_item(), "\"client_ip\";q=1;w=1000");
        let third = second.with(&rules(twice));
        assert!(third.admit(client, None).is_ok());
        assert!(third.admit(client, None).is_err());
        let none = third.with(&rules("[]"));
        assert!(none.is_empty() && none.admit(client, None).is_ok());
        let counters = none.counters().next().expect("of clients");
        assert_eq!(counters.refused, 3, "counts go on");
    }
}
