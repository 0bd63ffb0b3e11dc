//! Rules without keys: what one slow server does to all requests. A simulation,
//! event by event, in which only whole numbers decide.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt::Write as _;
use std::time::Duration;

use ringway::engine::{
    Algorithm, Keyless, LoadBalancer, Loads, PeakEwma, Picker, ServerIndex, Settings, Timestamp,
};

use super::fleet::{SEED, fleet};

/// Requests that a server works on at a time; others wait in line.
const PLACES: usize = 4;
/// What a request takes at a server that is not slow, in microseconds: from the
/// first to the last, all equally often.
const TAKES: (u64, u64) = (2_000, 18_000);
/// How much of the fleet is busy on average, were no server slow: 60 %.
const BUSY_PERCENT: u64 = 60;
/// How much longer the slow server takes.
const SLOWER: u64 = 10;
/// The time that is simulated, and from when on requests count.
const UNTIL: u64 = 30_000_000;
const COUNTED_FROM: u64 = 5_000_000;

const RULES: [Keyless; 4] = [
    Keyless::Random,
    Keyless::RoundRobin,
    Keyless::LeastConnections,
    Keyless::ResponseTime,
];

/// What is in flight, and how long answers took, at a time.
struct Seen {
    in_flight: Vec<u32>,
    means: Vec<PeakEwma>,
    now: u64,
}

impl Loads for Seen {
    fn in_flight(&self, server: ServerIndex) -> u32 {
        self.in_flight[server.as_usize()]
    }

    fn latency(&self, server: ServerIndex) -> u64 {
        self.means[server.as_usize()].mean(at(self.now))
    }
}

/// What requests took, in microseconds, sorted; and how many of a hundred went to
/// the first server.
struct Outcome {
    took: Vec<u64>,
    at_first: f64,
}

impl Outcome {
    fn ms(&self, per_thousand: usize) -> f64 {
        self.took[(self.took.len() - 1) * per_thousand / 1000] as f64 / 1e3
    }
}

pub(crate) fn one_slow_server(out: &mut String) {
    out.push_str("| servers | slow | rule | p50, ms | p99, ms | p99.9, ms | to the slow one, % |\n|---:|---:|---|---:|---:|---:|---:|\n");
    for n in [5, 20, 100] {
        for n_slow in [0, 1] {
            let outcomes = RULES.map(|rule| simulate(rule, n, n_slow));
            for (rule, outcome) in RULES.iter().zip(&outcomes) {
                let at_slow = if n_slow == 0 {
                    "–".to_owned()
                } else {
                    format!("{:.2}", outcome.at_first)
                };
                let _ = writeln!(
                    out,
                    "| {n} | {n_slow} | `{}` | {:.1} | {:.1} | {:.1} | {at_slow} |",
                    rule.name(),
                    outcome.ms(500),
                    outcome.ms(990),
                    outcome.ms(999)
                );
            }
            let [_, round_robin, least_connections, response_time] = outcomes.map(|o| o.ms(990));
            assert!(least_connections <= round_robin * 1.5 && response_time <= round_robin * 1.5);
            // One of a hundred servers has a hundredth, which is no part of the rest.
            if n_slow == 1 && n < 100 {
                assert!(least_connections < round_robin && response_time < least_connections);
            }
        }
    }
}

fn simulate(rule: Keyless, n: u32, n_slow: usize) -> Outcome {
    let settings = Settings {
        algorithm: Algorithm::Keyless(rule),
        ..Settings::default()
    };
    let servers = fleet(0, n, |_| 1).into_iter().map(|(server, _)| server);
    let balancer = LoadBalancer::new(settings, servers.collect(), Timestamp::ZERO);
    let balancer = balancer.expect("a good fleet");
    let table = balancer.table();
    let mut picker = Picker::new(SEED);
    let mut seen = Seen {
        in_flight: vec![0; n as usize],
        means: vec![PeakEwma::UNKNOWN; n as usize],
        now: 0,
    };
    // When each place of each server is free again.
    let mut places = vec![[0_u64; PLACES]; n as usize];
    // When a request ends, where, and when it came.
    let mut ends: BinaryHeap<Reverse<(u64, usize, u64)>> = BinaryHeap::new();
    let (mut took, mut n_first, mut n_random) = (Vec::new(), 0, 0);
    let mut random = |from: u64, to: u64| {
        n_random += 1;
        from + crate::mix(n_random + (SEED << 32)) % (to - from + 1)
    };
    // All places over the mean time that one takes is what the fleet can do.
    let mean_gap = (TAKES.0 + TAKES.1) * 50 / BUSY_PERCENT * 1000 / u64::from(n) / PLACES as u64;
    let mut next = 0;
    loop {
        // In thousandths of a microsecond, since a large fleet gets many.
        next += random(0, 2 * mean_gap);
        let now = next / 1000;
        if now > UNTIL {
            break;
        }
        while let Some(&Reverse((end, server, came))) = ends.peek()
            && end <= now
        {
            ends.pop();
            seen.in_flight[server] -= 1;
            let duration = Duration::from_micros(end - came);
            seen.means[server] = seen.means[server].with(duration, false, at(end));
        }
        seen.now = now;
        let route = table.pick(&mut picker, &seen, &[]).expect("a server");
        let server = route.server.as_usize();
        seen.in_flight[server] += 1;
        let slower = if server < n_slow { SLOWER } else { 1 };
        let place = places[server].iter_mut().min().expect("a place");
        let end = now.max(*place) + slower * random(TAKES.0, TAKES.1);
        *place = end;
        ends.push(Reverse((end, server, now)));
        if now >= COUNTED_FROM {
            took.push(end - now);
            n_first += u32::from(server == 0);
        }
    }
    took.sort_unstable();
    Outcome {
        at_first: 100.0 * f64::from(n_first) / took.len() as f64,
        took,
    }
}

fn at(micros: u64) -> Timestamp {
    Timestamp::from_nanos(1000 * micros)
}
