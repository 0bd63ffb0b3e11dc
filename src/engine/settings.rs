//! Every knob of the engine, typed, with its default and the reason for it.
//!
//! Configuration builds these once; nothing in here is checked again later.

use core::time::Duration;

use super::algorithm::Algorithm;
use super::load_factor::LoadFactor;
use super::server::VirtualNodes;

/// How the engine routes and judges servers.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The rule by which keys go to servers.
    pub algorithm: Algorithm,
    /// Points for each unit of weight, where the rule is a ring of ours.
    pub virtual_nodes: VirtualNodes,
    /// How far above the mean a server may be loaded; default `None`: as far
    /// as its keys load it.
    pub load_factor: Option<LoadFactor>,
    /// How long a server that comes back takes to get all of its keys again.
    /// Default zero: it gets them at once.
    pub slow_start: Duration,
    /// How long a drained server takes to lose its last key. Default zero: it
    /// loses all at once.
    pub drain: Duration,
    /// When no server is eligible: route by the ring as if all were (`true`,
    /// the default: a wrong verdict on everybody must not stop all traffic),
    /// or answer that there is no server.
    pub fail_open: bool,
    /// Judging servers by probes.
    pub health_check: HealthCheck,
    /// Judging servers by their traffic.
    pub ejection: Ejection,
    /// Counting the hottest keys, and spreading them.
    pub hot_keys: HotKeys,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            algorithm: Algorithm::default(),
            virtual_nodes: VirtualNodes::DEFAULT,
            load_factor: None,
            slow_start: Duration::ZERO,
            drain: Duration::ZERO,
            fail_open: true,
            health_check: HealthCheck::default(),
            ejection: Ejection::default(),
            hot_keys: HotKeys::default(),
        }
    }
}

/// When servers are probed, and how many results change their health.
///
/// What a probe sends and expects is the shell's business.
#[derive(Clone, Debug, PartialEq)]
pub struct HealthCheck {
    /// Whether servers are probed at all. Default: yes.
    pub enabled: bool,
    /// From the start of one probe of a server to the next. Default 30 s, as
    /// the original system.
    pub interval: Duration,
    /// The same while results contradict the server's health, so that a
    /// verdict comes soon. Default 1 s; never longer than `interval`.
    pub fast_interval: Duration,
    /// How far an interval may differ from its length, in percent, so that
    /// probes of many servers spread out. Default 10.
    pub jitter_percent: u8,
    /// Failed probes in a row that make a healthy server unhealthy. Default 3.
    pub fall: u32,
    /// Good probes in a row that make an unhealthy server healthy. Default 2.
    pub rise: u32,
}

impl Default for HealthCheck {
    fn default() -> Self {
        Self {
            enabled: true,
            interval: Duration::from_secs(30),
            fast_interval: Duration::from_secs(1),
            jitter_percent: 10,
            fall: 3,
            rise: 2,
        }
    }
}

/// When traffic alone takes a server out, and for how long.
///
/// After Envoy's outlier detection, whose defaults these are.
#[derive(Clone, Debug, PartialEq)]
pub struct Ejection {
    /// 5xx answers in a row that eject a server; 0 switches this off. Default 5.
    pub consecutive_5xx: u32,
    /// Connect errors in a row that eject a server; 0 switches this off. Default 3.
    pub consecutive_connect_errors: u32,
    /// The length of a first ejection; the n-th in a row is n times as long.
    /// Default 30 s.
    pub base: Duration,
    /// The longest ejection. Default 300 s. As long after a re-admission the
    /// count starts again.
    pub cap: Duration,
    /// How much longer an ejection may be, in percent, so that servers ejected
    /// together do not come back together. Default 10.
    pub jitter_percent: u8,
    /// The most servers ejected or on trial at a time, in percent of all; a
    /// single one may always be, unless it is the last eligible one. Default 50.
    pub max_percent: u8,
}

impl Default for Ejection {
    fn default() -> Self {
        Self {
            consecutive_5xx: 5,
            consecutive_connect_errors: 3,
            base: Duration::from_secs(30),
            cap: Duration::from_secs(300),
            jitter_percent: 10,
            max_percent: 50,
        }
    }
}

/// How the hottest keys are counted, and when one is spread over several
/// servers.
#[derive(Clone, Debug, PartialEq)]
pub struct HotKeys {
    /// How many keys are counted, 0 (none) to 1024; every key with more than
    /// 1/capacity of the traffic is among them. Default 256.
    pub capacity: u32,
    /// After how long a request counts half. Default 60 s.
    pub half_life: Duration,
    /// Over how many of its candidates a hot key is spread, 2 to 8; 1, the
    /// default, spreads none.
    pub spread: u8,
    /// A key is hot from this many times the traffic of one server, were all
    /// servers even. Default 0.5: from there on, its owner has half as much
    /// again as its fair part.
    pub spread_above: f64,
}

impl Default for HotKeys {
    fn default() -> Self {
        Self {
            capacity: 256,
            half_life: Duration::from_secs(60),
            spread: 1,
            spread_above: 0.5,
        }
    }
}
