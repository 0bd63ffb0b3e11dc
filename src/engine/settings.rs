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
    /// The longest ejection. Default 300 s. After as long without a new one
    /// the count starts again.
    pub cap: Duration,
    /// How much longer an ejection may be, in percent, so that servers ejected
    /// together do not come back together. Default 10.
    pub jitter_percent: u8,
    /// The most servers ejected at a time, in percent of all; a single one may
    /// always be, unless it is the last eligible one. Default 50.
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
