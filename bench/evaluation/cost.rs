//! What a layout costs: memory, and time for a lookup.

use std::fmt::Write as _;
use std::hint::black_box;

use ringway::engine::{Algorithm, Layout, Position};

use super::fleet::{Numbered, algorithms, fleet, layout};
use super::plot::{self, Line};
use crate::allocated;

pub(crate) fn memory(out: &mut String) {
    out.push_str("| algorithm | 10 servers | 100 | 1,000 |\n|---|---:|---:|---:|\n");
    for algorithm in algorithms() {
        let _ = write!(out, "| {} |", algorithm.name());
        for n in [10, 100, 1000] {
            let servers = fleet(0, n, |_| 1);
            let before = allocated();
            let layout = layout(&algorithm, 100, &servers);
            let bytes = allocated() - before;
            let _ = write!(out, " {} |", bytes / n as usize);
            drop(layout);
        }
        out.push('\n');
    }
}

fn best_nanos(layout: &Layout, keys: &[u64]) -> f64 {
    // Few keys where each asks many servers.
    let keys = match layout {
        Layout::Rendezvous(_) => &keys[..2048],
        _ => keys,
    };
    let once = || {
        let owners = keys
            .iter()
            .map(|&key| layout.owner(Position::from_bits(key)));
        black_box(owners.flatten().map(u64::from).sum::<u64>());
        keys.len() as u64
    };
    crate::nanos(once, 15)
        .into_iter()
        .fold(f64::INFINITY, f64::min)
}

pub(crate) fn lookups(out: &mut String) {
    let keys = crate::random_keys();
    out.push_str("| points | ring | local-rendezvous |\n|---:|---:|---:|\n");
    for n in [10, 100, 1000, 10_000] {
        let servers: Vec<Numbered> = fleet(0, n, |_| 1);
        let _ = write!(out, "| {} |", n * 100);
        for rule in [Algorithm::Ring, Algorithm::LocalRendezvous] {
            let _ = write!(
                out,
                " {:.1} |",
                best_nanos(&layout(&rule, 100, &servers), &keys)
            );
        }
        out.push('\n');
    }
    out.push_str(
        "\n| algorithm | 10 servers | 100 | 1,000 | 10,000 |\n|---|---:|---:|---:|---:|\n",
    );
    let mut lines = Vec::new();
    let ours = algorithms().into_iter().take(5).map(|rule| (rule, 0));
    let weighted = (Algorithm::Rendezvous, 9);
    for (rule, weights) in ours.chain([weighted]) {
        let name = match weights {
            0 => rule.name().to_owned(),
            _ => format!("{}, weights 1 to 10", rule.name()),
        };
        let _ = write!(out, "| {name} |");
        let mut points = Vec::new();
        for n in [10, 100, 1000, 10_000] {
            let servers = fleet(0, n, |i| u64::from(i % 10 * weights / 9 + 1));
            let nanos = best_nanos(&layout(&rule, 100, &servers), &keys);
            let _ = write!(out, " {nanos:.1} |");
            points.push((f64::from(n), nanos));
        }
        out.push('\n');
        lines.push(Line {
            name,
            is_theory: false,
            points,
        });
    }
    plot::lines(
        "lookup",
        "A lookup, hash given",
        "servers",
        "nanoseconds",
        &lines,
    );
}
