//! What of a configuration decides where keys go.
//!
//! It is a configuration too: the package has this one, and passes over what
//! only the proxy goes by. A setting that the engine does not need stands in
//! [`super::Config`], or behind the `+` of its section; it costs the package
//! nothing there.

use core::cmp::Ordering;

use deserr::IntoValue;
use schemars::JsonSchema;
use serde::Serialize;

use super::section::section;
use super::{AlgorithmName, Config, HashKey, HealthRules, HotKeys, Seconds, ServerKey, Whole};
use crate::engine::{
    self, Algorithm, LoadBalancer, LoadFactor, POINTS_MAX, RingSize, Server, ServerNumber,
    Settings, TableSize, Timestamp, VirtualNodes, sort,
};
use crate::wire::{self, Fault, Faults, ServerSpec, fields, shown_text};

fields! {
    /// What of a configuration decides where keys go, and is one too.
    #[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
    #[cfg_attr(test, derive(ts_rs::TS))]
    pub struct RoutingConfig of Config {
        /// The servers. In a snapshot, where the rule goes by their ids, all have one.
        pub servers: Vec<ServerSpec>,
        /// Which server a request goes to.
        #[deserr(default)]
        #[schemars(default)]
        pub routing: RoutingRules,
        /// What the product is set to whose rule is followed.
        #[deserr(default)]
        #[schemars(default)]
        pub compat: CompatOptions,
        /// Judging servers by probes.
        #[deserr(default)]
        #[schemars(default)]
        pub health_check: HealthRules,
        /// Judging servers by their traffic.
        #[deserr(default)]
        #[schemars(default)]
        pub ejection: Ejection,
        /// Counting the hottest keys, and spreading them.
        #[deserr(default)]
        #[schemars(default)]
        pub hot_keys: HotKeys,
    }
}

section! {
    /// Which server a request goes to.
    pub struct Routing =
    /// What of `routing` the engine goes by.
    RoutingRules {
        /// The rule by which keys go to servers, or one without keys by which
        /// requests do; default ring.
        algorithm: AlgorithmName ["AlgorithmName"] = AlgorithmName::Ring,
        /// Points on the ring for each unit of weight, 1 to 10000; default 100.
        /// All servers together may have 2^20.
        virtual_nodes: VirtualNodes ["number"] = VirtualNodes::DEFAULT,
        /// Slots of the table of maglev and envoy-maglev, a prime number from 2
        /// to 5000011; default 65537.
        table_size: TableSize ["number"] = TableSize::DEFAULT,
        /// Bounded loads: how many times its fair part of all requests in flight
        /// a server may have, 1.001 to 100, before further ones go to the next
        /// candidate of their key; 1.25 is the advice. Default null: no bound. Not
        /// for rules without keys.
        load_factor: Option<LoadFactor> ["number | null"] = None,
        /// Seconds in which a server that comes back, or joins a running fleet,
        /// gets its keys: a tenth at once, the others bit by bit, each key once.
        /// Default null: all at once.
        slow_start: Option<Seconds> ["number | null"] = None,
        /// Seconds in which a drained server loses its keys, bit by bit. Default
        /// null: all at once.
        drain: Option<Seconds> ["number | null"] = None,
        /// When no server is eligible: route by the ring as if all were; default
        /// true. Otherwise such requests are answered with 503.
        fail_open: bool ["boolean"] = true,
    } + {
        /// What is tried as the key of a request; the first that is present
        /// wins. Default: the header x-ringway-key, then the client's IP
        /// address. Without any, the server with the fewest requests in flight
        /// for its weight is taken.
        hash_key: HashKey ["KeySource[]"] = HashKey::default(),
        /// Whether answers carry `x-ringway-server`, `x-ringway-attempts` and
        /// `x-ringway-explain`; default false, since they tell clients what
        /// stands behind.
        debug_header: bool ["boolean"] = false,
    }
}

section! {
    /// What the product is set to whose rule is followed: the options that
    /// decide its answers. docs/compatibility.md names each product's own.
    pub struct CompatOptions {
        /// How keys are hashed. For libmemcached and twemproxy: fnv1a_64,
        /// fnv1_64, fnv1a_32, fnv1_32, md5, crc32, crc32a or one_at_a_time; for
        /// haproxy: sdbm, djb2, wt6 or crc32. Default null: as the product does
        /// when it is not told (for libmemcached md5, as KETAMA_WEIGHTED).
        key_hash: Option<String> ["string | null"] = None,
        /// libmemcached: whether points go by weights, as with KETAMA_WEIGHTED;
        /// default true. A weight above 1 switches it on.
        weighted: bool ["boolean"] = true,
        /// libmemcached: whether servers are named as spymemcached names them;
        /// default false.
        spy: bool ["boolean"] = false,
        /// envoy-ring: minimum_ring_size, 1 to 8388608; default 1024.
        ring_size_min: RingSize ["number"] = RingSize::known(1024),
        /// envoy-ring: maximum_ring_size, 1 to 8388608 and at least the minimum;
        /// default 8388608.
        ring_size_max: RingSize ["number"] = RingSize::known(RingSize::MAX),
        /// haproxy: hash-key, what of a server is hashed, id, addr or addr-port;
        /// default id.
        server_key: ServerKey ["ServerKey"] = ServerKey::Id,
        /// haproxy: whether a key's hash is mixed once more; default null: just
        /// when key_hash is not given, as in hash-type.
        avalanche: Option<bool> ["boolean | null"] = None,
    }
}

section! {
    /// Judging servers by their traffic: failures in a row take one out for a
    /// time.
    pub struct Ejection {
        /// 5xx answers in a row; 0 switches this off. Default 5.
        consecutive_5xx: Whole<0, 10_000> ["number"] = Whole::new(5),
        /// Connect errors in a row; 0 switches this off. Default 3.
        consecutive_connect_errors: Whole<0, 10_000> ["number"] = Whole::new(3),
        /// Seconds of a first ejection; the n-th in a row is n times as long.
        /// Default 30.
        base: Seconds ["number"] = Seconds::whole(30),
        /// Seconds of the longest ejection; default 300, at least `base`.
        cap: Seconds ["number"] = Seconds::whole(300),
        /// How much longer an ejection may be, in percent, so that servers do
        /// not come back together; 0 to 100, default 10.
        jitter_percent: Whole<0, 100> ["number"] = Whole::new(10),
        /// The most servers ejected or on trial at a time, in percent; one may always be,
        /// but never the last eligible one. 0 to 100, default 50.
        max_percent: Whole<0, 100> ["number"] = Whole::new(50),
    }
}

impl RoutingConfig {
    /// Reads a parsed document.
    ///
    /// # Errors
    /// Every fault of what it has; what only the proxy goes by is not looked at.
    pub fn read(document: impl IntoValue) -> Result<Self, Faults> {
        let read = wire::read::<Self>(document)?;
        Faults::check(read.faults())?;
        Ok(read)
    }

    /// What the engine is made with.
    pub fn settings(&self) -> Settings {
        let (check, ejection) = (&self.health_check, &self.ejection);
        // The ranges of the fields make these lossless.
        let small = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        let percent = |n: u64| u8::try_from(n).unwrap_or(u8::MAX);
        let seconds = |given: Option<Seconds>| given.map(Seconds::duration).unwrap_or_default();
        Settings {
            // Checked when the configuration was parsed.
            algorithm: self.algorithm().unwrap_or_default(),
            virtual_nodes: self.routing.virtual_nodes,
            load_factor: self.routing.load_factor,
            slow_start: seconds(self.routing.slow_start),
            drain: seconds(self.routing.drain),
            fail_open: self.routing.fail_open,
            health_check: engine::HealthCheck {
                enabled: check.enabled,
                interval: check.interval.duration(),
                fast_interval: check.fast_interval(),
                jitter_percent: percent(check.jitter_percent.number()),
                fall: small(check.fall.number()),
                rise: small(check.rise.number()),
            },
            ejection: engine::Ejection {
                consecutive_5xx: small(ejection.consecutive_5xx.number()),
                consecutive_connect_errors: small(ejection.consecutive_connect_errors.number()),
                base: ejection.base.duration(),
                cap: ejection.cap.duration(),
                jitter_percent: percent(ejection.jitter_percent.number()),
                max_percent: percent(ejection.max_percent.number()),
            },
            hot_keys: self.hot_keys.settings(),
        }
    }

    /// The servers as the engine takes them.
    pub fn servers(&self) -> Vec<Server> {
        self.servers.iter().cloned().map(Server::from).collect()
    }

    /// What is wrong with settings that do not go together.
    pub(super) fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut fault = |path: &str, message: String| {
            faults.push(Fault {
                path: path.to_owned(),
                message,
            });
        };
        let servers = &self.servers;
        let by_name = |a: usize, b: usize| servers[a].name.cmp(&servers[b].name);
        for (i, other) in twice((0..servers.len()).collect(), &by_name) {
            fault(
                &format!("servers[{i}].name"),
                format!(
                    "{} is also the name of servers[{other}]; names are unique",
                    shown_text(servers[i].name.as_str())
                ),
            );
        }
        let by_id = |a: usize, b: usize| servers[a].id.cmp(&servers[b].id);
        let numbered = (0..servers.len()).filter(|&i| servers[i].id.is_some());
        for (i, other) in twice(numbered.collect(), &by_id) {
            let id = servers[i].id.map_or(0, ServerNumber::number);
            fault(
                &format!("servers[{i}].id"),
                format!("{id} is also the id of servers[{other}]; ids are unique"),
            );
        }
        if self.compat.ring_size_max < self.compat.ring_size_min {
            fault(
                "compat.ring_size_max",
                "give at least compat.ring_size_min".to_owned(),
            );
        }
        if let Err(message) = self.algorithm() {
            fault("compat.key_hash", message);
        }
        let virtual_nodes = u64::from(self.routing.virtual_nodes.number());
        let weights = self
            .servers
            .iter()
            .map(|server| u64::from(server.weight.number()));
        let n_points: u64 = weights.sum::<u64>() * virtual_nodes;
        let is_ring = matches!(
            self.routing.algorithm,
            AlgorithmName::Ring | AlgorithmName::LocalRendezvous
        );
        if is_ring && n_points > u64::from(POINTS_MAX) {
            fault(
                "servers",
                engine::TooManyPoints { points: n_points }.to_string(),
            );
        }
        if let Ok(Algorithm::Keyless(rule)) = self.algorithm() {
            let rule = rule.name();
            if self.routing.load_factor.is_some() {
                fault(
                    "routing.load_factor",
                    format!(
                        "routing.algorithm is {rule}, which has no keys whose requests could go \
                         on to their next candidate; leave this out, or give a rule with keys"
                    ),
                );
            }
            if self.hot_keys.spread.number() > 1 {
                fault(
                    "hot_keys.spread",
                    format!(
                        "routing.algorithm is {rule}, which has no keys that could be hot; leave \
                         this out, or give a rule with keys"
                    ),
                );
            }
        }
        // What no ring of ours is must be laid out to be checked: not every
        // product can have every server.
        if !is_ring && faults.is_empty() {
            let fleet = LoadBalancer::new(self.settings(), self.servers(), Timestamp::ZERO);
            if let Err(error) = fleet {
                let place = error.place().and_then(|(name, field)| {
                    let i = self.servers.iter().position(|s| s.name == *name)?;
                    Some(format!("servers[{i}].{field}"))
                });
                faults.push(Fault {
                    path: place.unwrap_or_else(|| "servers".to_owned()),
                    message: error.to_string(),
                });
            }
        }
        let mut fault = |path: &str, message: &str| {
            faults.push(Fault {
                path: path.to_owned(),
                message: message.to_owned(),
            })
        };
        if self
            .health_check
            .fast_interval
            .is_some_and(|fast| fast > self.health_check.interval)
        {
            fault(
                "health_check.fast_interval",
                "give at most health_check.interval",
            );
        }
        if self.ejection.cap < self.ejection.base {
            fault("ejection.cap", "give at least ejection.base");
        }
        if self.hot_keys.spread.number() > 1 && self.hot_keys.capacity.number() == 0 {
            fault(
                "hot_keys.spread",
                "only keys that are counted can be spread; give hot_keys.capacity too",
            );
        }
        faults
    }
}

/// Those of `places` that are alike, each with the one before it, in order.
fn twice(
    mut places: Vec<usize>,
    compare: &dyn Fn(usize, usize) -> Ordering,
) -> Vec<(usize, usize)> {
    sort::by(&mut places, |&a, &b| compare(a, b).is_lt());
    let both = places.windows(2).map(|both| (both[1], both[0]));
    let mut found: Vec<_> = both.filter(|&(a, b)| compare(a, b).is_eq()).collect();
    sort::by_number(&mut found, |&(place, _)| place as u64);
    found
}
